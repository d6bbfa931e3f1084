"""Who executes runs, and who has stopped doing so. Each process says now and then that it lives; one that does not is
dead for the others, and ends itself as soon as it learns that.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select, text, update

from headway.adapters.identity import has_ended, this_process
from headway.core.errors import HeadwayError
from headway.pipeline.database import Database, now_ms
from headway.pipeline.tables import workers

logger = logging.getLogger(__name__)


def end_at_once() -> None:
    """What a process does that others have declared dead: its work is theirs now."""
    os.kill(os.getpid(), signal.SIGKILL)


class Workers:
    """This process among the workers. On SQLite there is only one, and it always has the same id."""

    def __init__(
        self, database: Database, timeout_seconds: float, when_declared_dead: Callable[[], None] = end_at_once
    ) -> None:
        self._db, self._timeout = database, timeout_seconds
        self.id = this_process() if database.shared else "server"
        self._declared_dead = when_declared_dead
        self._well_since = time.monotonic()

    def join(self) -> None:
        """Begin to be one."""

        def work(connection: Connection) -> None:
            now = self._now(connection)
            row = {"host": socket.gethostname(), "pid": os.getpid(), "started_ms": now, "seen_ms": now}
            connection.execute(delete(workers).where(workers.c.id == self.id))
            connection.execute(insert(workers).values(id=self.id, state="alive", **row))

        self._db.run(work)

    def _now(self, connection: Connection) -> int:
        """The database's clock: machines' own differ."""
        if not self._db.shared:
            return now_ms()
        return int(connection.execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1000")).scalar_one())

    def leave(self) -> None:
        """End of being one; what it still had is taken up by others."""
        try:
            self._db.run(lambda c: c.execute(update(workers).where(workers.c.id == self.id).values(state="gone")))
        except HeadwayError as error:
            logger.warning("could not say that this worker leaves: %s", error.message)

    def beat(self) -> list[str]:
        """Say that this one lives; who does not any more. Nobody is declared dead by one who could not say so itself a
        moment ago: then it was the database that was away."""
        mine = (workers.c.id == self.id) & (workers.c.state == "alive")

        def say(connection: Connection) -> int:
            now = self._now(connection)
            return now if connection.execute(update(workers).where(mine).values(seen_ms=now)).rowcount else 0

        try:
            now = self._db.run(say)
            if not now:
                logger.error("others have declared this worker dead")
                self._declared_dead()
                return []
        except HeadwayError as error:
            logger.warning("the database is away: %s", error.message)
            self._well_since = time.monotonic()
            return []
        if not self._db.shared:
            return []
        others = select(workers).where(workers.c.id != self.id, workers.c.state.in_(("alive", "gone", "dead")))
        rows = self._db.run(lambda c: c.execute(others).mappings().all())
        patient = time.monotonic() - self._well_since > self._timeout
        oldest = now - int(self._timeout * 1000)
        dead = [
            str(row["id"])
            for row in rows
            if row["state"] != "alive" or has_ended(row["id"]) or (patient and row["seen_ms"] < oldest)
        ]
        if dead:
            # From here on the one that was only slow ends itself.
            gone = (workers.c.id.in_(dead)) & (workers.c.state == "alive")
            self._db.run(lambda c: c.execute(update(workers).where(gone).values(state="dead")))
        return dead

    def bury(self, id_: str) -> None:
        """Its runs have been taken up."""
        self._db.run(lambda c: c.execute(delete(workers).where(workers.c.id == id_)))

    def alive(self) -> int:
        """How many work."""
        rows = self._db.run(lambda c: c.execute(select(workers.c.id).where(workers.c.state == "alive")).all())
        return len(rows)
