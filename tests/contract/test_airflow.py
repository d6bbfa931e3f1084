"""Airflow's Databricks provider: its operators make, run and submit jobs on real Spark, without a scheduler."""

import json
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from contract.conftest import RealWorkspace, every_client

PROGRAM = (
    "import sys\nfrom pyspark.sql import SparkSession\n"
    "print('rows', SparkSession.builder.getOrCreate().range(int(sys.argv[1])).count())\n"
)


def operators_do_whole_jobs(real: RealWorkspace, tmp_path: Path) -> None:
    """Create, reset, run and submit."""
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
    said = real.program(
        "airflow",
        "airflow_operators.py",
        real.spark_version,
        "dbfs:/airflow/count.py",
        "",
        cwd=tmp_path,
        AIRFLOW_HOME=str(tmp_path / "airflow"),
        AIRFLOW_CONN_DATABRICKS_DEFAULT=json.dumps(connection),
    )
    told = json.loads(said.splitlines()[-1])
    page = told.pop("page")
    assert told == {"same_job": True, "run_now": "SUCCESS", "submitted": "SUCCESS", "output": "rows 3"}
    assert page.startswith(real.url)


# Airflow is 650 MB and takes two minutes to install: CI does, and whoever sets HEADWAY_TEST_EVERY_CLIENT.
if every_client():
    test_the_operators_do_whole_jobs = pytest.mark.spark(operators_do_whole_jobs)
