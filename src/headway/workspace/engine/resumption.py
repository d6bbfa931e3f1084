"""What is known of a run that was going when the workspace was killed, and what follows for each of its tasks. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

FINAL = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")


class TaskRecord(Protocol):
    """What is read of a task's run."""

    task_key: str | None
    life_cycle_state: str
    result_state: str | None
    output: Mapping[str, Any]
    cluster_id: str | None
    execution_ms: int | None


@dataclass(frozen=True)
class Standing:
    """Where a task stands: at this attempt (from 0); on `cluster_id` since `since_ms` where it was running there."""

    attempt: int
    cluster_id: str | None = None
    since_ms: int | None = None


def results(tasks: Iterable[TaskRecord]) -> dict[str, str]:
    """The result states of the tasks that have ended."""
    return {str(task.task_key): task.result_state or "FAILED" for task in tasks if task.life_cycle_state in FINAL}


def standings(tasks: Iterable[TaskRecord]) -> dict[str, Standing]:
    """Where the others stand. One that waited for its cluster begins the same attempt again; one that waited for its
    next attempt begins that."""
    found = {}
    for task in tasks:
        attempt = int(task.output.get("attempt", 0))
        match task.life_cycle_state:
            case "RUNNING" | "TERMINATING":
                found[str(task.task_key)] = Standing(attempt, task.cluster_id, task.execution_ms)
            case "WAITING_FOR_RETRY":
                found[str(task.task_key)] = Standing(attempt + 1)
            case "PENDING":
                found[str(task.task_key)] = Standing(attempt)
            case _:
                continue
    return found


def left_s(seconds: int, since_ms: int | None, now_ms: int) -> float:
    """How much of a timeout is left, in seconds, at least a little; 0 where there is none."""
    if not seconds:
        return 0
    return max(0.01, seconds - (now_ms - (since_ms or now_ms)) / 1000)
