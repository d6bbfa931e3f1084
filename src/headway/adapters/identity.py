"""Which process of which machine somebody is: to know of a lease whether its holder has ended."""

import os
import socket
from pathlib import Path


def this_process() -> str:
    """`host:boot:namespace:pid:start`: no other process, on any machine, has or had the same."""
    return f"{_here()}:{os.getpid()}:{started(os.getpid())}"


def has_ended(process: str) -> bool:
    """Whether a process that told its `this_process` has ended. False where that cannot be known: it is of another
    machine, or of another container of this one."""
    here, _, rest = process.rpartition(":")[0].rpartition(":")
    start = process.rpartition(":")[2]
    if not rest.isdigit() or here != _here() or "unknown" in here:
        return False
    return started(int(rest)) != start


def started(pid: int) -> str | None:
    """When a process began, in the kernel's own count; None where there is no such process (or only its remains)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _here() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        boot = namespace = "unknown"
    return f"{socket.gethostname()}:{boot}:{namespace}".replace(" ", "")
