"""Airflow's Databricks provider: its operators make, run and submit jobs on real Spark, without a scheduler."""

import json
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from contract.conftest import RealWorkspace, every_client
from support.git_server import git_server

CLIENT = "airflow"
PROGRAM = (
    "import sys\nfrom pyspark.sql import SparkSession\n"
    "print('rows', SparkSession.builder.getOrCreate().range(int(sys.argv[1])).count())\n"
)


def operators_do_whole_jobs(real: RealWorkspace, tmp_path: Path) -> None:
    """Create, reset, run and submit; check out, pull and delete a repo."""
    sdk = WorkspaceClient(host=real.url, token=real.token, auth_type="pat")
    with sdk.dbfs.open("/airflow/count.py", write=True, overwrite=True) as target:
        target.write(PROGRAM.encode())
    connection = {
        "conn_type": "databricks",
        "schema": "http",
        "host": "127.0.0.1",
        "port": int(real.url.rpartition(":")[2]),
        "password": real.token,
    }
    with git_server(tmp_path / "origins") as git:
        origin = git.origin("sources")
        origin.commit({"a.txt": "one"})
        origin.git("checkout", "--quiet", "-b", "next")
        head = origin.commit({"a.txt": "two"})
        said = real.program(
            "airflow",
            "airflow_operators.py",
            real.spark_version,
            "dbfs:/airflow/count.py",
            f"{git.url}/sources.git",
            cwd=tmp_path,
            AIRFLOW_HOME=str(tmp_path / "airflow"),
            AIRFLOW_CONN_DATABRICKS_DEFAULT=json.dumps(connection),
        )
    told = json.loads(said.splitlines()[-1])
    page = told.pop("page")
    assert told == {
        "same_job": True,
        "run_now": "SUCCESS",
        "submitted": "SUCCESS",
        "output": "rows 3",
        "repo": True,
        "head": head,
        "left": None,
    }
    assert page.startswith(real.url)


# Airflow is 650 MB and takes two minutes to install: CI does, and whoever sets HEADWAY_TEST_EVERY_CLIENT.
if every_client():
    test_the_operators_do_whole_jobs = pytest.mark.spark(operators_do_whole_jobs)
