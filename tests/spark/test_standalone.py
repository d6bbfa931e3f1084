"""Workers from a real standalone master: jobs outlive one that is killed, and their number moves."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.workspace.catalogue import Catalogue
from headway.workspace.node_types import parse_node_types
from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.tasks import FileRoots, JarTask, PythonFileTask, Runtime, TaskOutcome
from spark.conftest import Runner
from support.clusters import cluster, planning
from support.served_workspace import until
from support.standalone import Standalone

pytestmark = pytest.mark.spark

# Shuffles, and waits in the second stage, before it has read anything, until it is told to go on. So does the JAR.
PYTHON = """
import os, sys, tempfile, time
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
at, go = sys.argv[1:]
def wait(rows):
    tempfile.mkstemp(dir=at, prefix="python")
    while not os.path.exists(go):
        time.sleep(0.02)
    return [sum(row.k for row in rows)]
spark = SparkSession.builder.getOrCreate()
keys = spark.range(0, 1000, 1, 4).select(udf(lambda n: n % 7, "long")("id").alias("k"))
print("sum", sum(keys.repartition(2, "k").rdd.mapPartitions(wait).collect()))
spark.range(10).write.mode("overwrite").parquet("dbfs:/far/table")
print("rows", spark.read.parquet("dbfs:/far/table").count())
"""


@pytest.fixture(scope="module")
def farm(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A master and two workers."""
    made = Standalone(runtime, tmp_path_factory.mktemp("farm"))
    try:
        made.worker()
        made.worker()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def far(farm: Standalone, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Driver]:
    """A cluster's driver with two workers from there, planned as the workspace does."""
    base = tmp_path_factory.mktemp("far")
    conf = {"spark.authenticate": "true", "spark.authenticate.secret": farm.secret}
    entry = {"id": "farm.small", "memory_mb": 1024, "cores": 2, "master": farm.url, "executor_memory_mb": 512}
    types, wrong = parse_node_types({"node_type": [{**entry, "executor_cores": 2, "quick": True, "spark_conf": conf}]})
    assert not wrong
    spec = {"spark_version": runtime.key, "node_type_id": "farm.small", "num_workers": 2}
    spec |= {"spark_conf": {"spark.sql.shuffle.partitions": "2", "spark.sql.adaptive.enabled": "false"}}
    catalogue = Catalogue({runtime.key: runtime}, types)
    catalogue.check(spec)
    roots = FileRoots(base / "dbfs", base / "workspace", base / "volumes")
    started = Driver.start(planning(catalogue, roots, base / "clusters")(cluster(spec, "far"), "own"), cache)
    yield started
    started.stop()


def workers(driver: Driver) -> set[str]:
    """The ids of its executors."""
    return {str(one["id"]) for one in driver.executors()}


def test_runs_outlive_a_worker_that_is_killed(
    farm: Standalone, far: Driver, tmp_path: Path, jars: dict[int, Path]
) -> None:
    assert until(lambda: len(workers(far)) == 2, 60)
    before = workers(far)
    at, go = tmp_path / "at", tmp_path / "go"
    at.mkdir()
    run = Runner(far, tmp_path)
    (tmp_path / "program.py").write_text(PYTHON)
    asked = [
        run.request(JarTask("demo.Main", ("shuffle", str(at), str(go))), jars[10]),
        run.request(PythonFileTask(tmp_path / "program.py", (str(at), str(go)))),
    ]
    outcomes: dict[int, TaskOutcome] = {}
    threads = [
        threading.Thread(target=lambda number=number, request=request: outcomes.update({number: far.run(request)}))
        for number, request in enumerate(asked, 1)
    ]
    for thread in threads:
        thread.start()
    # All four cores hold a task of the second stage: half the shuffle files are about to be lost.
    until(lambda: len(list(at.iterdir())) == 4 or len(outcomes) == 2, 120)
    farm.kill(1)
    until(lambda: len(workers(far)) == 1, 60)
    go.touch()
    for thread in threads:
        thread.join(180)
    by_jar, by_python = (sum(number % answer for number in range(1000)) for answer in (10, 7))
    assert outcomes[1].state == "SUCCESS", run.path(1).read_text()
    assert run.path(1).read_text().strip() == f"sum {by_jar}"
    assert outcomes[2].state == "SUCCESS", run.path(2).read_text()
    assert run.path(2).read_text().split() == ["sum", str(by_python), "rows", "10"]
    assert len(list(at.iterdir())) > 4  # what was lost was done again
    # The cluster gets a worker in its place as soon as there is one.
    farm.worker()
    until(lambda: len(workers(far)) == 2, 120)
    assert workers(far) != before


def test_the_number_of_workers_moves(farm: Standalone, far: Driver, tmp_path: Path) -> None:
    assert far.resize(1, 1)
    until(lambda: len(workers(far)) == 1, 60)
    # From one to two, as the work asks for it.
    assert far.resize(1, 2)
    go = tmp_path / "go"
    at = tmp_path / "at"
    at.mkdir()
    (tmp_path / "program.py").write_text(PYTHON.replace("repartition(2", "repartition(4"))
    run = Runner(far, tmp_path)
    asked = run.request(PythonFileTask(tmp_path / "program.py", (str(at), str(go))))
    thread = threading.Thread(target=far.run, args=(asked,))
    thread.start()
    until(lambda: len(workers(far)) == 2, 120)
    go.touch()
    thread.join(120)
    assert "rows 10" in run.log
