"""Python files, wheels and notebooks on a warm driver."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.workspace.runtime.libraries import Installed
from headway.workspace.runtime.tasks import JarTask, LocalLibrary, PythonFileTask, TaskOutcome, WheelTask
from spark.conftest import Runner
from support.served_workspace import until

pytestmark = pytest.mark.spark


def test_a_python_file_finds_the_session_and_its_arguments(run: Runner) -> None:
    outcome = run.python(
        "import sys\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.appName('x').getOrCreate()\n"
        "print(sys.argv[1:], spark.range(5).count(), __name__)\nspark.stop()\n",
        "a",
        "b c",
    )
    assert outcome.state == "SUCCESS", run.log
    assert run.log == "['a', 'b c'] 5 __main__\n"


@pytest.mark.parametrize(
    ("program", "state", "error"),
    [
        ("raise ValueError('no\\ngood')", "FAILED", "ValueError: no"),
        ("import sys; sys.exit(0)", "SUCCESS", ""),
        ("import sys; sys.exit(7)", "FAILED", "SystemExit: 7"),
        ("import sys; sys.exit('why')", "FAILED", "SystemExit: why"),
        ("import os; os._exit(5)", "FAILED", "the Python process ended with status 5"),
        ("import os; os.kill(os.getpid(), 9)", "FAILED", "the Python process ended with status -9"),
    ],
)
def test_a_python_file_ends_as_python_would(run: Runner, program: str, state: str, error: str) -> None:
    outcome = run.python(program)
    assert (outcome.state, outcome.error) == (state, error)


def test_a_traceback_begins_in_the_users_code(run: Runner) -> None:
    outcome = run.python("def inner():\n    1 / 0\ninner()\n")
    assert outcome.error == "ZeroDivisionError: division by zero"
    assert 'program0.py", line 3' in outcome.error_trace.splitlines()[1]
    assert "pyside" not in outcome.error_trace


def test_views_of_one_run_are_not_seen_by_another(run: Runner) -> None:
    head = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
    assert run.python(head + "spark.range(1).createOrReplaceTempView('mine')").state == "SUCCESS"
    assert "TABLE_OR_VIEW_NOT_FOUND" in run.python(head + "spark.table('mine').show()").error


def test_cancel_ends_a_python_run_with_what_it_started(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text(
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '300'])\n"
        "print(child.pid, flush=True)\ntime.sleep(300)\n"
    )
    request = run.request(PythonFileTask(tmp_path / "long.py"))
    ended: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: ended.append(run.driver.run(request)))
    thread.start()
    child = int(until(lambda: request.log.exists() and request.log.read_text()))
    run.driver.cancel(request.run_id)
    thread.join(30)
    assert [outcome.state for outcome in ended] == ["CANCELED"]
    until(lambda: not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text())


def test_two_versions_of_a_wheel_never_meet_on_the_driver_or_in_its_workers(
    run: Runner, wheel: Callable[[str], Path]
) -> None:
    for word in ("one", "three", "one"):
        outcome = run(WheelTask("tool", "start", ("x",), {"day": "1"}), wheel(word))
        assert outcome.state == "SUCCESS", run.log
        assert run.log.strip() == f"['x', '--day=1'] {word}"


def test_a_wheel_task_that_names_nothing_is_told(run: Runner, wheel: Callable[[str], Path], tmp_path: Path) -> None:
    assert "no library of this task installs a package named other" in run(WheelTask("other", "x"), wheel("a")).error
    unknown = run(WheelTask("tool", "nothing"), wheel("a")).error
    assert "no entry point or function nothing; its entry points: start" in unknown
    assert run(WheelTask("tool", "fail"), wheel("a")).error == "SystemExit: 3"
    (tmp_path / "bad.whl").write_bytes(b"no zip")
    assert "bad.whl is not a zip archive" in run(WheelTask("tool", "start"), tmp_path / "bad.whl").error


def test_a_notebook_with_sql_widgets_and_a_result(run: Runner) -> None:
    folder = run.driver.spec.roots.workspace / "Shared"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "helpers.py").write_text("# Databricks notebook source\ndef twice(n):\n    return 2 * n\n")
    outcome = run.notebook(
        """# Databricks notebook source
