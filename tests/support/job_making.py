"""Jobs and their runs, made and waited for through the official client: for tests of the engine and the API."""

import threading
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service import jobs

from headway.workspace.runtime.tasks import TaskRequest
from support.served_workspace import KEY, FunctionDriver, until

CLUSTER = {"job_cluster_key": "main", "new_cluster": {"spark_version": KEY, "node_type_id": "local.small"}}


def task(key: str, *after: str, **more: Any) -> dict[str, Any]:
    """A task that the fleet's function of that key runs."""
    depends = [{"task_key": name} for name in after]
    body = {"main_class_name": "Main", "parameters": [key, "{{job.id}}", "{{job.parameters.day}}"]}
    return {"task_key": key, "depends_on": depends, "job_cluster_key": "main", "spark_jar_task": body, **more}


def create(client: WorkspaceClient, *tasks: dict[str, Any], **more: Any) -> int:
    """A job of these tasks."""
    body = {
        "name": "test",
        "job_clusters": [CLUSTER],
        "tasks": list(tasks),
        "parameters": [{"name": "day", "default": "monday"}],
        **more,
    }
    return int(client.api_client.do("POST", "/api/2.2/jobs/create", body=body)["job_id"])


def ended(client: WorkspaceClient, run_id: int) -> jobs.Run:
    """A run, once it has ended."""

    def look() -> bool:  # at the first page only: a thousand tasks are told in ten
        run: Any = client.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
        return run["state"]["life_cycle_state"] in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")

    until(look)
    return client.jobs.get_run(run_id)


def results(run: jobs.Run) -> dict[str, str]:
    """The result state of each task, and of the run as `run`."""
    found = {"run": run.state.result_state.value}  # type: ignore[union-attr]
    return found | {entry.task_key: entry.state.result_state.value for entry in run.tasks or []}  # type: ignore[union-attr]


def wait_for_cancel(_: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> None:
    """Print, then run until it is canceled."""
    request.log.write_text("I run\n")
    assert canceled.wait(20)


def fail(*_: Any) -> None:
    """What user code does."""
    raise ValueError("no data today")
