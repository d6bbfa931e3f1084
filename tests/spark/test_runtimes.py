"""Older Sparks beside ours: a runtime of its own each, installed by the product's own command into the shared cache.

Spark 3.5 always; 4.0, which is nearer to ours, where HEADWAY_TEST_EVERY_RUNTIME is set: each takes minutes to install.
"""

import base64
import json
import os
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

RUNTIMES = ("3.5", *(("4.0",) if os.environ.get("HEADWAY_TEST_EVERY_RUNTIME") else ()))


@pytest.fixture(scope="module", params=RUNTIMES)
def older(request: pytest.FixtureRequest, cache: Path) -> Runtime:
    """An older Spark; two minutes where it is not there yet, else a moment."""
    command = [sys.executable, "-m", "headway.cli", "workspace", "runtime", "install", request.param]
    done = subprocess.run([*command, "--output", "json"], check=True, capture_output=True, text=True)
    found = installed(cache)[json.loads(done.stdout)["key"]]
    assert found.spark.startswith(request.param)
    return found


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
    assert on_older.driver.spark_version == older.spark
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


def test_python_files_wheels_and_notebooks_run(on_older: Runner, older: Runtime, wheel: Callable[[str], Path]) -> None:
    program = (
        "from pyspark.sql import SparkSession\nfrom pyspark.sql.functions import udf\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "spark.createDataFrame([(1, 'a')], ['n', 't']).createOrReplaceTempView('v')\n"
        "print(spark.version, spark.range(3).select(udf(lambda n: n + 1, 'long')('id')).collect()[2][0])\n"
        "print(spark.table('v').toPandas().n.sum())\n"
    )
    assert on_older.python(program).state == "SUCCESS", on_older.log
    assert on_older.log.split() == [older.spark, "3", "1"]
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
        keys = [entry.key for entry in client.clusters.spark_versions().versions or []]
        assert (keys[0], older.key in keys) == (runtime.key, True)
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
        assert run() == older.spark
    finally:
        stop(tmp_path / "data")
