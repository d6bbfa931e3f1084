"""Deployers that run by turns: one at a time, switched between any two of their calls, as a generated order says."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from headway.core.errors import HeadwayError
from support.delivery_model import Model


class Turns:
    """Who of two goes on after each call. Once the order has been used up, whoever is running runs to its end."""

    def __init__(self, order: Sequence[int], at_call: Callable[[int], None]) -> None:
        self._order, self._at_call = deque(order), at_call
        self._now, self._calls = 0, 0
        self._ended: set[int] = set()
        self._changed = threading.Condition()

    def take(self, who: int) -> None:
        """Called before a call; returns when it may be made."""
        with self._changed:
            self._calls += 1
            self._at_call(self._calls)
            after = self._order.popleft() if self._order else who
            self._now = who if after in self._ended else after
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._now == who)

    def run(self, *acts: Callable[[], object]) -> list[str]:
        """Run both to their ends; what became of each: `done`, or the code of its error."""
        told = [""] * len(acts)

        def guarded(who: int, act: Callable[[], object]) -> None:
            with self._changed:
                self._changed.wait_for(lambda: self._now == who)
            try:
                act()
                told[who] = "done"
            except HeadwayError as error:
                told[who] = error.code
            except BaseException as error:  # noqa: BLE001  (told by the test that asks)
                told[who] = f"bug: {error!r}"
            finally:
                with self._changed:
                    self._ended.add(who)
                    self._now = 1 - who
                    self._changed.notify_all()

        threads = [threading.Thread(target=guarded, args=entry) for entry in enumerate(acts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return told


class Seen:
    """A workspace as one deployer calls it: it takes a turn before each read. A write goes with the journal's entry
    before it, in one turn: what is in doubt between the two is for the kill sweeps."""

    def __init__(self, model: Model, turn: Callable[[], None]) -> None:
        self._model, self._turn = model, turn

    def do(self, method: str, path: str, **named: Any) -> Any:
        """A call."""
        if method == "GET":
            self._turn()
        return self._model.do(method, path, **named)
