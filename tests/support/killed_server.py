"""The `headway` program, killed by SIGKILL right after each step of a run is done and before that is recorded, once
each: the worst moment. HEADWAY_TEST_KILLS is the folder that remembers which it was killed at.

Each life is a process of its own, forked from this one, which only holds what Python has imported: so a life costs no
start of an interpreter. The next one begins as soon as one was killed.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

import databricks.sdk  # noqa: F401  (imported for the lives: each would take seconds for it)
import dbos  # noqa: F401
import uvicorn  # noqa: F401

import headway.web  # noqa: F401
from headway.cli.main import main
from headway.pipeline import server  # noqa: F401
from headway.pipeline.execution import Executor

perform = Executor.perform
folder = Path(os.environ["HEADWAY_TEST_KILLS"])
_DIE_WITH_PARENT = 1


def perform_and_die(self: Executor, name: str, run_id: int, attempt: int, environment: str = "") -> Any:
    """Do a step, then end the process as a power failure does."""
    answer = perform(self, name, run_id, attempt, environment)
    mark = folder / f"{name}-{environment or 'line'}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


def live() -> int:
    """One life; the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        main()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


Executor.perform = perform_and_die  # type: ignore[method-assign]
while live() == signal.SIGKILL:
    pass
sys.exit(1)
