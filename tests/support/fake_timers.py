"""Timers that a test turns: nothing happens by itself."""

import heapq
import itertools
import threading
from collections.abc import Callable

START_MS = 1_795_000_000_000

Act = Callable[[], None]


class FakeTimers:
    """A clock at `START_MS` until it is turned. Thread-safe, for engines that run in threads."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now = now_ms
        self._lock = threading.Lock()
        self._heap: list[tuple[int, int, Act]] = []
        self._canceled: set[int] = set()
        self._numbers = itertools.count()

    def now_ms(self) -> int:
        """The present."""
        return self._now

    def at(self, when_ms: int, act: Act) -> Act:
        """Call `act` when the clock is turned to that time or past it."""
        with self._lock:
            number = next(self._numbers)
            heapq.heappush(self._heap, (when_ms, number, act))
        return lambda: self._canceled.add(number)

    def close(self) -> None:
        """Nothing more."""
        self._heap.clear()

    def due(self) -> list[int]:
        """The times that something waits for."""
        with self._lock:
            return sorted(when for when, number, _ in self._heap if number not in self._canceled)

    def turn(self, ms: int) -> None:
        """Go on by that much, doing what falls due on the way, each at its own time."""
        end = self._now + ms
        while True:
            with self._lock:
                if not self._heap or self._heap[0][0] > end:
                    break
                when, number, act = heapq.heappop(self._heap)
            if number not in self._canceled:
                self._now = max(self._now, when)
                act()
        self._now = end
