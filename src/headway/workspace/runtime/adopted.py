"""A driver's process as its supervisor sees it, also where another process, that was killed, had started it."""

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Protocol

# The exit status of a process that is not ours is not told to us.
UNKNOWN_STATUS = 256


class DriverProcess(Protocol):
    """What a driver asks of its process; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raise subprocess.TimeoutExpired."""


class AdoptedProcess:
    """The process `pid`, where `mark` is one of its arguments (a process id may be another's by now).

    Raise ProcessLookupError where there is none.
    """

    def __init__(self, pid: int, mark: str) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)
        self._status: int | None = None
        try:
            if mark.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                raise ProcessLookupError(f"process {pid} is another")
        except FileNotFoundError:
            os.close(self._handle)
            raise ProcessLookupError(f"process {pid} has ended") from None
        except ProcessLookupError:
            os.close(self._handle)
            raise

    def poll(self) -> int | None:
        """UNKNOWN_STATUS once it has ended."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raise subprocess.TimeoutExpired."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def _look(self, seconds: float | None) -> int | None:
        if self._status is None and select.select([self._handle], [], [], seconds)[0]:
            self._status = UNKNOWN_STATUS
            os.close(self._handle)
        return self._status


def end_group(process: DriverProcess) -> None:
    """End the whole process group of a driver: the JVM, its zygote, and what those started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
