"""What happens at a given time: timeouts, retries, schedules. One thread for all of them."""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from headway.workspace.clock import now_ms

logger = logging.getLogger(__name__)

# The wall clock may be set anew (NTP, a suspended machine): never sleep past this without a look at it.
_LOOK_SECONDS = 30.0

Act = Callable[[], None]


class Timers(Protocol):
    """The clock that the engine, the scheduler and the notifier go by; tests have one that they turn themselves."""

    def now_ms(self) -> int:
        """The present, in milliseconds since 1970."""

    def at(self, when_ms: int, act: Act) -> Act:
        """Call `act` at that time or soon after. Return how to take that back. `act` must be quick: others wait."""

    def close(self) -> None:
        """Call nothing any more."""


class ThreadTimers:
    """Timers on the real clock."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[int, int, Act]] = []
        self._canceled: set[int] = set()
        self._numbers = itertools.count()
        self._closed = False
        self._thread: threading.Thread | None = None

    def now_ms(self) -> int:
        """The present."""
        return now_ms()

    def at(self, when_ms: int, act: Act) -> Act:
        """Call `act` at that time."""
        with self._changed:
            number = next(self._numbers)
            heapq.heappush(self._heap, (when_ms, number, act))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._turn, name="timers", daemon=True)
                self._thread.start()
            if self._heap[0][1] == number:
                self._changed.notify()
        return lambda: self._cancel(number)

    def _cancel(self, number: int) -> None:
        with self._changed:
            self._canceled.add(number)
            if len(self._canceled) > 1000 and len(self._canceled) * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if entry[1] not in self._canceled]
                heapq.heapify(self._heap)
                self._canceled.clear()

    def close(self) -> None:
        """Call nothing any more."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()

    def _turn(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                left = (self._heap[0][0] - now_ms()) / 1000 if self._heap else _LOOK_SECONDS
                if left > 0:
                    self._changed.wait(min(left, _LOOK_SECONDS))
                    continue
                _, number, act = heapq.heappop(self._heap)
                if number in self._canceled:
                    self._canceled.discard(number)
                    continue
            try:
                act()
            except Exception:
                logger.exception("a timer failed")
