"""When tasks of continuous runs, and continuous runs, are tried again.

Source: Databricks, "Run jobs continuously": failed tasks and runs are retried with exponentially growing pauses; a task
is retried (at most three times) while another task of the run is still on its first attempt. The lengths of the pauses
are not documented: they are chosen here.
"""

import threading

MAX_TASK_RETRIES = 3
FIRST_PAUSE_MS = 15_000
LONGEST_PAUSE_MS = 3_600_000
HEALTHY_MS = 600_000


def pause_ms(failures: int) -> int:
    """The pause after that many failures in a row (at least 1): 15 s, 30 s, 60 s, … at most an hour."""
    return min(FIRST_PAUSE_MS * 2 ** min(failures - 1, 20), LONGEST_PAUSE_MS) if failures > 0 else 0


class FirstAttempts:
    """Which tasks of a run are still on their first attempt. A single task may always be retried."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: set[int] = set()
        self._seen = 0

    def began(self, task_run_id: int) -> None:
        """An attempt begins."""
        with self._lock:
            self._seen += 1
            self._first.add(task_run_id)

    def ended(self, task_run_id: int) -> None:
        """An attempt has ended."""
        with self._lock:
            self._first.discard(task_run_id)

    def may_retry(self, task_run_id: int, attempt: int) -> bool:
        """Whether the task of that attempt, which failed, is tried again."""
        with self._lock:
            others = self._first - {task_run_id}
            return attempt < MAX_TASK_RETRIES and (bool(others) or self._seen == attempt + 1)
