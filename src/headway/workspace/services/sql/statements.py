"""The statements that run, and those that have ended lately: an answer and no record, so they are kept in memory."""

import logging
import secrets
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from headway.workspace.directory import ClusterDirectory
from headway.workspace.errors import ApiError, missing
from headway.workspace.runtime.tasks import DriverFailed, SqlOutcome, TaskOutcome, TaskRequest
from headway.workspace.services.sql.model import MOST_ROWS, Asked
from headway.workspace.services.sql.results import Chunk, Result, TooLarge, result

logger = logging.getLogger(__name__)
KEPT_STATEMENTS, KEPT_SECONDS, KEPT_BYTES = 1000, 3600, 256 * 1024 * 1024
LINK_SECONDS = 900
AT_ONCE = 10  # as a warehouse of Databricks runs them; others wait
_SILENT = Path("/dev/null")


class Statement:
    """A statement: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED, or CLOSED when its result was let go."""

    def __init__(self, asked: Asked, user: str, now: float) -> None:
        self.statement_id, self.asked, self.user, self.created = str(uuid.uuid4()), asked, user, now
        self.state = "PENDING"
        self.error_code, self.error, self.sql_state = "", "", ""
        self.result: Result | None = None
        self.ended = threading.Event()
        self.driver: Any = None

    @property
    def size(self) -> int:
        """Bytes of its result."""
        return self.result.size if self.result is not None else 0


class Statements:
    """Statements by id, ten at once on a warehouse. `clock` counts seconds."""

    def __init__(self, clusters: ClusterDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._clusters, self._clock = clusters, clock
        self._known: OrderedDict[str, Statement] = OrderedDict()
        self._links: OrderedDict[str, tuple[float, Statement, int]] = OrderedDict()
        self._places: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    def submit(self, cluster_id: str, asked: Asked, user: str) -> Statement:
        """Begin one; a cluster that is TERMINATED is started for it."""
        statement = Statement(asked, user, self._clock())
        with self._lock:
            self._known[statement.statement_id] = statement
            self._forget_old()
            place = self._places.get(cluster_id)
            if place is None:
                place = self._places[cluster_id] = ThreadPoolExecutor(AT_ONCE, f"statements-{cluster_id}")
            place.submit(self._run, statement, cluster_id)
        return statement

    def _forget_old(self) -> None:
        old = self._clock() - KEPT_SECONDS
        kept = sum(found.size for found in self._known.values())
        for key, found in list(self._known.items()):
            if not found.ended.is_set():
                continue
            if len(self._known) > KEPT_STATEMENTS or found.created < old:
                kept -= found.size
                del self._known[key]
            elif kept > KEPT_BYTES and found.result is not None:
                kept -= found.size
                found.result, found.state = None, "CLOSED"

    def _run(self, statement: Statement, cluster_id: str) -> None:
        if statement.ended.is_set():
            return
        try:
            with self._clusters.driver(cluster_id) as driver:
                with self._lock:
                    if statement.ended.is_set():
                        return
                    statement.driver, statement.state = driver, "RUNNING"
                told = {"cluster_id": cluster_id, "user": statement.user}
                task = statement.asked.task
                self._end(statement, driver.run(TaskRequest(statement.statement_id, task, (), _SILENT, told)))
        except DriverFailed as failed:
            self._fail(statement, "TEMPORARILY_UNAVAILABLE", failed.message)
        except (ApiError, TooLarge) as failed:
            self._fail(statement, "BAD_REQUEST", str(failed))
        except Exception as failed:
            logger.exception("statement %s", statement.statement_id)
            self._fail(statement, "INTERNAL_ERROR", f"internal error: {type(failed).__name__}")

    def _end(self, statement: Statement, outcome: TaskOutcome) -> None:
        found, asked = outcome.sql or SqlOutcome(), statement.asked
        if outcome.state == "CANCELED":
            self._set(statement, "CANCELED")
        elif outcome.state == "FAILED":
            statement.sql_state = found.sql_state
            self._fail(statement, "BAD_REQUEST", outcome.error)
        elif found.truncated and asked.row_limit is None:
            raise TooLarge(
                f"The result has more than {MOST_ROWS} rows, which is the most that is handed out here: set row_limit, "
                "or write the result to a table."
            )
        else:
            statement.result = result(found, asked.byte_limit, asked.format, asked.external)
            self._set(statement, "SUCCEEDED")

    def _fail(self, statement: Statement, code: str, message: str) -> None:
        statement.error_code, statement.error = code, message
        self._set(statement, "FAILED")

    def _set(self, statement: Statement, state: str) -> None:
        with self._lock:
            statement.driver = None
            if not statement.ended.is_set():
                statement.state = state
                statement.ended.set()

    def get(self, statement_id: str, user: str, is_admin: bool) -> Statement:
        """Raise ApiError. A statement is its sender's own."""
        with self._lock:
            found = self._known.get(statement_id)
        if found is None or (found.user != user and not is_admin):
            raise missing(f"The statement {statement_id[:50]} was not found.")
        return found

    def cancel(self, statement: Statement) -> None:
        """End one; nothing happens to one that has ended."""
        with self._lock:
            driver = statement.driver
        self._set(statement, "CANCELED")
        if driver is not None:
            try:
                driver.cancel(statement.statement_id)
            except DriverFailed as failed:
                logger.warning("statement %s: %s", statement.statement_id, failed.message)

    def link(self, statement: Statement, index: int) -> str:
        """A key that opens one chunk of a result to whoever has it, for a quarter of an hour."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            now = self._clock()
            while self._links and next(iter(self._links.values()))[0] <= now:
                self._links.popitem(last=False)
            self._links[key] = (now + LINK_SECONDS, statement, index)
        return key

    def linked(self, key: str) -> tuple[Chunk, str]:
        """The chunk that a key opens, and its format. Raise ApiError."""
        with self._lock:
            until, statement, index = self._links.get(key, (0.0, None, 0))
        held = statement.result if statement is not None and until > self._clock() else None
        if held is None:
            raise missing("The link has expired; ask for the chunk again.")
        return held.chunks[index], held.format

    def close(self) -> None:
        """End all."""
        with self._lock:
            found, places = list(self._known.values()), list(self._places.values())
        for statement in found:
            self.cancel(statement)
        for place in places:
            place.shutdown(wait=False, cancel_futures=True)
