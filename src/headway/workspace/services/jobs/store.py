"""The tables of jobs and runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Row, delete, func, insert, or_, select, update

from headway.workspace.clock import now_ms
from headway.workspace.database import jobs, runs
from headway.workspace.errors import invalid
from headway.workspace.services.jobs.model import Job, Settings
from headway.workspace.services.jobs.runs import ACTIVE, Run


class JobStore:
    """Jobs and runs by id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # jobs

    def create(self, creator: str, settings: Settings, idempotency_token: str | None) -> int:
        """Keep a new job; the same token gives the same job again."""
        row = {
            "name": settings.get("name", "Untitled"),
            "creator": creator,
            "created_ms": now_ms(),
            "settings": settings,
            "idempotency_token": idempotency_token,
        }
        with self._engine.begin() as connection:
            if idempotency_token:
                query = select(jobs.c.job_id).where(jobs.c.idempotency_token == idempotency_token)
                found = connection.execute(query).scalar()
                if found is not None:
                    return int(found)
            return int(connection.execute(insert(jobs).values(row)).inserted_primary_key[0])  # type: ignore[index]

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
        with self._engine.begin() as connection:
            changed = connection.execute(query.values(settings=settings, name=settings.get("name", "Untitled")))
        if changed.rowcount == 0:
            raise invalid(f"Job {job_id} does not exist.")

    def delete(self, job_id: int) -> None:
        """Remove a job; its runs stay."""
        with self._engine.begin() as connection:
            if connection.execute(delete(jobs).where(jobs.c.job_id == job_id)).rowcount == 0:
                raise invalid(f"Job {job_id} does not exist.")

    def jobs(self, name: str | None, before: int | None, limit: int) -> list[Job]:
        """The newest jobs with ids below `before`, with exactly that name where one is given (case does not count)."""
        query = select(jobs).order_by(jobs.c.job_id.desc()).limit(limit)
        if name is not None:
            query = query.where(func.lower(jobs.c.name) == name.lower())
        if before is not None:
            query = query.where(jobs.c.job_id < before)
        with self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(query)]

    # runs

    def start_run(
        self,
        *,
        job_id: int | None,
        name: str,
        creator: str,
        settings: Settings,
        parameters: Mapping[str, Any],
        trigger: str,
        idempotency_token: str | None,
    ) -> tuple[int, bool]:
        """Keep a new run, PENDING, with a run for each of its tasks. Return its id and whether it is new: the same
        token gives the same run again."""
        now = now_ms()
        common = {
            "job_id": job_id,
            "creator": creator,
            "parameters": dict(parameters),
            "trigger": trigger,
            "life_cycle_state": "PENDING",
            "state_message": "",
            "created_ms": now,
            "output": {},
        }
        with self._engine.begin() as connection:
            if idempotency_token:
                query = select(runs.c.run_id).where(runs.c.idempotency_token == idempotency_token)
                found = connection.execute(query).scalar()
                if found is not None:
                    return int(found), False
            row = {**common, "name": name, "settings": settings, "idempotency_token": idempotency_token}
            run_id = int(connection.execute(insert(runs).values(row)).inserted_primary_key[0])  # type: ignore[index]
            for task in settings.get("tasks", []):
                row = {**common, "parent_id": run_id, "task_key": task["task_key"], "name": task["task_key"]}
                connection.execute(insert(runs).values({**row, "settings": task}))
        return run_id, True

    def run(self, run_id: int) -> Run:
        """Raise ApiError."""
        with self._engine.connect() as connection:
            row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
        if row is None:
            raise invalid(f"Run {run_id} does not exist.")
        return _run(row)

    def tasks(self, run_id: int) -> list[Run]:
        """The task runs of a run, in the order of the job."""
        query = select(runs).where(runs.c.parent_id == run_id).order_by(runs.c.run_id)
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query)]

    def runs(self, job_id: int | None, active: bool | None, before: int | None, limit: int) -> list[Run]:
        """The newest runs with ids below `before`; `active` true or false keeps only those."""
        query = select(runs).where(runs.c.parent_id.is_(None)).order_by(runs.c.run_id.desc()).limit(limit)
        if job_id is not None:
            query = query.where(runs.c.job_id == job_id)
        if active is not None:
            among = runs.c.life_cycle_state.in_(ACTIVE)
            query = query.where(among if active else ~among)
        if before is not None:
            query = query.where(runs.c.run_id < before)
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query)]

    def active_runs(self, job_id: int | None = None) -> list[Run]:
        """Every run that may still change, oldest first."""
        query = select(runs).where(runs.c.parent_id.is_(None), runs.c.life_cycle_state.in_(ACTIVE))
        if job_id is not None:
            query = query.where(runs.c.job_id == job_id)
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query.order_by(runs.c.run_id))]

    def change(self, run_id: int, **values: Any) -> None:
        """Set columns of a run or task run."""
        with self._engine.begin() as connection:
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))

    def end_tasks(self, run_id: int, keys: Sequence[str] | None, **values: Any) -> None:
        """Set columns of those tasks of a run that are not final yet."""
        query = update(runs).where(runs.c.parent_id == run_id, runs.c.life_cycle_state.in_(ACTIVE))
        if keys is not None:
            query = query.where(runs.c.task_key.in_(keys))
        with self._engine.begin() as connection:
            connection.execute(query.values(values))

    def delete_run(self, run_id: int) -> None:
        """Forget a run that has ended. Raise ApiError while it is active."""
        found = self.run(run_id)
        if found.active:
            raise invalid(f"Run {run_id} is active: cancel it first.")
        with self._engine.begin() as connection:
            connection.execute(delete(runs).where(or_(runs.c.run_id == run_id, runs.c.parent_id == run_id)))


def _job(row: Row[Any]) -> Job:
    return Job(row.job_id, row.creator, row.created_ms, row.settings)


def _run(row: Row[Any]) -> Run:
    return Run(**row._mapping)
