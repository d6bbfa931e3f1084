"""Runs over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.engine.preparation import log_file, record_file
from headway.workspace.errors import ApiError, invalid, malformed
from headway.workspace.http import Call, Data, Endpoint, Handler, Need, flag, number
from headway.workspace.services.jobs import exporting, model
from headway.workspace.services.jobs.asking import idempotency_token, page_of, page_tasks, page_token
from headway.workspace.services.jobs.kinds import KINDS
from headway.workspace.services.jobs.launching import Launcher, check_job_parameters, parameters
from headway.workspace.services.jobs.repairs import RepairStore, check_latest, chosen
from headway.workspace.services.jobs.routes import NOT_SETTINGS, VERSIONS
from headway.workspace.services.jobs.run_store import RunStore
from headway.workspace.services.jobs.runs import Run
from headway.workspace.services.jobs.store import JobStore
from headway.workspace.services.jobs.telling import repair_history, run_json, task_json

LOG_BYTES = 5 * 1024 * 1024


class RunEngine(Protocol):
    """What the routes ask of the jobs engine."""

    base_url: str

    def submit(self, run_id: int) -> None:
        """Start a run, or let it wait."""

    def repair(self, run_id: int) -> None:
        """Go on with a run that has ended. Raise ApiError."""

    def may_repair(self, run: Any) -> bool:
        """Whether its job may have another run now."""

    def cancel(self, run_id: int) -> None:
        """End a run, or the run of a task."""

    def run_folder(self, run_id: int) -> Path:
        """Where a run keeps its files."""


Checked = Callable[[Mapping[str, Any], str, str], model.Settings]
_QUICK = ("runs/get",)


class RunRoutes:
    """The routes. `checked` gives settings as they are kept, or raises ApiError."""

    def __init__(
        self,
        jobs: JobStore,
        runs: RunStore,
        repairs: RepairStore,
        engine: RunEngine,
        launcher: Launcher,
        checked: Checked,
        redactor: Callable[..., Callable[[str], str]] = lambda *run_ids: str,
    ) -> None:
        self._jobs, self._runs, self._repairs = jobs, runs, repairs
        self._engine, self._launcher, self._checked = engine, launcher, checked
        self._redactor = redactor

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        manage, view = Need("runs", "run_id", "CAN_MANAGE_RUN"), Need("runs", "run_id", "CAN_VIEW")
        start = Need("jobs", "job_id", "CAN_MANAGE_RUN")
        posts: list[tuple[str, Handler, Need | None]] = [
            ("run-now", self.run_now, start),
            ("runs/submit", self.submit, None),
            ("runs/cancel", self.cancel, manage),
            ("runs/cancel-all", self.cancel_all, start),
            ("runs/repair", self.repair, manage),
            ("runs/delete", self.delete, Need("runs", "run_id", "CAN_MANAGE")),
        ]
        gets: list[tuple[str, Handler, Need | None]] = [
            ("runs/get", self.get, view),
            ("runs/list", self.list, Need("jobs", "job_id", "CAN_VIEW")),
            ("runs/get-output", self.get_output, view),
            ("runs/export", self.export, view),
        ]
        return [
            *(Endpoint("POST", f"/jobs/{name}", handler, VERSIONS, need) for name, handler, need in posts),
            *(
                Endpoint("GET", f"/jobs/{name}", handler, VERSIONS, need, quick=name in _QUICK)
                for name, handler, need in gets
            ),
        ]

    # starting

    def run_now(self, call: Call) -> Data:
        """Start a job."""
        job = self._jobs.job(number(call.data, "job_id"))
        only, queue = call.data.get("only") or [], call.data.get("queue") or {}
        if not isinstance(only, list) or not isinstance(queue, dict):
            raise malformed("Could not parse request object: only must be an array, queue an object")
        run_id, new = self._launcher.run_now(
            job,
            parameters(call.data),
            creator=call.user,
            token=idempotency_token(call.data),
            only=only,
            queue=queue,
        )
        if new:
            self._engine.submit(run_id)
        return {"run_id": run_id, "number_in_job": run_id}

    def submit(self, call: Call) -> Data:
        """Start a run that belongs to no job."""
        given = {key: value for key, value in call.data.items() if key not in NOT_SETTINGS}
        given["name"] = given.pop("run_name", None) or "Untitled"
        if not any(key in given for key in ("tasks", *KINDS)):
            raise invalid("Run settings must be specified.")
        settings = self._checked(given, call.version, call.user)
        run_id, new = self._runs.start_run(
            job_id=None,
            name=settings["name"],
            creator=call.user,
            settings=settings,
            parameters={},
            trigger="ONE_TIME",
            idempotency_token=idempotency_token(call.data),
        )
        if new:
            self._engine.submit(run_id)
        return {"run_id": run_id}

    def repair(self, call: Call) -> Data:
        """Run some tasks of a run that has ended again, with the job's settings of today."""
        run = self._runs.run(number(call.data, "run_id"))
        if run.root_id is not None:
            raise invalid(f"Run {run.run_id} is the run of a task: repair the job's run {run.root_id}")
        if run.active:
            raise ApiError("INVALID_STATE", f"Run {run.run_id} is active: only a run that has ended can be repaired")
        latest = number(call.data, "latest_repair_id") if call.data.get("latest_repair_id") is not None else None
        check_latest(self._repairs.history(run.run_id), latest)
        named = call.data.get("rerun_tasks") or []
        if not isinstance(named, list):
            raise malformed("Could not parse request object: Expected array for field rerun_tasks")
        tasks, settings, given = self._runs.tasks(run.run_id), dict(run.settings), parameters(call.data)
        if run.job_id is not None:
            job = self._jobs.job(run.job_id)
            check_job_parameters(job, given)
            settings = dict(job.settings)
        keys = chosen(
            tasks,
            named,
            all_failed=flag(call.data, "rerun_all_failed_tasks"),
            dependents=flag(call.data, "rerun_dependent_tasks"),
        )
        if not self._engine.may_repair(run):
            raise ApiError("INVALID_STATE", f"Run {run.run_id} cannot be repaired now: its job has other active runs")
        repair_id = self._repairs.repair(run, tasks, keys, settings, given)
        self._engine.repair(run.run_id)
        return {"repair_id": repair_id}

    # looking

    def get(self, call: Call) -> Data:
        """One run (or the run of one task, of one iteration) with its tasks, and the iterations of a for-each run."""
        run = self._runs.run(number(call.data, "run_id"))
        history = flag(call.data, "include_history")
        base_url = self._engine.base_url
        tasks = [run] if run.root_id is not None else self._runs.tasks(run.run_id, history=history)
        found = run_json(run, base_url, tasks)
        if "for_each_task" in run.settings:
            found["iterations"] = [task_json(entry, base_url) for entry in self._iterations(run)]
        if history and run.root_id is None:
            found["repair_history"] = repair_history(
                run, tasks, self._repairs.original(run.run_id), self._repairs.history(run.run_id)
            )
        if call.version == "2.2":
            page_tasks(found, found, call.data, "tasks", "iterations")
        return found

    def _iterations(self, run: Run) -> list[Run]:
        found = [*self._runs.tasks(run.run_id), *self._runs.named(run.output.get("kept", []))]
        return sorted(found, key=lambda entry: entry.iteration or 0)

    def list(self, call: Call) -> Data:
        """The newest runs, a page at a time."""
        limit = number(call.data, "limit", 20)
        if not 1 <= limit <= 25:
            raise invalid("limit must be from 1 to 25")
        active_only, completed_only = flag(call.data, "active_only"), flag(call.data, "completed_only")
        if active_only and completed_only:
            raise invalid("Only one of active_only and completed_only may be true")
        run_type = call.data.get("run_type")
        if run_type not in (None, "", "JOB_RUN", "SUBMIT_RUN", "WORKFLOW_RUN"):
            raise invalid(f"run_type must be JOB_RUN, WORKFLOW_RUN or SUBMIT_RUN, not {run_type}")
        found = self._runs.runs(
            _optional(call.data, "job_id"),
            True if active_only else False if completed_only else None,
            page_token(call.data),
            limit + 1,
            offset=max(0, number(call.data, "offset", 0)),
            run_type=run_type or None,
            from_ms=_optional(call.data, "start_time_from"),
            to_ms=_optional(call.data, "start_time_to"),
        )
        base_url, expand = self._engine.base_url, flag(call.data, "expand_tasks")

        def render(run: Run) -> Data:
            return run_json(run, base_url, self._runs.tasks(run.run_id) if expand else None)

        def shown(run: Run) -> bool:
            return call.allows("runs", run.run_id, "CAN_VIEW")

        return page_of("runs", found, limit, render, lambda run: run.run_id, shown)

    def get_output(self, call: Call) -> Data:
        """What a task printed (also while it runs), its error, its notebook's result, the run that it started."""
        run = self._runs.run(number(call.data, "run_id"))
        if run.parent_id is None:
            tasks = self._runs.tasks(run.run_id)
            if len(tasks) != 1:
                raise invalid(
                    "Retrieving the output of runs with multiple tasks is not supported. Name a task's run_id."
                )
            run = tasks[0]
        result: Data = {"metadata": run_json(run, self._engine.base_url, None)}
        for name in ("error", "error_trace"):
            if run.output.get(name):
                result[name] = run.output[name]
        if "notebook_result" in run.output:
            result["notebook_output"] = {"result": run.output["notebook_result"], "truncated": run.output["truncated"]}
        elif "sql_task" in run.settings:
            result["sql_output"] = {"query_output": {"query_text": run.settings["sql_task"]["file"]["path"]}}
        elif "notebook_task" in run.settings:
            result["notebook_output"] = {}
        if "child_run_id" in run.output:
            result["run_job_output"] = {"run_id": run.output["child_run_id"]}
        logs, result["logs_truncated"] = _tail(self._log(run))
        result["logs"] = self._redactor(run.run_id, run.parent_id, run.root_id)(logs)
        return result

    def export(self, call: Call) -> Data:
        """A notebook's (or SQL task's) run as HTML: its cells and what they showed, as far as it has come."""
        run = self._runs.run(number(call.data, "run_id"))
        views = call.data.get("views_to_export") or "CODE"
        if views not in ("CODE", "DASHBOARDS", "ALL"):
            raise invalid(f"views_to_export must be CODE, DASHBOARDS or ALL, not {views}")
        tasks = [run] if run.parent_id is not None else self._runs.tasks(run.run_id)
        if len(tasks) != 1:
            raise invalid("Exporting a run with multiple tasks is not supported. Name a task's run_id.")
        task = tasks[0]
        if not {"notebook_task", "sql_task"} & task.settings.keys():
            raise invalid(f"Run {run.run_id} is not the run of a notebook: only those are exported")
        if views == "DASHBOARDS":
            return {"views": []}
        try:
            lines = record_file(self._log(task)).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        head, cells = exporting.entries(lines)
        name = str(head["path"]).rpartition("/")[2] or str(task.task_key)
        ended = task.result_state or task.life_cycle_state
        content = exporting.page(name, f"run {task.run_id}: {ended.lower()}", cells)
        redact = self._redactor(task.run_id, task.parent_id, task.root_id)
        return {"views": [{"content": redact(content), "name": name, "type": "NOTEBOOK"}]}

    def _log(self, run: Run) -> Path:
        folder = self._engine.run_folder(run.root_id or run.run_id)
        return log_file(folder, str(run.task_key), run.attempt, run.iteration)

    # ending

    def cancel(self, call: Call) -> Data:
        """End a run, or the run of one task."""
        run = self._runs.run(number(call.data, "run_id"))
        self._engine.cancel(run.run_id)
        return {}

    def cancel_all(self, call: Call) -> Data:
        """End every run of a job, those that wait first; with `all_queued_runs` only those that wait, of all jobs where
        none is named."""
        queued_only = flag(call.data, "all_queued_runs")
        job_id = _optional(call.data, "job_id")
        if job_id is None and not queued_only:
            raise invalid("Missing required field: job_id")
        if job_id is not None:
            self._jobs.job(job_id)
        active = [run for run in self._runs.active_runs(job_id) if call.allows("runs", run.run_id, "CAN_MANAGE_RUN")]
        for run in sorted(active, key=lambda found: found.life_cycle_state != "QUEUED"):
            if run.life_cycle_state == "QUEUED" or not queued_only:
                self._engine.cancel(run.run_id)
        return {}

    def delete(self, call: Call) -> Data:
        """Forget a run that has ended."""
        self._runs.delete_run(number(call.data, "run_id"))
        return {}


def _optional(data: Mapping[str, Any], name: str) -> int | None:
    return number(data, name) if data.get(name) not in (None, "") else None


def _tail(path: Path) -> tuple[str, bool]:
    try:
        size = path.stat().st_size
        with path.open("rb") as source:
            source.seek(max(0, size - LOG_BYTES))
            return source.read(LOG_BYTES).decode("utf-8", "replace"), size > LOG_BYTES
    except FileNotFoundError:
        return "", False
