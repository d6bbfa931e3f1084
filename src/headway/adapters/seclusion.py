"""Keep this process's memory and environment from other programs of the same user: builds run as the server's user."""

import ctypes
import sys

_SET_DUMPABLE = 4  # prctl(2): PR_SET_DUMPABLE


def seclude() -> bool:
    """From now on `/proc/<pid>/environ`, `/proc/<pid>/mem` and ptrace of this process are for root only, and it leaves
    no core file. Programs that it starts are as open as ever. False where the system knows no such thing."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0) == 0)
