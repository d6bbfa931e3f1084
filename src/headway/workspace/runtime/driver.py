"""A driver as its supervisor sees it: start, run tasks, cancel, stop."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.workspace.runtime import initscripts, launch, messages
from headway.workspace.runtime import libraries as installing
from headway.workspace.runtime.adopted import UNKNOWN_STATUS, AdoptedProcess, DriverProcess, end_group
from headway.workspace.runtime.hostjar import make_folders, prepare
from headway.workspace.runtime.submitting import Submissions
from headway.workspace.runtime.tasks import (
    ApiAccess,
    CommandOutcome,
    ContextFailed,
    ContextLanguage,
    DriverFailed,
    DriverSpec,
    Library,
    SubmitTask,
    TaskOutcome,
    TaskRequest,
)

LEASE_SECONDS = 60
START_SECONDS = 180
KEPT_OUTCOMES = 200
LOOK_SECONDS = 5
_POLL_SECONDS = 0.02


class Driver:
    """A running driver process. Its methods may be called from several threads at once.

    `session_settings` are Spark settings that every run's session gets.
    `tainted` becomes true when a run left a thread behind that cannot be ended (an endless loop on the JVM).
    """

    def __init__(self, spec: DriverSpec, cache: Path, process: DriverProcess, said: Mapping[str, Any]) -> None:
        self.spec = spec
        self.folder = spec.folder
        self.tainted = False
        self.session_settings: Mapping[str, str] = {}
        self._libraries: tuple[Library, ...] = ()
        self._installed = installing.Installed()
        self._installing = threading.Lock()
        self.spark_version: str = said["spark"]
        self.application_id: str = said["application"]
        self._cache = cache
        self._process = process
        self._address = ("127.0.0.1", int(said["port"]))
        self._secret: str = said["secret"]
        self._stopping = threading.Lock()
        self._submissions = Submissions(spec, spec.folder, cache)
        self._ended: deque[str] = deque()
        # One connection stays open for the driver's whole life: while it is, the driver does not end itself.
        self._lease = self._connect()
        try:
            self._lease.sendall(b'{"op": "lease"}\n')
            with self._lease.makefile("rb") as answers:
                held = answers.readline()
        except OSError:
            held = b""
        if not held:
            self._lease.close()
            raise self._died(None)

    @classmethod
    def start(cls, spec: DriverSpec, cache: Path) -> "Driver":
        """Start one and wait until it can run tasks. Raise DriverFailed with the end of what it printed."""
        prepared = prepare(spec.runtime, cache)
        make_folders(spec, prepared.jar)
        initscripts.run_all(spec, os.environ)
        with (spec.folder / "logs" / "stdout").open("ab") as out, (spec.folder / "logs" / "stderr").open("ab") as err:
            process = subprocess.Popen(
                launch.with_files(spec, launch.command(spec, prepared.jar, prepared.archive, LEASE_SECONDS)),
                env=launch.environment(spec, os.environ),
                cwd=spec.folder / "tmp",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        try:
            return cls(spec, cache, process, _announced(spec.folder, process))
        except BaseException:
            end_group(process)
            raise

    @classmethod
    def adopt(cls, spec: DriverSpec, cache: Path) -> "Driver":
        """Take over the driver that an earlier process left in `spec.folder`. Raise DriverFailed where none is there.

        Its runs go on: see `resume`.
        """
        try:
            said = json.loads((spec.folder / "driver.json").read_text())
            process = AdoptedProcess(int(said["pid"]), str(spec.folder))
        except FileNotFoundError:
            raise DriverFailed("DRIVER_UNREACHABLE", "the driver was not ready") from None
        except ProcessLookupError:
            raise _failure(spec.folder, UNKNOWN_STATUS) from None
        return cls(spec, cache, process, said)

    @property
    def pid(self) -> int:
        """The process id of its JVM, which is its process group's."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its JVM runs."""
        return self._process.poll() is None

    def run(self, request: TaskRequest) -> TaskOutcome:
        """Run a task to its end. Raise DriverFailed where the driver dies meanwhile."""
        request.log.parent.mkdir(parents=True, exist_ok=True)
        request.log.touch()
        if isinstance(request.task, SubmitTask):
            self._remember(request.run_id, {"op": "submit"})
            return self._submissions.run(request, request.task, self.session_settings)
        began = time.monotonic()
        try:
            message = messages.task(request, self._place())
        except ValueError as error:  # a library that cannot be used
            _append(request.log, f"{error}\n")
            return TaskOutcome("FAILED", str(error), code="LIBRARY_INSTALLATION_ERROR")
        self._remember(request.run_id, messages.remembered(message))
        start = {"op": "start", "run": request.run_id, "task": message}
        _, answer = self._ask_all(start, {"op": "await", "run": request.run_id})
        return self._outcome(request.run_id, answer, began)

    def resume(self, run_id: str) -> TaskOutcome | None:
        """Wait for the end of a run that was begun before, also by an earlier process; None where it never was.

        `seconds` of the outcome are those of the waiting. Raise DriverFailed where the driver dies meanwhile.
        """
        began = time.monotonic()
        answer = self._ask({"op": "await", "run": run_id})
        if not answer.get("unknown"):
            return self._outcome(run_id, answer, began)
        asked = self._asked(run_id)
        if asked.exists() and json.loads(asked.read_text(encoding="utf-8"))["op"] == "submit":
            raise DriverFailed("WORKSPACE_RESTARTED", "its spark-submit process ended with the workspace")
        return None

    def _outcome(self, run_id: str, answer: Mapping[str, Any], began: float) -> TaskOutcome:
        if answer.get("tainted"):
            self.tainted = True
        self._ended.append(run_id)
        if len(self._ended) > KEPT_OUTCOMES:
            old = self._ended.popleft()
            for ending in ("", ".asked", ".values", ".children"):
                (self.folder / "runs" / f"{old}{ending}.json").unlink(missing_ok=True)
        asked = json.loads(self._asked(run_id).read_text(encoding="utf-8"))
        return messages.outcome(asked, answer, time.monotonic() - began)

    def _remember(self, run_id: str, asked: Mapping[str, Any]) -> None:
        """What was asked must be known to a process that takes this driver over; nothing in it is secret."""
        self._asked(run_id).parent.mkdir(exist_ok=True)
        self._asked(run_id).write_text(json.dumps(asked), encoding="utf-8")

    def _asked(self, run_id: str) -> Path:
        return self.folder / "runs" / f"{run_id}.asked.json"

    def resize(self, least: int, most: int) -> bool:
        """Have Spark keep at least and at most this many executors; false where the driver does everything itself."""
        return bool(self._ask({"op": "resize", "least": least, "most": most})["done"])

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables of its cluster, with their secrets."""
        return self.spec.env

    @property
    def host(self) -> str:
        """The address by which its executors reach it."""
        return self.spec.executors.driver_host if self.spec.executors else "127.0.0.1"

    @property
    def ready_ms(self) -> int:
        """When it was ready, in milliseconds since 1970."""
        return int((self.folder / "driver.json").stat().st_mtime * 1000)

    def executors(self) -> list[dict[str, Any]]:
        """Those that live: `id`, `host` (with its port), `cores`, `memory` in bytes for storage, `active` tasks,
        `started_ms`; none where it does everything itself. Raise DriverFailed, also where it does not answer
        in time."""
        if self.spec.executors is None:
            return []
        found: list[dict[str, Any]] = self._ask({"op": "executors"}, LOOK_SECONDS)["executors"]
        return found

    def ui(self) -> tuple[int, str]:
        """The port of its Spark UI on loopback, started if it was not yet, and the secret that lets one in."""
        return int(self._ask({"op": "ui"})["port"]), self._secret

    def why_dead(self) -> DriverFailed:
        """Why it has ended, once it has."""
        return self._died(None)

    def cancel(self, run_id: str) -> None:
        """End a run's Spark jobs, streams, threads and processes; its `run` returns CANCELED."""
        if not self._submissions.cancel(run_id) and self.alive:
            self._ask({"op": "cancel", "run": run_id})

    def stop(self) -> None:
        """End it and everything it started, and remove its scratch folder. Logs and event log stay."""
        self._submissions.close()
        with self._stopping:
            if self.alive:
                try:
                    self._ask({"op": "stop"})
                    self._process.wait(timeout=5)
                except (DriverFailed, subprocess.TimeoutExpired):
                    pass
            end_group(self._process)
            self._lease.close()
            shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def install(self, libraries: Sequence[Library]) -> None:
        """Give these to every run and context that begins from now on, beside those that it has. Raise ValueError that
        names the one that cannot be, and why: then nothing has changed."""
        with self._installing:
            wanted = tuple(dict.fromkeys((*self._libraries, *libraries)))
            self._installed = installing.install(wanted, self.spec.runtime, self._cache)
            self._libraries = wanted

    def create_context(
        self,
        libraries: tuple[Library, ...] = (),
        context: Mapping[str, str] | None = None,
        api: ApiAccess | None = None,
    ) -> str:
        """A new context: a session, and namespaces of Python and Scala, until `destroy_context`. Return its id.

        Raise ContextFailed, DriverFailed.
        """
        context_id = uuid.uuid4().hex
        log = self.folder / "logs" / f"context-{context_id}"
        try:
            message = messages.context(context_id, libraries, log, context or {}, api, self._place())
        except ValueError as error:  # a library that cannot be used
            raise ContextFailed(str(error)) from None
        answer = self._ask(message)
        if "ready" not in answer:
            raise ContextFailed(f"the context did not start: {answer.get('lost', 'it told nothing')}")
        return context_id

    def execute(self, context_id: str, language: ContextLanguage, code: str) -> CommandOutcome:
        """Run a command in a context, after those that it was given before. Raise DriverFailed."""
        return messages.command_outcome(
            self._ask({"op": "execute", "run": context_id, "language": language, "code": code})
        )

    def cancel_command(self, context_id: str) -> None:
        """End the context's present command; it returns CANCELED. One that cannot be ended ends with its context."""
        if self.alive:
            self._ask({"op": "interrupt", "run": context_id})

    def destroy_context(self, context_id: str) -> None:
        """End a context with everything it runs; nothing happens to one that is gone."""
        self.cancel(context_id)

    def _place(self) -> messages.Place:
        return messages.Place(self.spec, self.folder, self.session_settings, self._cache, self._installed)

    def _connect(self, seconds: float | None = None) -> socket.socket:
        try:
            connection = socket.create_connection(self._address, timeout=10)
        except OSError as error:
            raise self._died(error) from error
        connection.settimeout(seconds)
        try:
            connection.sendall(self._secret.encode() + b"\n")
        except OSError as error:
            connection.close()
            raise self._died(error) from error
        return connection

    def _ask(self, message: Mapping[str, Any], seconds: float | None = None) -> dict[str, Any]:
        return self._ask_all(message, seconds=seconds)[0]

    def _ask_all(self, *asked: Mapping[str, Any], seconds: float | None = None) -> list[dict[str, Any]]:
        """Send these on one connection; return their answers. Raise DriverFailed, also where one takes longer."""
        answers = []
        try:
            with self._connect(seconds) as connection, connection.makefile("rb") as lines:
                connection.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in asked))
                for _ in asked:
                    line = lines.readline()
                    if not line:
                        raise self._died(None)
                    answer: dict[str, Any] = json.loads(line)
                    if "failure" in answer:
                        raise DriverFailed("DRIVER_UNREACHABLE", f"the driver could not do it: {answer['failure']}")
                    answers.append(answer)
        except OSError as error:
            raise self._died(error) from error
        return answers

    def _died(self, cause: Exception | None) -> DriverFailed:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return DriverFailed("DRIVER_UNREACHABLE", f"the driver does not answer: {cause}")
        return _failure(self.folder, status)


