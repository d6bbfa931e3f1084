"""What happens in the jobs engine, as a stream of small values that anyone in the workspace may listen to."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunQueued:
    """A run waits for others of its job to end. Times in milliseconds since 1970."""

    run_id: int
    job_id: int | None
    at_ms: int


@dataclass(frozen=True)
class RunStarted:
    """A run began; `repair` where it is a repair of one that had ended."""

    run_id: int
    job_id: int | None
    at_ms: int
    repair: bool = False


@dataclass(frozen=True)
class RunEnded:
    """A run ended, or was skipped."""

    run_id: int
    job_id: int | None
    at_ms: int
    life_cycle_state: str
    result_state: str


@dataclass(frozen=True)
class RunLasts:
    """A run has lasted longer than its health rule `RUN_DURATION_SECONDS` allows."""

    run_id: int
    job_id: int | None
    at_ms: int
    seconds: int


@dataclass(frozen=True)
class TaskStarted:
    """An attempt of a task began. `run_id` is the job's run, `task_run_id` the attempt."""

    run_id: int
    job_id: int | None
    at_ms: int
    task_key: str
    task_run_id: int
    attempt: int
    iteration: int | None = None


@dataclass(frozen=True)
class TaskLasts:
    """An attempt of a task has lasted longer than the health rule of its task allows."""

    run_id: int
    job_id: int | None
    at_ms: int
    task_key: str
    task_run_id: int
    seconds: int


@dataclass(frozen=True)
class TaskEnded:
    """An attempt of a task ended; `last` where no other follows."""

    run_id: int
    job_id: int | None
    at_ms: int
    task_key: str
    task_run_id: int
    attempt: int
    result_state: str
    last: bool
    iteration: int | None = None


Event = RunQueued | RunStarted | RunEnded | RunLasts | TaskStarted | TaskLasts | TaskEnded


class Events:
    """The stream. A listener is called in the thread in which it happens: it must be quick and not raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Event], None]] = []

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with every event from now on. Return how to end that."""
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = [other for other in self._listeners if other is not listener]

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("a listener failed on %s", type(event).__name__)
