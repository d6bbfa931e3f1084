"""The table of jobs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from headway.workspace.clock import now_ms
from headway.workspace.database import jobs
from headway.workspace.errors import invalid
from headway.workspace.services.jobs.model import Job, Settings
from headway.workspace.services.jobs.tables import trigger_states
from headway.workspace.services.jobs.writing import Writer


class JobStore:
    """Jobs by id."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine, self._writer = engine, writer

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
        with self._engine.connect() as connection:
            row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
        if row is None:
            raise invalid(f"Job {job_id} does not exist.")
        return _job(row)

    def replace(self, job_id: int, settings: Settings) -> None:
        """Put new settings in the place of a job's old ones. Raise ApiError where there is no such job."""
        query = update(jobs).where(jobs.c.job_id == job_id)
        values = {"settings": settings, "name": settings.get("name", "Untitled")}
        if self._writer.write(lambda connection: connection.execute(query.values(values)).rowcount) == 0:
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
        query = select(jobs).order_by(jobs.c.job_id.desc()).limit(limit).offset(offset)
        if name is not None:
            query = query.where(func.lower(jobs.c.name) == name.lower())
        if before is not None:
            query = query.where(jobs.c.job_id < before)
        with self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(query)]

    def all(self) -> Sequence[Job]:
        """Every job, oldest first."""
        with self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(select(jobs).order_by(jobs.c.job_id))]

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


def _job(row: Row[Any]) -> Job:
    return Job(row.job_id, row.creator, row.created_ms, row.settings)
