"""The engine's database: SQLite in one file for one server, or PostgreSQL by URL for a server and workers.

Refuses a second process on one SQLite file. A database that goes away is waited for by those who have the patience.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import IO, Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from headway.core.errors import HeadwayError

T = TypeVar("T")
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0
_MIGRATING = 0x68656164  # the key of PostgreSQL's advisory lock: two servers that start at once migrate one by one


def now_ms() -> int:
    """The present, in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Database:
    """An open database. `patience_seconds` is how long a transaction waits for one that is away; it waits no longer
    once `hurry` is set."""

    engine: Engine
    patience_seconds: float = 0
    hurry: threading.Event = field(default_factory=threading.Event)

    @property
    def shared(self) -> bool:
        """Whether several processes may use it at once (PostgreSQL)."""
        return self.engine.dialect.name == "postgresql"

    def patient(self, seconds: float, hurry: threading.Event | None = None) -> "Database":
        """The same database for somebody who waits until it is back."""
        return replace(self, patience_seconds=seconds, hurry=hurry or threading.Event())

    @contextmanager
    def alone(self, key: int) -> Iterator[bool]:
        """Whether this is the only process that does, for the time of the block, what `key` stands for. Raise
        HeadwayError PIPELINE_DATABASE."""
        if not self.shared:
            yield True  # nobody else has the file
            return
        try:
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            mine = bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one())
        except DBAPIError as error:
            raise HeadwayError(
                "PIPELINE_DATABASE", url=self.engine.url.render_as_string(), reason=_reason(error)
            ) from error
        try:
            yield mine
        finally:
            with suppress(DBAPIError):  # a connection that is lost has lost its lock too
                if mine:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
                connection.close()

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction, again from its beginning while the database is away. Raise HeadwayError
        PIPELINE_DATABASE when the patience is over."""
        deadline, wait = time.monotonic() + self.patience_seconds, _FIRST_WAIT
        while True:
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not (error.connection_invalidated or isinstance(error, OperationalError)):
                    raise
                if time.monotonic() + wait > deadline or self.hurry.is_set():
                    raise HeadwayError(
                        "PIPELINE_DATABASE", url=self.engine.url.render_as_string(), reason=_reason(error)
                    ) from error
            self.hurry.wait(wait)
            wait = min(_LONGEST_WAIT, wait * 2)


def _reason(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]


def storable(text: str) -> str:
    """Text as every database keeps it: neither NUL nor half a surrogate pair, which JSON may hold."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def open_database(url: str) -> Database:
    """Open the database, made or brought up to date first. Raise HeadwayError PIPELINE_DATABASE."""
    try:
        engine = connected(url)
        migrate(engine)
    except (DBAPIError, ArgumentError, NoSuchModuleError, OSError) as error:
        reason = _reason(error) if isinstance(error, DBAPIError) else str(error)
        raise HeadwayError("PIPELINE_DATABASE", url=_shown(url), reason=reason) from error
    return Database(engine)


def _shown(url: str) -> str:
    try:
        return make_url(url).render_as_string()
    except ArgumentError:
        return "(not a database URL)"


def connected(url: str) -> Engine:
    """The engine of a URL, whose tables may not be there yet."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(parsed, connect_args={"timeout": 30})
        event.listen(engine, "connect", _sqlite_settings)
        return engine
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    # A machine that vanished says nothing: without these a connection to it would hang for many minutes.
    alive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
    given = {"connect_timeout": 10, **alive}
    arguments = {key: value for key, value in given.items() if key not in parsed.query}
    return create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=arguments)


def _sqlite_settings(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def migrate(engine: Engine) -> None:
    """Run the migrations that this database has not seen."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("headway.pipeline") / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def lock_for_one(url: str, data: Path) -> IO[str] | None:
    """Hold a SQLite database for this process alone until the returned file is closed; None for PostgreSQL, which
    many may use. Raise HeadwayError PIPELINE_TAKEN where another process has it."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    # By its real name: two servers may call the file differently.
    path = Path(f"{Path(parsed.database).resolve()}.lock") if parsed.database else data / "headway.db.lock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        pid = lock.read().strip() or "unknown"
        lock.close()
        raise HeadwayError("PIPELINE_TAKEN", path=parsed.database, pid=pid) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
