"""Code that misbehaves harms its own run, and nothing else on its driver."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headway.workspace.runtime import messages
from headway.workspace.runtime.pyside import watching
from headway.workspace.runtime.tasks import JarTask, PythonFileTask, TaskOutcome
from spark.conftest import Runner
from support.served_workspace import until

pytestmark = pytest.mark.spark

GOOD = "from pyspark.sql import SparkSession\nprint(SparkSession.builder.getOrCreate().range(3).count())"


def gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or " Z " in stat.read_text()


def cancel_when(run: Runner, task: JarTask | PythonFileTask, said: str, *libraries: Path) -> tuple[TaskOutcome, str]:
    """Run a task, cancel it once it has printed something; how it ended, what it printed."""
    request = run.request(task, *libraries)
    ended: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: ended.append(run.driver.run(request)))
    thread.start()
    until(lambda: request.log.exists() and said in request.log.read_text(), 60)
    run.driver.cancel(request.run_id)
    thread.join(60)
    return ended[0], request.log.read_text()


@pytest.fixture
def beside(run: Runner, tmp_path: Path) -> Iterator[None]:
    """Another run on the same driver, which goes on for the whole test and must end well."""
    program, done = tmp_path / "beside.py", tmp_path / "beside.done"
    program.write_text(
        "import os, time\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
        f"while not os.path.exists({str(done)!r}):\n    assert spark.range(10).count() == 10\n    time.sleep(0.05)\n"
    )
    request = run.request(PythonFileTask(program))
    ended: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: ended.append(run.driver.run(request)))
    thread.start()
    until(request.log.exists)
    yield
    done.touch()
    thread.join(60)
    assert [outcome.state for outcome in ended] == ["SUCCESS"], request.log.read_text()


ESCAPE = """
import os, sys, time
told, tell = os.pipe()
if os.fork() == 0:  # a daemon: a session of its own, its parent gone, nothing of ours in its environment
    os.setsid()
    if os.fork() == 0:
        os.write(tell, str(os.getpid()).encode())
        os.execve("/bin/sleep", ["sleep", "300"], {})
    os._exit(0)
os.wait()
print("daemon", os.read(told, 100).decode(), flush=True)
time.sleep(int(sys.argv[1]))
"""


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("ending", ["by itself", "canceled"])
def test_a_daemon_ends_with_the_run_that_started_it(run: Runner, tmp_path: Path, ending: str) -> None:
    (tmp_path / "escape.py").write_text(ESCAPE)
    task = PythonFileTask(tmp_path / "escape.py", ("0" if ending == "by itself" else "300",))
    if ending == "by itself":
        assert run(task).state == "SUCCESS"
        said = run.log
    else:
        outcome, said = cancel_when(run, task, "daemon")
        assert outcome.state == "CANCELED"
    daemons = [int(pid) for pid in said.split()[1:]]
    assert daemons
    until(lambda: all(gone(pid) for pid in daemons))


@pytest.mark.usefixtures("beside")
def test_too_much_memory_ends_only_its_run_and_says_so(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greedy.py").write_text("held = []\nwhile True:\n    held.append(bytearray(4 << 20))\n")
    task = messages.task

    def with_little(request: object, place: messages.Place) -> messages.Message:
        return task(request, replace(place, spec=replace(place.spec, memory_mb=150)))  # type: ignore[arg-type]

    monkeypatch.setattr(messages, "task", with_little)
    outcome = run(PythonFileTask(tmp_path / "greedy.py"))
    assert outcome.state == "FAILED"
    assert "MB of memory; its cluster gives it 150 MB (out of memory)" in outcome.error
    monkeypatch.undo()
    assert run.python(GOOD).state == "SUCCESS"


@pytest.mark.usefixtures("beside")
def test_endless_output_is_cut_and_the_end_is_kept(run: Runner, jars: dict[int, Path]) -> None:
    outcome = run.python("for n in range(300):\n    print('x' * (1 << 20))\nprint('the last words')")
    assert outcome.state == "SUCCESS"
    path = run.path(run.count)
    assert path.stat().st_size < watching.LOG_BYTES + 2 * watching.TAIL_BYTES
    text = path.read_text()
    assert "printed more than 64 MB" in text
    assert text.endswith("the last words\n")
    path.unlink()
    assert run(JarTask("demo.Main", ("print", "100")), jars[10]).state == "SUCCESS"
    assert run.path(run.count).stat().st_size < watching.LOG_BYTES + 4096
    assert "printed more than 64 MB" in run.log[-4096:]


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(
    "program",
    [
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True)\nwhile True: pass",
        # What they share with their parent counts once: 40 times 60 MB would be more than they may have.
        "import os, time\nheld = bytearray(60 << 20)\nfor _ in range(40):\n    if os.fork() == 0: time.sleep(300)\n"
        "time.sleep(1.2)\nprint('on', flush=True)\n"
        "time.sleep(300)",
    ],
)
def test_what_does_not_end_is_ended_by_a_cancel(run: Runner, tmp_path: Path, program: str) -> None:
    (tmp_path / "stays.py").write_text(program)
    outcome, _ = cancel_when(run, PythonFileTask(tmp_path / "stays.py"), "on")
    assert outcome.state == "CANCELED"


def test_a_run_that_dies_in_spark_leaves_spark_to_the_others(run: Runner) -> None:
    head = "import os\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
    killed = run.python(head + "spark.range(1).foreach(lambda _: os._exit(9))")
    assert killed.state == "FAILED"
    assert run.python(head + "spark.sparkContext.stop(); spark.stop(); os._exit(7)").error.endswith("status 7")
    assert run.python(GOOD).state == "SUCCESS"


def test_an_endless_loop_on_the_jvm_taints_its_driver(
    run: Runner, jars: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.driver, "tainted", False)  # it is shared: whatever a run of another test left behind
    outcome, _ = cancel_when(run, JarTask("demo.Main", ("spin",)), "spinning", jars[10])
    assert outcome.state == "CANCELED"
    assert run.driver.tainted
    assert run.jar(jars[10]).state == "SUCCESS"