# MAGIC %md
# MAGIC # Title
# COMMAND ----------
# MAGIC %run ./helpers
# COMMAND ----------
dbutils.widgets.text("n", "3")
n = int(dbutils.widgets.get("n"))
spark.range(n).createOrReplaceTempView("numbers")
# COMMAND ----------
# MAGIC %sql
# MAGIC select sum(id) as total from numbers where id < ${n}
# COMMAND ----------
display(_sqldf)
dbutils.notebook.exit(str(twice(_sqldf.first().total)))
# COMMAND ----------
raise AssertionError("after the exit")
""",
        n="10",
    )
    assert (outcome.state, outcome.notebook_result) == ("SUCCESS", "90"), run.log
    assert "|45   |" in run.log


def test_a_notebook_that_fails_names_its_line(run: Runner) -> None:
    outcome = run.notebook("# Databricks notebook source\nx = 1\n# COMMAND ----------\n\nx / 0\n")
    assert outcome.error == "ZeroDivisionError: division by zero"
    assert "in notebook /Shared/n, line 5" in outcome.error_trace
    assert "R notebooks are not served" in run.notebook("x <- 1", "R").error


def test_dbfs_is_one_place_for_spark_python_and_dbutils(run: Runner) -> None:
    outcome = run.notebook(
        """# Databricks notebook source
import os, pathlib
spark.range(4).coalesce(1).write.mode("overwrite").json("dbfs:/shared-place/numbers")
part = [f.path for f in dbutils.fs.ls("dbfs:/shared-place/numbers") if f.name.startswith("part")][0]
local = part.replace("dbfs:", "/dbfs")
assert pathlib.Path(local).read_text() == open(local).read() == dbutils.fs.head(part)
os.makedirs("/dbfs/shared-place/new")
with open("/dbfs/shared-place/new/a.txt", "w") as f:
    f.write("by python")
assert spark.read.text("dbfs:/shared-place/new").first().value == "by python"
dbutils.fs.cp("dbfs:/shared-place/new/a.txt", "dbfs:/shared-place/b.txt")
dbutils.fs.mv("dbfs:/shared-place/b.txt", "dbfs:/shared-place/c.txt")
dbutils.notebook.exit(",".join(sorted(os.listdir("/dbfs/shared-place"))))
"""
    )
    assert outcome.notebook_result == "c.txt,new,numbers", run.log
    assert (run.driver.spec.roots.dbfs / "shared-place" / "c.txt").read_text() == "by python"
    assert "outside" in run.notebook("dbutils.fs.ls('dbfs:/../..')").error


def test_what_is_installed_on_a_driver_is_there_for_all_that_begins_afterwards(
    run: Runner, wheel: Callable[[str], Path], jars: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_libraries", ()), ("_installed", Installed())):  # the driver is shared: put back at the end
        monkeypatch.setattr(run.driver, name, value)
    run.driver.install([LocalLibrary("whl", wheel("six66")), LocalLibrary("jar", jars[200])])
    assert run.python("import tool; print(tool.say())").state == "SUCCESS", run.log
    assert run.log.strip() == "six66"
    # A run's own version comes before it.
    path = run.folder / "own.py"
    path.write_text("import tool; print(tool.say())")
    assert run(PythonFileTask(path), wheel("own")).state == "SUCCESS"
    assert run.log.strip() == "own"
    assert run(JarTask("demo.Main")).state == "SUCCESS"
    assert "answer 603 600" in run.log
    context_id = run.driver.create_context()
    assert run.driver.execute(context_id, "PYTHON", "import tool; print(tool.say())").text.strip() == "six66"
    run.driver.destroy_context(context_id)
    broken = run.folder / "broken-1.0-py3-none-any.whl"
    broken.write_text("no zip")
    with pytest.raises(ValueError, match=r"broken-1.0-py3-none-any.whl is not a zip archive"):
        run.driver.install([LocalLibrary("whl", broken)])
    assert run.python("import tool; print(tool.say())").state == "SUCCESS"
