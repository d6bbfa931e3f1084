"""The table of jobs."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from headway.workspace.clock import now_ms
from headway.workspace.database import Reader, jobs
from headway.workspace.errors import invalid
from headway.workspace.services.jobs.model import Job, Settings
from headway.workspace.services.jobs.tables import trigger_states
from headway.workspace.writing import Writer

_READ = "select job_id, creator, created_ms, settings from jobs"
TRIGGERS = ("schedule", "continuous", "trigger")


class JobStore:
    """Jobs by id."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine, self._writer, self._reader = engine, writer, Reader(engine)

    def create(self, creator: str, settings: Settings, idempotency_token: str | None) -> tuple[int, bool]:
        """Keep a new job. Return its id and whether it is new: the same token gives the same job again."""
        row = {
            "name": settings.get("name", "Untitled"),
            "creator": creator,
            "created_ms": now_ms(),
            "settings": settings,
            "idempotency_token": idempotency_token,
        }

        def write(connection: Any) -> tuple[int, bool]:
            if idempotency_token:
                query = select(jobs.c.job_id).where(jobs.c.idempotency_token == idempotency_token)
                found = connection.execute(query).scalar()
                if found is not None:
                    return int(found), False
            return int(connection.execute(insert(jobs).values(row)).inserted_primary_key[0]), True

        made: tuple[int, bool] = self._writer.write(write)
        return made

    def job(self, job_id: int) -> Job:
        """Raise ApiError."""
        found = self._reader.rows(f"{_READ} where job_id = ?", job_id)
        if not found:
            raise invalid(f"Job {job_id} does not exist.")
        return _job(found[0])

    def replace(self, job_id: int, settings: Settings) -> None:
        """Put new settings in the place of a job's old ones. Raise ApiError where there is no such job."""
        query = "update jobs set settings = ?, name = ? where job_id = ?"
        values = (json.dumps(settings), settings.get("name", "Untitled"), job_id)
        if self._writer.write(lambda connection: connection.exec_driver_sql(query, values).rowcount) == 0:
            raise invalid(f"Job {job_id} does not exist.")

    def delete(self, job_id: int) -> None:
        """Remove a job; its runs stay."""

        def write(connection: Any) -> int:
            connection.execute(delete(trigger_states).where(trigger_states.c.job_id == job_id))
            return int(connection.execute(delete(jobs).where(jobs.c.job_id == job_id)).rowcount)

        if self._writer.write(write) == 0:
            raise invalid(f"Job {job_id} does not exist.")

    def jobs(self, name: str | None, before: int | None, limit: int, offset: int = 0) -> list[Job]:
        """The newest jobs with ids below `before`, with exactly that name where one is given (case does not count)."""
        named = "and lower(name) = ?" if name is not None else ""
        values = [2**63 - 1 if before is None else before, *([name.lower()] if name is not None else []), limit, offset]
        query = f"{_READ} where job_id < ? {named} order by job_id desc limit ? offset ?"
        return [_job(row) for row in self._reader.rows(query, *values)]

    def triggered(self) -> Sequence[Job]:
        """The jobs that may start by themselves, oldest first. Of a hundred thousand others none is read."""
        fields = " or ".join(f"json_type(settings, '$.{name}') is not null" for name in TRIGGERS)
        return [_job(row) for row in self._reader.rows(f"{_READ} where {fields} order by job_id")]

    # what triggers remember

    def trigger_state(self, job_id: int) -> dict[str, Any]:
        """What the job's trigger remembered last; empty where that is nothing."""
        query = select(trigger_states.c.state).where(trigger_states.c.job_id == job_id)
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        return dict(found) if found else {}

    def remember(self, job_id: int, state: dict[str, Any]) -> None:
        """Keep what the job's trigger must know after a restart."""
        query = sqlite_insert(trigger_states).values(job_id=job_id, state=state)
        query = query.on_conflict_do_update(index_elements=["job_id"], set_={"state": state})
        self._writer.write(lambda connection: connection.execute(query))


def _job(row: sqlite3.Row) -> Job:
    return Job(row["job_id"], row["creator"], row["created_ms"], json.loads(row["settings"]))
