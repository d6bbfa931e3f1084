"""Repairs: which tasks of a run that has ended run again, what is kept of how it ended before."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from headway.workspace.clock import now_ms
from headway.workspace.database import runs
from headway.workspace.engine.decisions import Graph, failed_keys
from headway.workspace.engine.runner import node
from headway.workspace.errors import ApiError, invalid
from headway.workspace.services.jobs.model import Settings
from headway.workspace.services.jobs.runs import Repair, Run
from headway.workspace.services.jobs.tables import repairs
from headway.workspace.writing import Writer

_END = (
    "life_cycle_state", "result_state", "state_message", "termination_code", "started_ms", "execution_ms", "ended_ms",
)  # fmt: skip


def chosen(tasks: Sequence[Run], named: Sequence[str], *, all_failed: bool, dependents: bool) -> list[str]:
    """The keys of the tasks that a repair runs again, in the order of the job. Raise ApiError."""
    keys = [str(task.task_key) for task in tasks]
    unknown = [key for key in named if key not in keys]
    if unknown:
        raise invalid(f"The run has no tasks {', '.join(map(str, unknown))}")
    if bool(named) == all_failed:
        raise invalid("Exactly one of rerun_tasks and rerun_all_failed_tasks must be given")
    graph = Graph([node(task) for task in tasks])
    wanted = set(named)
    if all_failed:
        wanted = failed_keys({str(task.task_key): str(task.result_state) for task in tasks})
    if dependents or all_failed:
        wanted = graph.all_followers(wanted)
    if not wanted:
        raise invalid("There is nothing to repair: no task of the run failed")
    return [key for key in keys if key in wanted]


def check_latest(history: Sequence[Repair], given: int | None) -> None:
    """Raise ApiError where `latest_repair_id` is not that of the latest repair: from the second repair on it must be
    given, so that two people do not repair one run without knowing."""
    latest = history[-1].repair_id if history else None
    if given is None and latest is not None:
        raise invalid(f"latest_repair_id must be given: the run has been repaired, last by repair {latest}")
    if given is not None and given != latest:
        raise invalid(f"latest_repair_id is {given}, but the latest repair of the run is {latest}")


class RepairStore:
    """Repairs of runs."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine, self._writer = engine, writer

    def history(self, run_id: int) -> list[Repair]:
        """The repairs of a run, oldest first; without the original."""
        return [entry for entry in self._of(run_id) if entry.number > 0]

    def original(self, run_id: int) -> Repair | None:
        """How a run that was repaired ended at first."""
        return next((entry for entry in self._of(run_id) if entry.number == 0), None)

    def _of(self, run_id: int) -> list[Repair]:
        query = select(repairs).where(repairs.c.run_id == run_id).order_by(repairs.c.number)
        with self._engine.connect() as connection:
            return [Repair(row.repair_id, row.number, row.started_ms, row.end) for row in connection.execute(query)]

    def repair(
        self, run: Run, tasks: Sequence[Run], keys: Sequence[str], settings: Settings, parameters: Mapping[str, Any]
    ) -> int:
        """Give these tasks a new attempt each, with today's settings, and make the run PENDING again. Return the
        repair's id. Raise ApiError where the run is not as it was read."""
        by_key = {task["task_key"]: task for task in settings.get("tasks", [])}

        def write(connection: Connection) -> int:
            query = select(runs).where(runs.c.run_id == run.run_id)
            now = connection.execute(query).one()
            if now.ended_ms != run.ended_ms or now.repair_id != run.repair_id:
                raise ApiError("INVALID_STATE", f"Run {run.run_id} has changed meanwhile: look at it again")
            end = {name: getattr(run, name) for name in _END}
            count = int(run.details.get("repair_count", 0))
            if count == 0:
                row = {"run_id": run.run_id, "number": 0, "started_ms": run.started_ms or run.created_ms, "end": end}
                connection.execute(insert(repairs).values(row))
            else:
                connection.execute(update(repairs).where(repairs.c.repair_id == run.repair_id).values(end=end))
            row = {"run_id": run.run_id, "number": count + 1, "started_ms": now_ms(), "end": {}}
            made = connection.execute(insert(repairs).values(row)).inserted_primary_key
            repair_id = int(made[0])  # type: ignore[index]
            again = [task for task in tasks if task.task_key in keys]
            for task in again:
                connection.execute(update(runs).where(runs.c.run_id == task.run_id).values(latest=False))
                connection.execute(insert(runs).values(_next(task, repair_id, by_key.get(str(task.task_key)))))
            kept = [task.settings for task in tasks if task.task_key not in keys]
            values = {
                "life_cycle_state": "PENDING",
                "result_state": None,
                "state_message": "",
                "termination_code": None,
                "ended_ms": None,
                "repair_id": repair_id,
                "parameters": {**run.parameters, **parameters},
                "details": {**run.details, "repair_count": count + 1},
                "settings": {
                    **settings,
                    "tasks": [*kept, *(by_key.get(str(task.task_key), task.settings) for task in again)],
                },
            }
            connection.execute(update(runs).where(runs.c.run_id == run.run_id).values(values))
            return repair_id

        made: int = self._writer.write(write)
        return made


def _next(task: Run, repair_id: int, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "parent_id": task.parent_id,
        "root_id": task.root_id,
        "task_key": task.task_key,
        "job_id": task.job_id,
        "name": task.name,
        "creator": task.creator,
        "settings": dict(settings or task.settings),
        "parameters": {},
        "trigger": "RETRY",
        "life_cycle_state": "PENDING",
        "state_message": "",
        "created_ms": now_ms(),
        "output": {},
        "attempt": task.attempt + 1,
        "original_id": task.original_id or task.run_id,
        "repair_id": repair_id,
        # Retries are counted from here; a for-each task looks there for iterations that need not run again.
        "details": {"first_attempt": task.attempt + 1, "repairs": task.run_id},
    }
