"""The table of runs and task runs: what the engine changes and the API tells."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, func, insert, or_, select, update

from headway.workspace.clock import now_ms
from headway.workspace.database import Reader, runs
from headway.workspace.errors import invalid
from headway.workspace.runtime.tasks import NotebookRun
from headway.workspace.services.jobs.model import Settings
from headway.workspace.services.jobs.runs import ACTIVE, Run
from headway.workspace.services.jobs.tables import repairs
from headway.workspace.writing import Writer


class RunStore:
    """Runs by id."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine, self._writer, self._reader = engine, writer, Reader(engine)

    # making

    def start_run(
        self,
        *,
        job_id: int | None,
        name: str,
        creator: str,
        settings: Settings,
        parameters: Mapping[str, Any],
        trigger: str,
        idempotency_token: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> tuple[int, bool]:
        """Keep a new run, PENDING, with a run for each of its tasks. Return its id and whether it is new: the same
        token gives the same run again."""
        common = {
            "job_id": job_id,
            "creator": creator,
            "parameters": dict(parameters),
            "trigger": trigger,
            "life_cycle_state": "PENDING",
            "state_message": "",
            "created_ms": now_ms(),
            "output": {},
        }

        def write(connection: Connection) -> tuple[int, bool]:
            if idempotency_token:
                query = select(runs.c.run_id).where(runs.c.idempotency_token == idempotency_token)
                found = connection.execute(query).scalar()
                if found is not None:
                    return int(found), False
            more = {"settings": settings, "idempotency_token": idempotency_token, "details": dict(details or {})}
            run_id = _insert(connection, {**common, **more, "name": name})
            rows = [
                {
                    **common,
                    # What run-now gave stands in the run's own row.
                    "parameters": {},
                    "parent_id": run_id,
                    "root_id": run_id,
                    "task_key": task["task_key"],
                    "name": task["task_key"],
                    "settings": task,
                    "details": {},
                    "life_cycle_state": "BLOCKED" if task.get("depends_on") else "PENDING",
                }
                for task in settings.get("tasks", [])
            ]
            if rows:
                connection.execute(insert(runs), rows)
            return run_id, True

        made: tuple[int, bool] = self._writer.write(write)
        return made

    def add_task_run(self, parent_id: int, before: Any, **values: Any) -> Run:
        """A new task run below `parent_id`: the next attempt of `before`, or the first of its task."""

        def write(connection: Connection) -> Run:
            parent = connection.execute(select(runs).where(runs.c.run_id == parent_id)).one()
            row: dict[str, Any] = {
                "parent_id": parent_id,
                "root_id": parent.root_id or parent_id,
                "job_id": parent.job_id,
                "creator": parent.creator,
                "parameters": {},
                "trigger": parent.trigger,
                "life_cycle_state": "PENDING",
                "state_message": "",
                "created_ms": now_ms(),
                "output": {},
                "details": {},
            }
            if before is not None:
                row |= {
                    "task_key": before.task_key,
                    "settings": dict(before.settings),
                    "attempt": before.attempt + 1,
                    "original_id": before.original_id or before.run_id,
                    "iteration": before.iteration,
                    "repair_id": before.repair_id,
                    "details": dict(before.details),
                }
                connection.execute(update(runs).where(runs.c.run_id == before.run_id).values(latest=False))
            row |= values
            row.setdefault("name", row["task_key"])
            run_id = _insert(connection, row)
            return _run(connection.execute(select(runs).where(runs.c.run_id == run_id)).one())

        made: Run = self._writer.write(write)
        return made

    def add_notebook_run(self, task: Any, key: str, found: NotebookRun) -> int:
        """A run that has ended: of a notebook that a task ran. Return its id."""
        body = {"notebook_path": found.path, "base_parameters": dict(found.parameters)}
        settings = {"task_key": key, "notebook_task": body}
        output: dict[str, Any] = {"seconds": found.seconds}
        if found.result is not None:
            output |= {"notebook_result": found.result, "truncated": False}
        if found.error:
            output["error"] = found.error
        common = {
            "job_id": None,
            "name": key,
            "creator": task.creator,
            "parameters": {},
            "trigger": "ONE_TIME",
            "life_cycle_state": "TERMINATED",
            "result_state": found.state,
            "state_message": found.error,
            "created_ms": found.started_ms,
            "started_ms": found.started_ms,
            "execution_ms": found.started_ms,
            "ended_ms": found.started_ms + int(found.seconds * 1000),
            "cluster_id": task.cluster_id,
        }
        details = {"workflow_of": task.run_id}

        def write(connection: Connection) -> int:
            run_id = _insert(
                connection, {**common, "settings": {"tasks": [settings]}, "details": details, "output": {}}
            )
            below = {"parent_id": run_id, "root_id": run_id, "task_key": key, "settings": settings}
            _insert(connection, {**common, **below, "details": {}, "output": output})
            return run_id

        made: int = self._writer.write(write)
        return made

    # reading

    def run(self, run_id: int) -> Run:
        """Raise ApiError."""
        found = self._reader.rows("select * from runs where run_id = ?", run_id)
        if not found:
            raise invalid(f"Run {run_id} does not exist.")
        return _read(found[0])

    def tasks(self, run_id: int, *, history: bool = False) -> list[Run]:
        """The latest attempt of each task of a run (of each iteration of a for-each task's run), in the order of the
        job; with `history` every attempt."""
        query = "select * from runs where parent_id = ? and (latest or ?)"
        found = [_read(row) for row in self._reader.rows(query, run_id, history)]
        return sorted(found, key=lambda run: (run.original_id or run.run_id, run.attempt))

    def named(self, run_ids: Sequence[int]) -> list[Run]:
        """These runs, those of them that there are."""
        return self._all(select(runs).where(runs.c.run_id.in_(run_ids))) if run_ids else []

    def runs(
        self,
        job_id: int | None = None,
        active: bool | None = None,
        before: int | None = None,
        limit: int = 20,
        *,
        offset: int = 0,
        run_type: str | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> list[Run]:
        """The newest runs with ids below `before`; `active` true or false keeps only those."""
        query = select(runs).where(runs.c.parent_id.is_(None)).order_by(runs.c.run_id.desc())
        query = query.limit(limit).offset(offset)
        if job_id is not None:
            query = query.where(runs.c.job_id == job_id)
        if active is not None:
            among = runs.c.life_cycle_state.in_(ACTIVE)
            query = query.where(among if active else ~among)
        if before is not None:
            query = query.where(runs.c.run_id < before)
        if run_type is not None:
            of_notebook = runs.c.details["workflow_of"].as_string().is_not(None)
            query = query.where(
                of_notebook
                if run_type == "WORKFLOW_RUN"
                else runs.c.job_id.is_(None) & ~of_notebook
                if run_type == "SUBMIT_RUN"
                else runs.c.job_id.is_not(None)
            )
        if from_ms is not None:
            query = query.where(func.coalesce(runs.c.started_ms, runs.c.created_ms) >= from_ms)
        if to_ms is not None:
            query = query.where(func.coalesce(runs.c.started_ms, runs.c.created_ms) <= to_ms)
        return self._all(query)

    def active_runs(self, job_id: int | None = None) -> list[Run]:
        """Every run that may still change, oldest first."""
        query = select(runs).where(runs.c.parent_id.is_(None), runs.c.life_cycle_state.in_(ACTIVE))
        if job_id is not None:
            query = query.where(runs.c.job_id == job_id)
        return self._all(query.order_by(runs.c.run_id))

    def _all(self, query: Select[Any]) -> list[Run]:
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query)]

    # changing

    def change(self, run_id: int, **values: Any) -> None:
        """Set columns of a run or task run."""
        query = update(runs).where(runs.c.run_id == run_id).values(values)
        self._writer.write(lambda connection: connection.execute(query))

    def end_tasks(self, run_id: int, keys: Sequence[str] | None, **values: Any) -> None:
        """Set columns of those tasks (and iterations) of a run that are not final yet."""
        query = update(runs).where(runs.c.root_id == run_id, runs.c.life_cycle_state.in_(ACTIVE)).values(values)
        chunks = [None] if keys is None else [keys[start : start + 500] for start in range(0, len(keys), 500)]

        def write(connection: Connection) -> None:
            for chunk in chunks:
                connection.execute(query if chunk is None else query.where(runs.c.task_key.in_(chunk)))

        self._writer.write(write)

    # forgetting

    def delete_run(self, run_id: int) -> None:
        """Forget a run that has ended. Raise ApiError while it is active."""
        found = self.run(run_id)
        if found.active:
            raise invalid(f"Run {run_id} is active: cancel it first.")
        self.forget([run_id])

    def ended_before(self, at_ms: int, limit: int) -> list[int]:
        """Runs that ended before then, oldest first. Never an active one."""
        query = (
            select(runs.c.run_id)
            .where(runs.c.parent_id.is_(None), ~runs.c.life_cycle_state.in_(ACTIVE), runs.c.ended_ms < at_ms)
            .order_by(runs.c.run_id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [int(found) for found in connection.execute(query).scalars()]

    def forget(self, run_ids: Sequence[int]) -> list[int]:
        """Remove these runs that have ended, with their tasks and repairs. Return the ids of all that was removed."""

        def write(connection: Connection) -> list[int]:
            gone: list[int] = []
            for run_id in run_ids:
                chosen = or_(runs.c.run_id == run_id, runs.c.root_id == run_id)
                gone += connection.execute(select(runs.c.run_id).where(chosen)).scalars()
                connection.execute(delete(repairs).where(repairs.c.run_id == run_id))
                connection.execute(delete(runs).where(chosen))
            return gone

        found: list[int] = self._writer.write(write)
        return found


def _insert(connection: Connection, row: Mapping[str, Any]) -> int:
    made = connection.execute(insert(runs).values(row)).inserted_primary_key
    return int(made[0])  # type: ignore[index]


_JSON = ("settings", "parameters", "output", "details")


def _read(row: sqlite3.Row) -> Run:
    values = {**dict(row), **{name: json.loads(row[name]) for name in _JSON}}
    values["latest"] = bool(values["latest"])
    return Run(**values)


def _run(row: Row[Any]) -> Run:
    return Run(**row._mapping)
