"""How a run of a job comes to be, whoever asks for it: the API, a trigger, another job's task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.workspace.errors import invalid, malformed
from headway.workspace.services.jobs.model import Job
from headway.workspace.services.jobs.run_store import RunStore

MAX_PARAMETER_BYTES = 10_000
PARAMETERS: Mapping[str, type] = {
    "jar_params": list,
    "notebook_params": dict,
    "python_params": list,
    "python_named_params": dict,
    "spark_submit_params": list,
    "sql_params": dict,
    "dbt_commands": list,
    "job_parameters": dict,
}


def parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of run-now, repair and run_job tasks among `data`. Raise ApiError."""
    found: dict[str, Any] = {}
    for name, kind in PARAMETERS.items():
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


def check_job_parameters(job: Job, given: Mapping[str, Any]) -> None:
    """Raise ApiError where run-now gives job parameters that the job does not declare."""
    declared = {entry["name"] for entry in job.settings.get("parameters") or []}
    unknown = set(given.get("job_parameters", {})) - declared
    if unknown:
        raise invalid(f"Job {job.job_id} has no parameters {', '.join(sorted(unknown))}")


class Launcher:
    """Keeps new runs of jobs; the engine starts them. `job` finds a job, or raises ApiError."""

    def __init__(self, job: Callable[[int], Job], runs: RunStore) -> None:
        self._job, self._runs = job, runs

    def launch(self, job_id: int, given: Mapping[str, Any], trigger: str, details: Mapping[str, Any]) -> int:
        """A new run for a trigger or another job's task. `details` may name its `creator`. Raise ApiError."""
        job = self._job(job_id)
        creator = details.get("creator") or job.run_as
        rest = {name: value for name, value in details.items() if name != "creator"}
        return self.run_now(job, parameters(given), creator=creator, trigger=trigger, details=rest)[0]

    def run_now(
        self,
        job: Job,
        given: Mapping[str, Any],
        *,
        creator: str,
        trigger: str = "ONE_TIME",
        details: Mapping[str, Any] | None = None,
        token: str | None = None,
        only: Sequence[str] = (),
        queue: Mapping[str, Any] | None = None,
    ) -> tuple[int, bool]:
        """A new run; with `only` of these tasks. Return its id and whether it is new. Raise ApiError."""
        check_job_parameters(job, given)
        settings = dict(job.settings)
        if only:
            keys = {task["task_key"] for task in settings.get("tasks", [])}
            unknown = [key for key in only if key not in keys]
            if unknown:
                raise invalid(f"Job {job.job_id} has no tasks {', '.join(map(str, unknown))}")
            settings["tasks"] = [_alone(task, set(only)) for task in settings["tasks"] if task["task_key"] in only]
        if queue:
            settings["queue"] = dict(queue)
        return self._runs.start_run(
            job_id=job.job_id,
            name=settings.get("name", "Untitled"),
            creator=creator,
            settings=settings,
            parameters=given,
            trigger=trigger,
            idempotency_token=token,
            details=details,
        )


def _alone(task: Mapping[str, Any], kept: set[str]) -> dict[str, Any]:
    """A task without its dependencies on tasks that are not run."""
    edges = [entry for entry in task.get("depends_on") or [] if entry["task_key"] in kept]
    return {**task, "depends_on": edges}
