"""Which process holds something, so that another one on the same machine can tell that it is gone."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessMark:
    """A process, told apart from a later one with the same number. `machine` is this boot of this machine's process
    namespace; empty where it cannot be told."""

    machine: str
    pid: int
    started: str


def this_process() -> ProcessMark:
    """The mark of this process."""
    return ProcessMark(_machine(), os.getpid(), _started(os.getpid()) or "")


def is_gone(mark: ProcessMark) -> bool:
    """Whether the process has certainly ended. False where it lives, or where nobody here can know."""
    if not mark.machine or mark.machine != _machine():
        return False
    return _started(mark.pid) != mark.started


def owner() -> str:
    """Who this process is, for others to read."""
    return f"{os.environ.get('USER') or os.environ.get('LOGNAME') or os.getuid()}@{socket.gethostname()}:{os.getpid()}"


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When it started, in the kernel's ticks; None where there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
