"""Jobs and runs over HTTP."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.catalogue import Catalogue
from headway.workspace.errors import invalid, malformed
from headway.workspace.http import Call, Data, Endpoint, flag, number, text
from headway.workspace.services.jobs import model
from headway.workspace.services.jobs.reading import with_numbers
from headway.workspace.services.jobs.runs import Run
from headway.workspace.services.jobs.store import JobStore

VERSIONS = ("2.0", "2.1", "2.2")
LOG_BYTES = 5 * 1024 * 1024
MAX_PARAMETER_BYTES = 10_000
_PARAMETERS: Mapping[str, type] = {
    "jar_params": list,
    "notebook_params": dict,
    "python_params": list,
    "python_named_params": dict,
    "job_parameters": dict,
}


class RunEngine(Protocol):
    """What the routes ask of the jobs engine."""

    base_url: str

    def submit(self, run_id: int) -> None:
        """Start a run, or let it wait."""

    def cancel(self, run_id: int) -> None:
        """End a run."""

    def run_folder(self, run_id: int) -> Path:
        """Where a run keeps its files."""


class JobRoutes:
    """The routes."""

    def __init__(self, store: JobStore, engine: RunEngine, catalogue: Catalogue) -> None:
        self._store, self._engine, self._catalogue = store, engine, catalogue

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        posts = {
            "create": self.create,
            "reset": self.reset,
            "update": self.update,
            "delete": self.delete,
            "run-now": self.run_now,
            "runs/submit": self.submit,
            "runs/cancel": self.cancel,
            "runs/cancel-all": self.cancel_all,
            "runs/delete": self.delete_run,
        }
        gets = {
            "get": self.get,
            "list": self.list,
            "runs/get": self.get_run,
            "runs/list": self.list_runs,
            "runs/get-output": self.get_output,
        }
        return [
            *(Endpoint("POST", f"/jobs/{name}", handler, VERSIONS) for name, handler in posts.items()),
            *(Endpoint("GET", f"/jobs/{name}", handler, VERSIONS) for name, handler in gets.items()),
        ]

    # jobs

    def _checked(self, settings: Mapping[str, Any], version: str) -> model.Settings:
        result = model.multi_task(with_numbers(settings))
        model.check(result, version, self._catalogue.check)
        return result

    def create(self, call: Call) -> Data:
        """A new job."""
        given = {
            key: value for key, value in call.data.items() if key not in ("idempotency_token", "access_control_list")
        }
        settings = self._checked(given, call.version)
        return {"job_id": self._store.create(call.user, settings, _token(call.data))}

    def reset(self, call: Call) -> Data:
        """New settings in the place of all old ones; an omitted run_as is kept."""
        job = self._store.job(number(call.data, "job_id"))
        given = call.data.get("new_settings")
        if not isinstance(given, dict):
            raise invalid("Missing required field: new_settings")
        settings = self._checked(given, call.version)
        if "run_as" in job.settings:
            settings.setdefault("run_as", job.settings["run_as"])
        self._store.replace(job.job_id, settings)
        return {}

    def update(self, call: Call) -> Data:
        """Some settings changed, some removed; tasks and job clusters are merged by key."""
        job = self._store.job(number(call.data, "job_id"))
        settings = dict(job.settings)
        for name in call.data.get("fields_to_remove") or []:
            section, _, key = str(name).partition("/")
            if key and isinstance(settings.get(section), list):
                settings[section] = [
                    entry
                    for entry in settings[section]
                    if key not in (entry.get("task_key"), entry.get("job_cluster_key"))
                ]
            else:
                settings.pop(section, None)
        given = call.data.get("new_settings") or {}
        if not isinstance(given, dict):
            raise malformed("Could not parse request object: Expected object for field new_settings")
        for name, value in given.items():
            by = {"tasks": "task_key", "job_clusters": "job_cluster_key"}.get(name)
            if by and isinstance(value, list):
                merged = {entry[by]: entry for entry in [*settings.get(name, []), *value] if isinstance(entry, dict)}
                settings[name] = list(merged.values())
            else:
                settings[name] = value
        self._store.replace(job.job_id, self._checked(settings, call.version))
        return {}

    def delete(self, call: Call) -> Data:
        """Remove a job."""
        self._store.delete(number(call.data, "job_id"))
        return {}

    def get(self, call: Call) -> Data:
        """One job; at 2.2 a hundred tasks a page."""
        found = self._store.job(number(call.data, "job_id")).to_json()
        if call.version == "2.2":
            _page_tasks(found["settings"], found, call.data)
        return found

    def list(self, call: Call) -> Data:
        """The newest jobs, a page at a time."""
        limit = number(call.data, "limit", 20)
        if not 1 <= limit <= 100:
            raise invalid("limit must be from 1 to 100")
        before = _page_token(call.data)
        name = call.data.get("name")
        found = self._store.jobs(name, before, limit + 1)
        page, more = found[:limit], len(found) > limit
        expand = flag(call.data, "expand_tasks")
        result: Data = {"has_more": more}
        if page:
            result["jobs"] = [job.to_json(tasks=expand) for job in page]
        if more:
            result["next_page_token"] = str(page[-1].job_id)
        return result

    # runs

    def run_now(self, call: Call) -> Data:
        """Start a job."""
        job = self._store.job(number(call.data, "job_id"))
        parameters = _parameters(call.data)
        declared = {entry["name"] for entry in job.settings.get("parameters", [])}
        unknown = set(parameters.get("job_parameters", {})) - declared
        if unknown:
            raise invalid(f"Job {job.job_id} has no parameters {', '.join(sorted(unknown))}")
        settings = dict(job.settings)
        only = call.data.get("only")
        if only:
            settings["tasks"] = [task for task in settings["tasks"] if task["task_key"] in only]
        if call.data.get("queue"):
            settings["queue"] = call.data["queue"]
        run_id, new = self._store.start_run(
            job_id=job.job_id,
            name=settings.get("name", "Untitled"),
            creator=call.user,
            settings=settings,
            parameters=parameters,
            trigger="ONE_TIME",
            idempotency_token=_token(call.data),
        )
        if new:
            self._engine.submit(run_id)
        return {"run_id": run_id, "number_in_job": run_id}

    def submit(self, call: Call) -> Data:
        """Start a run that belongs to no job."""
        given = {
            key: value for key, value in call.data.items() if key not in ("idempotency_token", "access_control_list")
        }
        given["name"] = given.pop("run_name", "Untitled")
        if not any(key in given for key in ("tasks", *model.SERVED_TASKS, *model.OTHER_TASKS)):
            raise invalid("Run settings must be specified.")
        settings = self._checked(given, call.version)
        run_id, new = self._store.start_run(
            job_id=None,
            name=settings["name"],
            creator=call.user,
            settings=settings,
            parameters={},
            trigger="ONE_TIME",
            idempotency_token=_token(call.data),
        )
        if new:
            self._engine.submit(run_id)
        return {"run_id": run_id}

    def get_run(self, call: Call) -> Data:
        """One run (or the run of one task) with its tasks."""
        run = self._store.run(number(call.data, "run_id"))
        tasks = [run] if run.parent_id is not None else self._store.tasks(run.run_id)
        found = run.to_json(self._engine.base_url, tasks)
        if call.version == "2.2":
            _page_tasks(found, found, call.data)
        return found

    def list_runs(self, call: Call) -> Data:
        """The newest runs, a page at a time."""
        limit = number(call.data, "limit", 20)
        if not 1 <= limit <= 25:
            raise invalid("limit must be from 1 to 25")
        active_only, completed_only = flag(call.data, "active_only"), flag(call.data, "completed_only")
        if active_only and completed_only:
            raise invalid("Only one of active_only and completed_only may be true")
        active = True if active_only else False if completed_only else None
        job_id = number(call.data, "job_id") if call.data.get("job_id") is not None else None
        found = self._store.runs(job_id, active, _page_token(call.data), limit + 1)
        page, more = found[:limit], len(found) > limit
        expand = flag(call.data, "expand_tasks")
        result: Data = {"has_more": more}
        if page:
            result["runs"] = [
                run.to_json(self._engine.base_url, self._store.tasks(run.run_id) if expand else None) for run in page
            ]
        if more:
            result["next_page_token"] = str(page[-1].run_id)
        return result

    def get_output(self, call: Call) -> Data:
        """What a task printed (also while it runs), its error, its notebook's result."""
        run = self._store.run(number(call.data, "run_id"))
        if run.parent_id is None:
            tasks = self._store.tasks(run.run_id)
            if len(tasks) != 1:
                raise invalid(
                    "Retrieving the output of runs with multiple tasks is not supported. Name a task's run_id."
                )
            run = tasks[0]
        result: Data = {"metadata": run.to_json(self._engine.base_url, None)}
        for name in ("error", "error_trace"):
            if run.output.get(name):
                result[name] = run.output[name]
        if "notebook_result" in run.output:
            result["notebook_output"] = {"result": run.output["notebook_result"], "truncated": run.output["truncated"]}
        result["logs"], result["logs_truncated"] = _tail(self._log(run))
        return result

    def _log(self, run: Run) -> Path:
        return self._engine.run_folder(run.parent_id or run.run_id) / "logs" / f"{run.task_key}.log"

    def cancel(self, call: Call) -> Data:
        """End a run."""
        run = self._store.run(number(call.data, "run_id"))
        self._engine.cancel(run.parent_id or run.run_id)
        return {}

    def cancel_all(self, call: Call) -> Data:
        """End every run of a job, those that wait first."""
        job = self._store.job(number(call.data, "job_id"))
        active = self._store.active_runs(job.job_id)
        for run in sorted(active, key=lambda found: found.life_cycle_state != "QUEUED"):
            self._engine.cancel(run.run_id)
        return {}

    def delete_run(self, call: Call) -> Data:
        """Forget a run that has ended."""
        self._store.delete_run(number(call.data, "run_id"))
        return {}


