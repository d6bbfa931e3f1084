"""Spark's history server: the UI of applications that have ended, from their event logs.

One process at most, started when somebody first asks, ended when nobody has for a while. It sees only the logs that
were asked for: each is linked into its folder then.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import requests

from headway.adapters.java import SPARK_OPTIONS
from headway.workspace.runtime.hostjar import prepare
from headway.workspace.runtime.tasks import DriverFailed, Runtime

MEMORY_MB = 512
IDLE_SECONDS = 600.0
START_SECONDS = 120.0
APPLICATIONS = 20
_POLL_SECONDS = 0.1
# It ends with the workspace: the kernel kills it when the thread that started it is gone.
_START = (
    "import ctypes, os, signal, sys; "
    "getattr(ctypes.CDLL(None), 'prctl', lambda *a: 0)(1, signal.SIGKILL, 0, 0, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class HistoryServer:
    """The server of one workspace. `folder` is its own. It runs on the default runtime, which reads the logs of older
    Sparks too."""

    def __init__(self, runtime: Runtime, cache: Path, folder: Path, idle_seconds: float = IDLE_SECONDS) -> None:
        self._runtime, self._cache, self._folder, self._idle = runtime, cache, folder, idle_seconds
        self._secret = secrets.token_urlsafe(32)
        self._changed = threading.Condition()
        self._port: int | None = None
        self._failed: str | None = None
        self._running = self._closed = False
        self._used = 0.0

    def show(self, log: Path, application: str) -> tuple[int, str]:
        """Its port and secret, once it shows that application. Raise DriverFailed."""
        self._link(log, application)
        with self._changed:
            self._used = time.monotonic()
            if self._closed:
                raise DriverFailed("HISTORY_SERVER_ENDED", "the workspace is being stopped")
            if not self._running:
                self._running, self._failed = True, None
                threading.Thread(target=self._run, name="history", daemon=True).start()
            self._changed.wait_for(lambda: self._port or self._failed, timeout=START_SECONDS)
            port = self._port
            if port is None:
                raise DriverFailed("HISTORY_SERVER_FAILED", f"Spark's history server did not start: {self._failed}")
        self._wait_for(port, application)
        return port, self._secret

    def close(self) -> None:
        """End it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running, timeout=30)

    def _wait_for(self, port: int, application: str) -> None:
        address = f"http://127.0.0.1:{port}/api/v1/applications/{application}"
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.get(address, headers={"X-Headway-Secret": self._secret}, timeout=60)
                if answer.status_code == requests.codes.ok:
                    return
            if time.monotonic() > deadline:
                raise DriverFailed("HISTORY_SERVER_FAILED", f"the history server does not show {application}")
            time.sleep(_POLL_SECONDS)

    def _link(self, log: Path, application: str) -> None:
        """Give it a log, and take the oldest ones away from it."""
        shown = self._folder / "logs"
        shown.mkdir(parents=True, exist_ok=True)
        for name in (application, f"{application}.inprogress"):
            there = shown / name
            if there.exists() and not (name == log.name and there.samefile(log)):
                there.unlink()
        place = shown / log.name
        if not place.exists():
            try:
                os.link(log, place)
            except OSError:  # another file system
                shutil.copyfile(log, place)
        for old in sorted(shown.iterdir(), key=lambda path: path.lstat().st_ctime_ns)[:-APPLICATIONS]:
            old.unlink()

    def _run(self) -> None:
        """Start it and stay with it to its end: it lives as long as this thread."""
        process = None
        try:
            with (self._folder / "history.log").open("wb") as log:
                process = self._start(log)
            port = self._announced(process)
            with self._changed:
                self._port = port
                self._changed.notify_all()
                while not self._closed and process.poll() is None:
                    left = self._used + self._idle - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(min(left, 5.0))
        except Exception as error:  # noqa: BLE001  (told to those who wait)
            self._failed = str(error)
        finally:
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            with self._changed:
                self._port, self._running = None, False
                self._changed.notify_all()

    def _start(self, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        settings = {
            "spark.history.fs.logDirectory": (self._folder / "logs").as_uri(),
            "spark.history.fs.update.interval": "1s",
            "spark.history.retainedApplications": "3",
            "spark.history.ui.port": "0",
            "spark.ui.filters": "headway.host.UiGate",
        }
        jars = [str(prepare(self._runtime, self._cache).jar), f"{self._runtime.spark_home}/jars/*"]
        java = str(self._runtime.java_home / "bin" / "java")
        command = [java, f"-Xmx{MEMORY_MB}m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *SPARK_OPTIONS]
        command += [f"-D{key}={value}" for key, value in settings.items()]
        command += ["-cp", ":".join(jars), "org.apache.spark.deploy.history.HistoryServer"]
        kept = {key: os.environ[key] for key in ("HOME", "LANG", "LC_ALL", "PATH", "TZ", "USER") if key in os.environ}
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, *command],
            env={**kept, "SPARK_LOCAL_IP": "127.0.0.1", "HEADWAY_UI_SECRET": self._secret},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _announced(self, process: "subprocess.Popen[bytes]") -> int:
        deadline = time.monotonic() + START_SECONDS
        while True:
            said = (self._folder / "history.log").read_text(encoding="utf-8", errors="replace")
            found = re.search(r"HistoryServer.* started at http://[^\s:]+:(\d+)", said)
            if found:
                return int(found.group(1))
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(said[-1000:] or "it told nothing")
            time.sleep(_POLL_SECONDS)
