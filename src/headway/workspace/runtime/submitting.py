"""`spark-submit` tasks: a program of its own, beside the driver, within the limits of the cluster."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from headway.workspace.runtime import launch
from headway.workspace.runtime.hostjar import prepare
from headway.workspace.runtime.libraries import Installed, install
from headway.workspace.runtime.pyside.watching import ProcessTree, RunLog
from headway.workspace.runtime.tasks import DriverSpec, SubmitTask, TaskOutcome, TaskRequest

# What the cluster decides, not the task. Source: Databricks REST API, Jobs 2.2, spark_submit_task.
_OURS = ("--master", "--deploy-mode", "--driver-memory", "--executor-memory", "--properties-file")
_MARK = "HEADWAY_SUBMIT"

# It ends with the workspace: the kernel kills it when the thread that waits for it is gone.
_START = (
    "import ctypes, os, signal, sys; "
    "getattr(ctypes.CDLL(None), 'prctl', lambda *a: 0)(1, signal.SIGKILL, 0, 0, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Submissions:
    """The `spark-submit` processes of one driver's cluster."""

    def __init__(self, spec: DriverSpec, folder: Path, cache: Path) -> None:
        self._spec, self._folder, self._cache = spec, folder, cache
        self._lock = threading.Lock()
        self._live: dict[str, subprocess.Popen[bytes]] = {}
        self._canceled: set[str] = set()

    def run(self, request: TaskRequest, task: SubmitTask, settings: Mapping[str, str]) -> TaskOutcome:
        """Run one to its end; what it prints goes to the log of the request."""
        began = time.monotonic()
        arguments, ignored = ours_left_out(task.arguments)
        log = RunLog(str(request.log))
        if ignored:
            log.write(f"[headway] the cluster decides {', '.join(ignored)}: not taken from the task\n".encode())
        configuration = self._configuration(request.run_id, settings)
        try:
            installed = install(request.libraries, self._spec.runtime, self._cache)
        except ValueError as error:  # a library that cannot be used
            log.write(f"{error}\n".encode())
            log.close()
            return TaskOutcome("FAILED", str(error), code="LIBRARY_INSTALLATION_ERROR")
        more = ["--jars", ",".join(map(str, installed.jars))] if installed.jars else []
        submit = str(self._spec.runtime.spark_home / "bin" / "spark-submit")
        command = [submit, *more, *arguments]
        with self._lock:
            if request.run_id in self._canceled:
                return TaskOutcome("CANCELED")
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, *launch.with_files(self._spec, command)],
                env=self._environment(request.run_id, configuration, installed),
                cwd=self._folder / "tmp",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._live[request.run_id] = process
        try:
            pump = threading.Thread(target=_pump, args=(process, log), daemon=True)
            pump.start()
            status = process.wait()
            _kill(process.pid, request.run_id)
            pump.join()
        finally:
            with self._lock:
                self._live.pop(request.run_id)
            log.close()
        seconds = time.monotonic() - began
        if request.run_id in self._canceled:
            return TaskOutcome("CANCELED", seconds=seconds)
        if status == 0:
            return TaskOutcome("SUCCESS", seconds=seconds)
        return TaskOutcome("FAILED", f"spark-submit ended with status {status}; its log says why", seconds=seconds)

    def cancel(self, run_id: str) -> bool:
        """End one with all it started; False where it is none of these."""
        with self._lock:
            process = self._live.get(run_id)
            if process is None:
                return False
            self._canceled.add(run_id)
        _kill(process.pid, run_id)
        return True

    def close(self) -> None:
        """End all."""
        with self._lock:
            live = list(self._live)
        for run_id in live:
            self.cancel(run_id)

    def _configuration(self, run_id: str, settings: Mapping[str, str]) -> Path:
        """A configuration folder of its own: the cluster's Spark settings as defaults, its logging."""
        folder = self._folder / "submits" / run_id
        folder.mkdir(parents=True, exist_ok=True)
        host_jar = str(prepare(self._spec.runtime, self._cache).jar)
        own = {
            **launch.settings(self._spec, prepare(self._spec.runtime, self._cache).jar),
            **settings,
            "spark.app.name": run_id,
            "spark.headway.run": f"run-{run_id}",  # services.monitoring.model.RUN_SETTING: whose jobs its event log has
            "spark.driver.extraClassPath": ":".join([host_jar, *launch.script_jars(self._spec)]),
        }
        own.setdefault("spark.executor.extraClassPath", host_jar)
        lines = [f"{key} {value}\n" for key, value in own.items()]
        (folder / "spark-defaults.conf").touch(mode=0o600)  # it may hold secrets
        (folder / "spark-defaults.conf").write_text("".join(lines), encoding="utf-8")
        (folder / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
        return folder

    def _environment(self, run_id: str, configuration: Path, installed: Installed) -> dict[str, str]:
        own = launch.environment(self._spec, os.environ)
        libraries = [*map(str, installed.python_path), own.get("PYTHONPATH", "")]
        return {
            **own,
            "SPARK_CONF_DIR": str(configuration),
            "SPARK_SUBMIT_OPTS": f"-Djava.io.tmpdir={self._folder / 'tmp'}",
            "PYTHONPATH": os.pathsep.join(path for path in libraries if path),
            _MARK: run_id,
        }


def ours_left_out(arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The arguments without those that the cluster decides, and the names of the latter."""
    kept: list[str] = []
    ignored: list[str] = []
    rest = list(arguments)
    while rest:
        head = rest.pop(0)
        name = head.partition("=")[0]
        if name in _OURS:
            ignored.append(name)
            if "=" not in head and rest:
                rest.pop(0)
        elif head.startswith("--") and "=" not in head and rest and head not in ("--verbose", "--supervise"):
            kept += [head, rest.pop(0)]
        else:  # the application: what follows is its own
            kept.append(head)
            if not head.startswith("-"):
                return kept + rest, ignored
    return kept, ignored


def _pump(process: "subprocess.Popen[bytes]", log: RunLog) -> None:
    assert process.stdout is not None  # noqa: S101  (asked for)
    with process.stdout as printed:
        while data := os.read(printed.fileno(), 1 << 16):
            log.write(data)


def _kill(pid: int, run_id: str) -> None:
    """End its process group, and what of it made itself a session of its own (known by the environment)."""
    tree = ProcessTree().descendants(pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    marked = f"{_MARK}={run_id}".encode()
    strays = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _has(entry, marked)]
    for stray in {*tree, *strays}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(stray, signal.SIGKILL)


def _has(entry: Path, marked: bytes) -> bool:
    try:
        return marked in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


_LOG4J = """rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
"""
