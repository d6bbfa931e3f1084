"""Spark 3.5 beside Spark 4: a runtime of its own, installed by the product's own command into the shared cache."""

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from headway.workspace.process import start, stop
from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.installing import installed
from headway.workspace.runtime.tasks import DriverSpec, FileRoots, JarTask, Runtime, WheelTask
from headway.workspace.settings import WorkspaceSettings
from spark.conftest import Runner, make_jar

pytestmark = pytest.mark.spark

KEY = "3.5.x-scala2.12"


@pytest.fixture(scope="module")
def older(cache: Path) -> Runtime:
    """Spark 3.5; two minutes where it is not there yet, else a moment."""
    command = [sys.executable, "-m", "headway.cli", "workspace", "runtime", "install", "3.5", "--output", "json"]
    subprocess.run(command, check=True, capture_output=True)
    return installed(cache)[KEY]


@pytest.fixture(scope="module")
def older_driver(older: Runtime, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Driver]:
    """A driver on it."""
    base = tmp_path_factory.mktemp("older")
    roots = FileRoots(base / "dbfs", base / "workspace", base / "volumes")
    conf = {"spark.sql.shuffle.partitions": "2"}
    started = Driver.start(DriverSpec("older", older, base / "own", roots, quick=True, spark_conf=conf), cache)
    yield started
    started.stop()


@pytest.fixture
def on_older(older_driver: Driver, tmp_path: Path) -> Runner:
    """A runner on that driver."""
    return Runner(older_driver, tmp_path)


def test_jars_never_meet_and_end_only_themselves(on_older: Runner, older: Runtime, tmp_path: Path) -> None:
    assert on_older.driver.spark_version == older.spark == "3.5.9"
    built = {}
    for answer in (10, 200):
        folder = tmp_path / str(answer)
        folder.mkdir()
        built[answer] = make_jar(folder, older, answer)
    for answer in (10, 200, 10):
        assert on_older.jar(built[answer]).state == "SUCCESS", on_older.log
        assert on_older.log.strip() == f"answer {3 + 3 * answer} {3 * answer}"
    assert on_older.jar(built[10], "exit", "3").error == "System.exit(3)"
    assert on_older.jar(built[10], "stop").state == "SUCCESS"
    assert on_older(JarTask("demo.Nothing"), built[10]).state == "FAILED"
    source = on_older.driver.spec.roots.dbfs / "stream" / "in"
    source.mkdir(parents=True)
    (source / "a.txt").write_text("1\n2\n")
    assert on_older.jar(built[10], "stream").state == "SUCCESS", on_older.log
    assert on_older.log.strip() == "2"


def test_python_files_wheels_and_notebooks_run(on_older: Runner, wheel: Callable[[str], Path]) -> None:
    program = (
        "from pyspark.sql import SparkSession\nfrom pyspark.sql.functions import udf\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "spark.createDataFrame([(1, 'a')], ['n', 't']).createOrReplaceTempView('v')\n"
        "print(spark.version, spark.range(3).select(udf(lambda n: n + 1, 'long')('id')).collect()[2][0])\n"
        "print(spark.table('v').toPandas().n.sum())\n"
    )
    assert on_older.python(program).state == "SUCCESS", on_older.log
    assert on_older.log.split() == ["3.5.9", "3", "1"]
    assert on_older.python("raise SystemExit(3)").state == "FAILED"
    assert on_older(WheelTask("tool", "start", ("a",)), wheel("word")).state == "SUCCESS", on_older.log
    assert on_older.log.strip() == "['a'] word"
    cells = (
        "df = spark.range(4)\ndf.createOrReplaceTempView('t')",
        "# MAGIC %sql\n# MAGIC select count(*) from t",
        "dbutils.notebook.exit(str(df.count()))",
    )
    source = "# Databricks notebook source\n" + "\n\n# COMMAND ----------\n\n".join(cells) + "\n"
    assert on_older.notebook(source).notebook_result == "4", on_older.log


def test_a_job_reset_to_another_spark_version_runs_on_it(older: Runtime, runtime: Runtime, tmp_path: Path) -> None:
    served = start(WorkspaceSettings(data=tmp_path / "data", port=0, standby=0))
    try:
        assert served.token_file is not None
        client = WorkspaceClient(host=served.url, token=served.token_file.read_text())
        assert [entry.key for entry in client.clusters.spark_versions().versions or []][:2] == [runtime.key, older.key]
        program = b"from pyspark.sql import SparkSession\nprint(SparkSession.builder.getOrCreate().version)\n"
        client.dbfs.put("dbfs:/version.py", contents=base64.b64encode(program).decode(), overwrite=True)

        def settings(key: str) -> dict[str, Any]:
            task = {"python_file": "dbfs:/version.py"}
            cluster = {"spark_version": key, "node_type_id": "local.small", "num_workers": 0}
            return {
                "name": "version",
                "tasks": [{"task_key": "only", "spark_python_task": task, "new_cluster": cluster}],
            }

        def run() -> str:
            ended = client.jobs.run_now(job_id=job_id).result()
            assert ended.tasks is not None
            assert ended.tasks[0].run_id is not None
            return (client.jobs.get_run_output(ended.tasks[0].run_id).logs or "").strip()

        job_id = client.api_client.do("POST", "/api/2.1/jobs/create", body=settings(runtime.key))["job_id"]
        assert run() == runtime.spark
        client.api_client.do(
            "POST", "/api/2.1/jobs/reset", body={"job_id": job_id, "new_settings": settings(older.key)}
        )
        assert run() == older.spark == "3.5.9"
    finally:
        stop(tmp_path / "data")
