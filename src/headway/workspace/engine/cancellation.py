"""Stopping work: one switch for a run, below it one for each of its tasks and attempts."""

import itertools
import threading
from collections.abc import Callable


class Cancellation:
    """Set once, with the result state and message that what is stopped ends with. One that has a parent is set with it.

    Thread-safe. What is to be done at once is registered by `on_cancel`.
    """

    def __init__(self, parent: "Cancellation | None" = None) -> None:
        self._lock = threading.Lock()
        self._acts: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._reason: tuple[str, str] | None = None
        self.close: Callable[[], None] = lambda: None
        if parent is not None:
            self.close = parent.on_cancel(lambda: self.cancel(*(parent.reason or ("CANCELED", ""))))

    @property
    def reason(self) -> tuple[str, str] | None:
        """The result state and message, once it is set."""
        return self._reason

    def cancel(self, result: str = "CANCELED", message: str = "Run cancelled.") -> None:
        """Set it; nothing happens where it is set already."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = (result, message)
            acts, self._acts = list(self._acts.values()), {}
        for act in acts:
            act()

    def on_cancel(self, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act` when it is set, at once where it is already. Return how to take that back."""
        with self._lock:
            if self._reason is None:
                number = next(self._numbers)
                self._acts[number] = act
                return lambda: self._forget(number)
        act()
        return lambda: None

    def _forget(self, number: int) -> None:
        with self._lock:
            self._acts.pop(number, None)
