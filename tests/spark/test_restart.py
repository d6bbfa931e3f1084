"""The workspace killed (SIGKILL) with runs going and queued: what lives goes on, the rest ends with a reason."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from headway.workspace.process import Status, start, stop
from headway.workspace.runtime.runtimes import default_runtime
from headway.workspace.settings import WorkspaceSettings
from support.served_workspace import until

pytestmark = pytest.mark.spark

# Notes that it began, then waits until it is let go.
PROGRAM = """
import os, sys, time
name = sys.argv[1]
with open(f"/dbfs/began-{name}", "a") as notes:
    notes.write("x")
while not os.path.exists(f"/dbfs/go-{name}"):
    time.sleep(0.05)
print("went on to the end")
"""


def client(found: Status) -> WorkspaceClient:
    """A client of a workspace that runs."""
    assert found.token_file is not None
    return WorkspaceClient(host=found.url, token=found.token_file.read_text(), auth_type="pat")


def ended(workspace: WorkspaceClient, run_id: int) -> Any:
    """The run, once it has ended."""
    return until(lambda: (run := workspace.jobs.get_run(run_id)).state.result_state and run, 120)  # type: ignore[union-attr]


def test_runs_go_on_over_a_kill_of_the_workspace(tmp_path: Path, cache: Path) -> None:
    settings = WorkspaceSettings(data=tmp_path / "data", port=0, standby=0)
    key = default_runtime(cache).key
    small = {"spark_version": key, "node_type_id": "local.small", "num_workers": 0}
    try:
        first = start(settings)
        workspace = client(first)
        (settings.dbfs / "program.py").write_text(PROGRAM)
        cluster_id = str(workspace.api_client.do("POST", "/api/2.1/clusters/create", body=small)["cluster_id"])

        def job(name: str, **task: Any) -> int:
            body = {"python_file": "dbfs:/program.py", "parameters": [name]}
            entry = {"task_key": name, "spark_python_task": body, "max_retries": 1, **task}
            made = workspace.api_client.do("POST", "/api/2.2/jobs/create", body={"name": name, "tasks": [entry]})
            return int(made["job_id"])

        def run(job_id: int) -> int:
            return int(
                workspace.api_client.do(
                    "POST", "/api/2.2/jobs/run-now", body={"job_id": job_id, "queue": {"enabled": True}}
                )["run_id"]
            )

        lives, dies = job("lives", existing_cluster_id=cluster_id), job("dies", new_cluster=small)
        going, waiting, lost = run(lives), run(lives), run(dies)
        for name in ("lives", "dies"):
            until(lambda name=name: (settings.dbfs / f"began-{name}").exists(), 120)  # type: ignore[misc]
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        (settings.data / "server.json").unlink()
        # While nobody looks, one driver is killed.
        for folder in (settings.data / "clusters").iterdir():
            if not folder.name.startswith(cluster_id):
                os.kill(int(json.loads((folder / "driver.json").read_text())["pid"]), signal.SIGKILL)
        workspace = client(start(settings))
        (settings.dbfs / "go-lives").touch()
        (settings.dbfs / "go-dies").touch()
        assert ended(workspace, going).state.result_state.value == "SUCCESS"
        assert ended(workspace, waiting).state.result_state.value == "SUCCESS"
        retried = ended(workspace, lost)
        assert retried.state.result_state.value == "SUCCESS"
        # The two runs of `lives` began once each; `dies` was tried again, as its policy says.
        assert (settings.dbfs / "began-lives").read_text() == "xx"
        assert (settings.dbfs / "began-dies").read_text() == "xx"
        assert workspace.clusters.get(cluster_id).state.value == "RUNNING"  # type: ignore[union-attr]
    finally:
        stop(settings.data)
    assert list((settings.data / "clusters").iterdir()) == []
