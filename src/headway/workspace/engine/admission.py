"""Which runs of a job may go on at once, and which wait for them, oldest first. Not thread-safe: the engine locks."""

from collections import deque
from typing import Literal

Verdict = Literal["start", "wait", "skip"]


class Admission:
    """Runs by job. Runs that belong to no job are never held back."""

    def __init__(self) -> None:
        self._going: dict[int, set[int]] = {}
        self._waiting: dict[int, deque[tuple[int, int]]] = {}

    def room(self, job_id: int | None, most: int) -> bool:
        """Whether another run of the job may go on now."""
        return job_id is None or len(self._going.get(job_id, ())) < most

    def ask(self, job_id: int | None, run_id: int, most: int, *, may_wait: bool) -> Verdict:
        """Whether the run goes on now, waits, or neither. Where `most` is 0 no run ever goes on."""
        if job_id is None:
            return "start"
        if run_id in self._going.get(job_id, ()):
            return "start"
        waiting = self._waiting.get(job_id, deque())
        if any(other == run_id for other, _ in waiting):
            return "wait"
        if self.room(job_id, most) and not (waiting and may_wait):
            self._going.setdefault(job_id, set()).add(run_id)
            return "start"
        if not may_wait or most == 0:
            return "skip"
        self._waiting.setdefault(job_id, deque()).append((run_id, most))
        return "wait"

    def leave(self, job_id: int | None, run_id: int) -> list[int]:
        """A run has ended, or waits no more. Return the runs whose turn has come; each has its place already."""
        if job_id is None:
            return []
        going = self._going.get(job_id, set())
        going.discard(run_id)
        waiting = deque(entry for entry in self._waiting.get(job_id, deque()) if entry[0] != run_id)
        following: list[int] = []
        while waiting and len(going) < waiting[0][1]:
            following.append(waiting.popleft()[0])
            going.add(following[-1])
        self._going[job_id], self._waiting[job_id] = going, waiting
        if not going:
            del self._going[job_id]
        if not waiting:
            del self._waiting[job_id]
        return following
