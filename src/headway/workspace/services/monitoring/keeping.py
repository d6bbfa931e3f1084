"""Keeps what runs have cost, once the driver that they ran on has ended: its event log may go, the figures stay.

They are taken from the whole log, in a thread of its own: a log may be large, and no cluster waits for it. What is lost
when the workspace is killed meanwhile is read from the log when somebody asks for it.
"""

import logging
import queue
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects.sqlite import insert

from headway.workspace.services.monitoring.model import added
from headway.workspace.services.monitoring.store import read_logs
from headway.workspace.services.monitoring.tables import run_metrics as table

logger = logging.getLogger(__name__)
_OF_TASK = re.compile(r"\d+-\d+")  # engine.preparation.driver_run


class KeptMetrics:
    """Figures by run, in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: queue.Queue[tuple[str, Path] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="run-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Keep what was asked for until now."""
        self._asked.put(None)
        self._thread.join(timeout=30)

    def ended(self, cluster_id: str, driver: str, folder: Path) -> None:
        """A driver has ended, and what it wrote lies in `folder`. Returns at once."""
        self._asked.put((driver, folder))

    def of(self, driver_run: str) -> dict[str, int] | None:
        """The figures of a run whose driver has ended; None where none are kept."""
        query = select(table.c.metrics).where(table.c.driver_run == driver_run)
        with self._engine.connect() as connection:
            found = list(connection.execute(query).scalars())
        return added(found) if found else None

    def keep(self, driver: str, folder: Path) -> None:
        """Keep the figures of all runs of tasks in the event logs of a driver; statements and commands are none."""
        found = read_logs([folder])
        names = sorted({name for log in found for name in log.driver_runs() if _OF_TASK.fullmatch(name)})
        rows = [
            {
                "driver_run": name,
                "driver": driver,
                "run_id": int(name.partition("-")[0]),
                "metrics": added(log.of(name) for log in found),
            }
            for name in names
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(insert(table).on_conflict_do_nothing(), rows)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            try:
                self.keep(*asked)
            except Exception:
                logger.exception("the figures of the runs of driver %s", asked[0])


def forget_runs(engine: Engine, run_ids: Sequence[int]) -> None:
    """These runs of tasks are forgotten: what they have cost too."""
    with engine.begin() as connection:
        connection.execute(delete(table).where(table.c.run_id.in_(run_ids)))