def _announced(folder: Path, process: DriverProcess) -> dict[str, Any]:
    """What the driver writes when it is ready."""
    path = folder / "driver.json"
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        status = process.poll()
        if status is not None:
            failed = _failure(folder, status)
            raise DriverFailed(
                failed.reason if "MEMORY" in failed.reason else "SPARK_STARTUP_FAILURE",
                f"the driver did not start. {failed.message}",
            )
        if time.monotonic() > deadline:
            raise DriverFailed(
                "SPARK_STARTUP_FAILURE",
                f"the driver was not ready after {START_SECONDS} s: its log4j says why. With workers of their own it "
                "is ready when one of them has done a first query.",
            )
        time.sleep(_POLL_SECONDS)
    said: dict[str, Any] = json.loads(path.read_text())
    return said


def _failure(folder: Path, status: int) -> DriverFailed:
    """Why a driver ended, from its exit status and the end of what it printed. JVM: 3 means out of memory."""
    tail = "".join(_tail(folder / "logs" / name) for name in ("stdout", "stderr"))[-2000:]
    if status == UNKNOWN_STATUS and "OutOfMemoryError" not in tail:
        return DriverFailed("DRIVER_UNREACHABLE", f"the driver has ended. {tail.strip()}".strip())
    if status == -signal.SIGKILL:
        return DriverFailed("DRIVER_UNREACHABLE", "the driver's process was killed (SIGKILL)")
    if "OutOfMemoryError" in tail:
        return DriverFailed("DRIVER_OUT_OF_MEMORY", f"the driver ran out of memory. {tail.strip()}")
    return DriverFailed("DRIVER_UNREACHABLE", f"the driver ended with status {status}. {tail.strip()}".strip())


def _tail(path: Path, size: int = 2000) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as source:
        source.seek(max(0, path.stat().st_size - size))
        return source.read().decode("utf-8", "replace")


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as target:
        target.write(text)


StartDriver = Callable[[DriverSpec, Path], Driver]
