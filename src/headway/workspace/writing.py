"""One writer at a time, many changes at once: what waits while a transaction is being committed goes into the next.

SQLite takes one writer; threads that meet its lock sleep and try again. Here they queue up instead, and whoever comes
to write takes along all that waits (group commit).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

Act = Callable[[Connection], Any]


class _Waiting:
    def __init__(self, act: Act) -> None:
        self.act, self.done = act, False
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Writes to a database. An act may be called twice, when another one of its transaction failed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gate, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[_Waiting] = []

    def write(self, act: Act) -> Any:
        """Call `act` within a transaction, return what it returns once that is committed. Raise what it raises."""
        mine = _Waiting(act)
        with self._gate:
            self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                with self._gate:
                    batch, self._waiting = self._waiting, []
                self._commit(batch)
        if mine.error is not None:
            raise mine.error
        return mine.result

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A transaction of its own, in turn with the others: for what does more than write to the database."""
        with self._turn, self._engine.begin() as connection:
            yield connection

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            with self._engine.begin() as connection:
                for entry in batch:
                    entry.result = entry.act(connection)
        except Exception as error:  # noqa: BLE001  (told to the one whose it is)
            if len(batch) > 1:
                for entry in batch:
                    self._commit([entry])
                return
            batch[0].error = error
        for entry in batch:
            entry.done = True
