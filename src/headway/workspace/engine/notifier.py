"""Tells destinations and people of runs, beside the engine: a run never waits for it, nor fails by it.

What is to be told of each destination is sent in its order, by a thread of its own while there is anything: one that
hangs holds up no other. What a workspace has not sent when it ends is not sent at its next start.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from headway.workspace.engine.events import Event, Events, TaskEnded, TaskLasts, TaskStarted
from headway.workspace.engine.notices import Notice, notices
from headway.workspace.engine.records import Records
from headway.workspace.engine.sending import Refused, Unreachable
from headway.workspace.engine.timers import Timers
from headway.workspace.errors import ApiError

logger = logging.getLogger(__name__)

# How long after each failure it is tried again.
PAUSES_MS = (1_000, 10_000, 60_000, 300_000)
# What waits for one destination at most; older ones are dropped, and that is logged.
MOST_WAITING = 1_000
_CLOSE_SECONDS = 5


class Sends(Protocol):
    """How one is delivered (`sending.Sender`)."""

    def send(self, notice: Notice) -> None:
        """Raise Refused, Unreachable."""


class Notifier:
    """Listens to the engine's events until it is closed."""

    def __init__(self, records: Records, events: Events, timers: Timers, sender: Sends, workspace_id: str) -> None:
        self._records, self._timers, self._sender, self._workspace_id = records, timers, sender, workspace_id
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[tuple[Notice, int]]] = {}
        self._idle = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._listen, name="notifier", daemon=True)
        self._thread.start()
        self._leave = events.subscribe(self._events.put)

    def close(self) -> None:
        """Hear nothing more. What is to be sent has some seconds left."""
        self._leave()
        self._events.put(None)
        self._thread.join(_CLOSE_SECONDS)
        with self._idle:
            self._idle.wait_for(lambda: not self._waiting, _CLOSE_SECONDS)

    def _listen(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                for notice in self._notices(event):
                    self._put(notice, 0)
            except ApiError:  # the run was deleted meanwhile
                continue
            except Exception:
                logger.exception("what %s calls for is not told", type(event).__name__)

    def _notices(self, event: Event) -> list[Notice]:
        task_run_id = event.task_run_id if isinstance(event, TaskStarted | TaskLasts | TaskEnded) else None
        told = self._records.run(task_run_id or event.run_id)
        if not any(told.settings.get(name) for name in ("webhook_notifications", "email_notifications")):
            return []  # and the run, which may have a thousand tasks, is not read for each of them
        if task_run_id is None:
            return notices(event, told, None, self._workspace_id)
        return notices(event, self._records.run(event.run_id), told, self._workspace_id)

    def _put(self, notice: Notice, attempt: int) -> None:
        key = f"{notice.way} {notice.to}"
        with self._lock:
            begin = key not in self._waiting
            waiting = self._waiting.setdefault(key, deque())
            if len(waiting) >= MOST_WAITING:
                dropped, _ = waiting.popleft()
                logger.warning("%s was not sent to %s: too many wait for it", dropped.event_type, key)
            waiting.append((notice, attempt))
        if begin:
            threading.Thread(target=self._drain, args=(key,), name="notification", daemon=True).start()

    def _drain(self, key: str) -> None:
        while True:
            with self._idle:
                if not self._waiting[key]:
                    del self._waiting[key]
                    self._idle.notify_all()
                    return
                notice, attempt = self._waiting[key].popleft()
            try:
                self._deliver(notice, attempt)
            except Exception:
                logger.exception("%s was not sent to %s", notice.event_type, key)

    def _deliver(self, notice: Notice, attempt: int) -> None:
        try:
            self._sender.send(notice)
        except Refused as refused:
            logger.warning("%s was not sent to %s %s: %s", notice.event_type, notice.way, notice.to, refused)
        except Unreachable as unreachable:
            if attempt >= len(PAUSES_MS):
                reason = f"{unreachable}, {attempt + 1} times"
                logger.warning("%s was not sent to %s %s: %s", notice.event_type, notice.way, notice.to, reason)
                return
            again: Callable[[], None] = lambda: self._put(notice, attempt + 1)  # noqa: E731
            self._timers.at(self._timers.now_ms() + PAUSES_MS[attempt], again)
