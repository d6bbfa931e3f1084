"""Forgets runs that ended long ago, with their files. Never an active one.

Source: Databricks, "Jobs: limits": runs are kept for 60 days.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from headway.workspace.engine.timers import Act, Timers

logger = logging.getLogger(__name__)

DAY_MS = 86_400_000
_AT_ONCE = 200


class Kept(Protocol):
    """Where runs are kept."""

    def ended_before(self, at_ms: int, limit: int) -> list[int]:
        """Runs that ended before then."""

    def forget(self, run_ids: Sequence[int]) -> list[int]:
        """Remove them; return the ids of them and of their tasks."""


Forget = Callable[[Sequence[int]], None]


def prune(runs: Kept, folder: Path, before_ms: int, also: Sequence[Forget] = ()) -> int:
    """Forget the runs that ended before then; return how many they were. `folder` holds a folder for each run; `also`
    are told the ids of the runs and of their tasks."""
    count = 0
    while found := runs.ended_before(before_ms, _AT_ONCE):
        for run_id in found:  # first the files: were it ended half-way, the next time would find the run again
            shutil.rmtree(folder / str(run_id), ignore_errors=True)
        gone = runs.forget(found)
        for forget in also:
            forget(gone)
        count += len(found)
    return count


class Retention:
    """Prunes once a day, in a thread of its own. With `days` 0 nothing is forgotten. `prune` forgets what ended before
    a time, and returns how many runs that were."""

    def __init__(self, prune: Callable[[int], int], timers: Timers, days: int) -> None:
        self._prune, self._timers, self._days = prune, timers, days
        self._take_back: Act = lambda: None

    def start(self) -> None:
        """Prune now, and again each day."""
        if self._days > 0:
            threading.Thread(target=self._act, name="retention", daemon=True).start()
            self._take_back = self._timers.at(self._timers.now_ms() + DAY_MS, self.start)

    def close(self) -> None:
        """Begin no more."""
        self._take_back()

    def _act(self) -> None:
        try:
            count = self._prune(self._timers.now_ms() - self._days * DAY_MS)
        except Exception:
            logger.exception("runs that ended long ago were not forgotten")
            return
        if count:
            logger.info("%s runs that ended more than %s days ago were forgotten", count, self._days)
