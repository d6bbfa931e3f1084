"""The legacy `databricks` CLI (0.18), unmodified: files, a job, a run, its output.

It drops the port from its host and reaches 80 and 443 only: told that the workspace is its proxy, it gets there.
"""

import json
from pathlib import Path

import pytest

from clients.environments import run
from contract.conftest import RealWorkspace

CLIENT = "cli-legacy"
PROGRAM = "import sys\nprint('counted', int(sys.argv[1]) * 2)\n"


@pytest.mark.spark
def test_the_legacy_cli_does_a_whole_job(real: RealWorkspace, tmp_path: Path) -> None:
    variables = {
        **real.variables(),
        "DATABRICKS_HOST": "http://headway.internal",
        "HTTP_PROXY": real.url,
        "no_proxy": "",
    }

    def cli(*arguments: str) -> str:
        return run("cli-legacy", ["databricks", *arguments], variables, tmp_path)

    (tmp_path / "double.py").write_text(PROGRAM)
    cli("jobs", "configure", "--version=2.1")
    cli("fs", "mkdirs", "dbfs:/cli")
    cli("fs", "cp", str(tmp_path / "double.py"), "dbfs:/cli/double.py")
    assert cli("fs", "ls", "dbfs:/cli").split() == ["double.py"]
    cluster = {"spark_version": real.spark_version, "node_type_id": "local.small", "num_workers": 0}
    task = {"task_key": "double", "new_cluster": cluster}
    task["spark_python_task"] = {"python_file": "dbfs:/cli/double.py", "parameters": ["21"]}
    created = cli("jobs", "create", "--json", json.dumps({"name": "from-the-cli", "tasks": [task]}))
    job = str(json.loads(created)["job_id"])
    started = str(json.loads(cli("jobs", "run-now", "--job-id", job))["run_id"])
    while True:
        told = json.loads(cli("runs", "get", "--run-id", started))
        if told["state"]["life_cycle_state"] in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR"):
            break
    assert told["state"]["result_state"] == "SUCCESS"
    output = json.loads(cli("runs", "get-output", "--run-id", str(told["tasks"][0]["run_id"])))
    assert output["logs"] == "counted 42\n"
    assert "from-the-cli" in cli("jobs", "list")
    cli("workspace", "mkdirs", "/Shared/cli")
    cli("workspace", "import", "--language", "PYTHON", str(tmp_path / "double.py"), "/Shared/cli/double")
    assert cli("workspace", "ls", "/Shared/cli").split() == ["double"]
    cli("workspace", "export", "/Shared/cli/double", str(tmp_path / "back.py"))
    assert (tmp_path / "back.py").read_text().removeprefix("# Databricks notebook source\n") == PROGRAM
    cli("jobs", "delete", "--job-id", job)
    cli("fs", "rm", "--recursive", "dbfs:/cli")
    assert "cli" not in cli("fs", "ls", "dbfs:/").split()
