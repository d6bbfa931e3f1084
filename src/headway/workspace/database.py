"""The workspace's database: tables, and how it is opened. SQLite in write-ahead mode; migrations by Alembic."""

import sqlite3
import threading
from importlib import resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.exc import DatabaseError

from headway.core.errors import HeadwayError

metadata = MetaData()

tokens = Table(
    "tokens",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("user_name", String(255), nullable=False),
    Column("comment", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(255)),
    Column("expires_ms", BigInteger),
    Column("run_id", String(64), index=True),  # of tokens that a run was given; None: a personal access token
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Integer, primary_key=True),
    Column("name", String(4096), nullable=False, index=True),
    Column("creator", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("idempotency_token", String(64), unique=True),
    sqlite_autoincrement=True,
)

# Runs of jobs and, with `parent_id` and `task_key`, the runs of their tasks: one sequence of ids for both.
runs = Table(
    "runs",
    metadata,
    Column("run_id", Integer, primary_key=True),
    Column("parent_id", Integer, index=True),
    Column("task_key", String(100)),
    Column("job_id", Integer, index=True),
    Column("name", String(4096), nullable=False),
    Column("creator", String(255), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("trigger", String(32), nullable=False),
    Column("life_cycle_state", String(32), nullable=False, index=True),
    Column("result_state", String(48)),
    Column("state_message", Text, nullable=False),
    Column("termination_code", String(64)),
    Column("created_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger),
    Column("execution_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("cluster_id", String(64)),
    Column("output", JSON, nullable=False),
    Column("idempotency_token", String(64), unique=True),
    # Of task runs: the run they belong to (`parent_id` is the for-each task's run for an iteration), which attempt
    # this is, the first attempt's id, whether it is the newest one. `details` are other facts: what triggered it.
    Column("root_id", Integer, index=True),
    Column("attempt", Integer, nullable=False, default=0, server_default="0"),
    Column("original_id", Integer),
    Column("latest", Boolean, nullable=False, default=True, server_default="1"),
    Column("iteration", Integer),
    Column("repair_id", Integer),
    Column("details", JSON, nullable=False, default=dict, server_default="{}"),
    Index("runs_of_job", "job_id", "parent_id", "run_id"),
    sqlite_autoincrement=True,
)

libraries = Table(
    "libraries",
    metadata,
    Column("library_id", Integer, primary_key=True),
    Column("path", String(4096), unique=True, nullable=False),
    Column("lib_type", String(16), nullable=False),
    Column("file", String(4096), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

objects = Table(
    "objects",
    metadata,
    Column("object_id", Integer, primary_key=True),
    Column("path", String(4096), unique=True, nullable=False),
    Column("object_type", String(16), nullable=False),
    Column("language", String(16)),
    Column("created_ms", BigInteger, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("creator", String(255)),
    sqlite_autoincrement=True,
)


class Reader:
    """Reads of a few rows by their key, thousands of times a second: SQL as it stands, on a connection per thread. It
    sees what is committed when a read begins, and cannot write."""

    def __init__(self, engine: Engine) -> None:
        self._path = str(engine.url.database)
        self._of_thread = threading.local()

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """What a query gives; `?` stand for the values."""
        connection = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA query_only=ON")
            self._of_thread.connection = connection
        found: list[sqlite3.Row] = connection.execute(sql, values).fetchall()
        return found


def open_database(path: Path) -> Engine:
    """Open the database at `path`, made or brought up to date first. Raise HeadwayError WORKSPACE_DATABASE."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    try:
        migrate(engine)
    except DatabaseError as error:
        raise HeadwayError("WORKSPACE_DATABASE", path=path, reason=str(error.orig)) from error
    return engine


def migrate(engine: Engine) -> None:
    """Run the migrations that this database has not seen."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("headway.workspace") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