def _token(data: Data) -> str | None:
    if data.get("idempotency_token") is None:
        return None
    token = text(data, "idempotency_token")
    if len(token) > 64:
        raise invalid("idempotency_token has at most 64 characters")
    return token or None


def _page_token(data: Data) -> int | None:
    given = data.get("page_token")
    if given in (None, ""):
        return None
    try:
        return int(str(given))
    except ValueError:
        raise invalid(f"page_token {given} is not one that this workspace gave") from None


def _page_tasks(holder: Data, answer: Data, data: Data) -> None:
    first = _page_token(data) or 0
    tasks = holder.get("tasks", [])
    if len(tasks) > model.MAX_TASKS_BEFORE_2_2:
        holder["tasks"] = tasks[first : first + model.MAX_TASKS_BEFORE_2_2]
        if first + model.MAX_TASKS_BEFORE_2_2 < len(tasks):
            answer["next_page_token"] = str(first + model.MAX_TASKS_BEFORE_2_2)


def _parameters(data: Data) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in _PARAMETERS.items():
        value = data.get(name)
        if value is None:
            continue
        if not isinstance(value, kind):
            wanted = "object" if kind is dict else "array"
            actual = "STRING" if isinstance(value, str) else type(value).__name__.upper()
            raise malformed(f"Could not parse request object: Expected {wanted} for field {name}, found {actual}")
        if len(str(value).encode("utf-8", "replace")) > MAX_PARAMETER_BYTES:
            raise invalid(f"{name} is larger than {MAX_PARAMETER_BYTES} bytes")
        found[name] = value
    return found


def _tail(path: Path) -> tuple[str, bool]:
    try:
        size = path.stat().st_size
        with path.open("rb") as source:
            source.seek(max(0, size - LOG_BYTES))
            return source.read(LOG_BYTES).decode("utf-8", "replace"), size > LOG_BYTES
    except FileNotFoundError:
        return "", False
