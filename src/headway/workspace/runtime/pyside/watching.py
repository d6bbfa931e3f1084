"""What the zygote watches of a run: what it prints, what it starts, what memory it takes."""

import contextlib
import os
from collections.abc import Iterable

LOG_BYTES = 64 << 20
TAIL_BYTES = 64 << 10


class RunLog:
    """A run's log: its first `limit` bytes as they come, and at the end the last `tail` of what was left out."""

    def __init__(self, path: str, limit: int = LOG_BYTES, tail: int = TAIL_BYTES) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._left, self._keep = limit - os.fstat(self._file).st_size, tail
        self._limit = limit
        self._dropped = 0
        self._tail = b""

    def write(self, data: bytes) -> None:
        """Keep it, or what may be kept of it."""
        if self._left >= len(data):
            self._left -= len(data)
            _write(self._file, data)
            return
        if self._left > 0:
            _write(self._file, data[: self._left])
            data = data[self._left :]
        if not self._dropped:
            notice = f"\n[headway] this run printed more than {self._limit >> 20} MB: what follows is not kept\n"
            _write(self._file, notice.encode())
        self._left = 0
        self._dropped += len(data)
        self._tail = (self._tail + data)[-self._keep :]

    def close(self) -> None:
        """Write the tail, where something was left out."""
        if self._dropped:
            left_out = self._dropped - len(self._tail)
            _write(self._file, f"[headway] {left_out} bytes were not kept; the last of them:\n".encode() + self._tail)
            self._dropped = 0
        os.close(self._file)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(file, view) :]
        except OSError:  # a full disk must not end the zygote
            return


class ProcessTree:
    """Which process started which, by `/proc`."""

    def children(self, pid: int) -> list[int]:
        """The children of a process, by whichever of its threads."""
        found: list[int] = []
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as listed:
                    found.extend(int(child) for child in listed.read().split())
        return found

    def descendants(self, pid: int) -> list[int]:
        """Its children, theirs, and so on."""
        found: list[int] = []
        ahead = self.children(pid)
        while ahead:
            found.extend(ahead)
            ahead = [child for parent in ahead for child in self.children(parent)]
        return found


def resident_mb(pids: Iterable[int], limit_mb: int) -> int:
    """The memory that these processes have for themselves, in MB. What is below `limit_mb` may be told too high.

    Pages of a file count for nobody. Those that a fork still shares with its parent are one set of pages: to count
    them so, the kernel walks through each process's memory: only where the quick count is over the limit.
    """
    found = list(pids)
    quick = 0
    for pid in found:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/statm") as told:
            _, resident, shared, *_ = told.read().split()
            quick += int(resident) - int(shared)
    quick = quick * os.sysconf("SC_PAGE_SIZE") >> 20
    return quick if quick <= limit_mb else min(quick, _proportional_mb(found))


def _proportional_mb(pids: Iterable[int]) -> int:
    kilobytes = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/smaps_rollup") as told:
            kilobytes += sum(int(line.split()[1]) for line in told if line.startswith(("Pss_Anon:", "SwapPss:")))
    return kilobytes >> 10
