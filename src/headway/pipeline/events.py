"""The stream of what happens, in the database: written with the change it tells of, read by whoever follows."""

import threading
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select, text

from headway.pipeline.database import Database, now_ms
from headway.pipeline.model import EventRecord
from headway.pipeline.tables import events

Kind = Literal["run", "step", "log", "approval"]
PAGE = 500
_IN_ORDER = 0x68656576  # the key of PostgreSQL's advisory lock


class Events:
    """The stream. `wait` is woken at once by what this process writes, and looks for what others wrote."""

    def __init__(self, database: Database, look_seconds: float = 0.3) -> None:
        self._db, self._look = database, look_seconds
        self._news = threading.Condition()

    def write(self, connection: Connection, run: int, app: str, kind: Kind, data: Mapping[str, Any]) -> None:
        """Add an event to the transaction that makes the change, as the last thing it does: on PostgreSQL its numbers
        are given in the order of the commits, or who follows would pass over one that is committed late."""
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _IN_ORDER})
        connection.execute(insert(events).values(run=run, app=app, kind=kind, data=dict(data), at_ms=now_ms()))

    def told(self) -> None:
        """A transaction with events has been committed."""
        with self._news:
            self._news.notify_all()

    def last(self) -> int:
        """The newest sequence number; 0 where nothing ever happened."""
        return int(self._db.run(lambda c: c.execute(select(func.max(events.c.seq))).scalar()) or 0)

    def after(self, seq: int, run: int | None = None, limit: int = PAGE) -> list[EventRecord]:
        """What came after `seq`, the oldest first."""
        query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
        if run is not None:
            query = query.where(events.c.run == run)
        rows = self._db.run(lambda c: c.execute(query).mappings().all())
        return [EventRecord(**row) for row in rows]

    def wait(self, seq: int, run: int | None = None, seconds: float = 15) -> list[EventRecord]:
        """The same, waiting until there is something, or the time is over."""
        rest = seconds
        while True:
            found = self.after(seq, run)
            if found or rest <= 0:
                return found
            with self._news:
                self._news.wait(min(self._look, rest))
            rest -= self._look

    def forget(self, before_ms: int) -> int:
        """Drop what is older; return how many."""
        return self._db.run(lambda c: c.execute(delete(events).where(events.c.at_ms < before_ms)).rowcount)
