"""JARs on a warm driver."""

import threading
from pathlib import Path

import pytest

from headway.workspace.runtime.tasks import JarTask, PythonFileTask, TaskOutcome
from spark.conftest import Runner
from support.served_workspace import until

pytestmark = pytest.mark.spark


def test_two_jars_with_the_same_classes_never_meet(run: Runner, jars: dict[int, Path]) -> None:
    for answer in (10, 200, 10):
        assert run.jar(jars[answer]).state == "SUCCESS"
        assert run.log.strip() == f"answer {3 + 3 * answer} {3 * answer}"


def test_both_at_once_keep_their_classes_and_their_output_apart(run: Runner, jars: dict[int, Path]) -> None:
    requests = [run.request(JarTask("demo.Main"), jars[answer]) for answer in (10, 200)]
    ended: list[TaskOutcome] = []
    threads = [threading.Thread(target=lambda one=one: ended.append(run.driver.run(one))) for one in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.state for outcome in ended] == ["SUCCESS", "SUCCESS"]
    assert [run.path(number).read_text().strip() for number in (1, 2)] == ["answer 33 30", "answer 603 600"]


@pytest.mark.parametrize(
    ("parameters", "state", "error"),
    [
        (("exit", "0"), "SUCCESS", ""),
        (("exit", "3"), "FAILED", "System.exit(3)"),
        (("swallow",), "FAILED", "System.exit(4)"),
        (("throw",), "FAILED", "java.lang.IllegalStateException: no good"),
        (("stop",), "SUCCESS", ""),
    ],
)
def test_user_code_ends_itself_and_not_the_driver(
    run: Runner, jars: dict[int, Path], parameters: tuple[str, ...], state: str, error: str
) -> None:
    outcome = run.jar(jars[10], *parameters)
    assert (outcome.state, outcome.error) == (state, error)
    assert run.driver.alive
    assert run.jar(jars[200]).state == "SUCCESS"


def test_cancel_ends_the_run_and_its_spark_jobs(run: Runner, jars: dict[int, Path]) -> None:
    request = run.request(JarTask("demo.Main", ("sleep",)), jars[10])
    ended: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: ended.append(run.driver.run(request)))
    thread.start()
    until(lambda: request.log.exists() and "asleep" in request.log.read_text())
    run.driver.cancel(request.run_id)
    thread.join(30)
    assert [outcome.state for outcome in ended] == ["CANCELED"]
    assert run.jar(jars[10]).state == "SUCCESS"


def test_the_jars_of_a_run_are_no_other_runs(run: Runner, jars: dict[int, Path]) -> None:
    """Spark gives a job without artifacts those of every session; when one of them ended meanwhile, the job failed."""
    request = run.request(JarTask("demo.Main", ("sleep",)), jars[10])
    ended: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: ended.append(run.driver.run(request)))
    thread.start()
    until(lambda: request.log.exists() and "asleep" in request.log.read_text())
    seen = "from pyspark.sql import SparkSession\nsc = SparkSession.builder.getOrCreate().sparkContext\n"
    seen += "print(sc._jsc.sc().allAddedJars().size())\n"
    assert run.python(seen).state == "SUCCESS", run.log
    assert run.log.strip() == "0"
    program = run.folder / "with_jar.py"
    program.write_text(seen)
    assert run(PythonFileTask(program), jars[200]).state == "SUCCESS", run.log
    assert run.log.strip() == "1"
    run.driver.cancel(request.run_id)
    thread.join(30)
    assert [outcome.state for outcome in ended] == ["CANCELED"]


def test_a_class_or_jar_that_cannot_be_used_is_named(run: Runner, jars: dict[int, Path], tmp_path: Path) -> None:
    missing = run(JarTask("demo.Nothing"), jars[10])
    assert missing.state == "FAILED"
    assert "main class demo.Nothing is in none of the task's JARs" in missing.error
    (tmp_path / "bad.jar").write_bytes(b"no zip")
    assert run(JarTask("demo.Main"), tmp_path / "bad.jar").state == "FAILED"


def test_a_stream_goes_from_dbfs_to_dbfs_and_takes_up_where_it_was(run: Runner, jars: dict[int, Path]) -> None:
    source = run.driver.spec.roots.dbfs / "stream" / "in"
    source.mkdir(parents=True)
    (source / "a.txt").write_text("1\n2\n")
    assert run.jar(jars[10], "stream").state == "SUCCESS", run.log
    assert run.log.strip() == "2"
    (source / "b.txt").write_text("3\n")
    assert run.jar(jars[10], "stream").state == "SUCCESS", run.log
    assert run.log.strip() == "3"
