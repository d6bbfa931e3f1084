"""Runs as the API tells of them. Pure.

Source: Databricks REST API, Jobs 2.2 (runs/get, runs/list), and the fields that databricks-sdk reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headway.workspace.services.jobs.model import task_with_defaults
from headway.workspace.services.jobs.runs import Repair, Run


def run_json(run: Run, base_url: str, tasks: Sequence[Run] | None) -> dict[str, Any]:
    """As `runs/get` answers it; an element of `runs/list` where `tasks` is None."""
    data: dict[str, Any] = {
        "job_id": run.job_id or 0,
        "run_id": run.run_id,
        "number_in_job": run.run_id,
        "original_attempt_run_id": run.original_id or run.run_id,
        "creator_user_name": run.creator,
        "state": run.state(),
        "status": run.status(),
        **run.times(),
        "run_duration": max(0, run.ended_ms - run.created_ms) if run.ended_ms else 0,
        "queue_duration": run.queued_ms,
        "trigger": run.trigger,
        "run_name": run.name,
        "run_page_url": f"{base_url}/#job/{run.job_id or 0}/run/{run.run_id}",
        "run_type": "JOB_RUN" if run.job_id else "WORKFLOW_RUN" if "workflow_of" in run.details else "SUBMIT_RUN",
        "format": "MULTI_TASK",
    }
    if run.root_id is not None:
        data |= {"job_run_id": run.root_id, "attempt_number": run.attempt}
        if run.cluster_id:
            data["cluster_instance"] = _instance(run)
    if run.trigger == "PERIODIC" and isinstance(run.settings.get("schedule"), dict):
        data["schedule"] = run.settings["schedule"]
    if "task_run_id" in run.details:
        data["trigger_info"] = {"run_id": run.details["task_run_id"]}
    if isinstance(run.settings.get("git_source"), dict) and run.root_id is None:
        used = run.details.get("git_commit")
        snapshot = {"git_snapshot": {"used_commit": used}} if used else {}
        data["git_source"] = {**run.settings["git_source"], **snapshot}
    data |= _parameters(run)
    if tasks is not None:
        data["tasks"] = [task_json(task, base_url) for task in tasks]
        if run.settings.get("job_clusters"):
            data["job_clusters"] = run.settings["job_clusters"]
    return data


def _parameters(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = {}
    overriding = {key: value for key, value in run.parameters.items() if key != "job_parameters"}
    if overriding:
        data["overriding_parameters"] = overriding
    given = run.parameters.get("job_parameters", {})
    if run.root_id is None and run.settings.get("parameters"):
        data["job_parameters"] = [
            {
                "name": entry["name"],
                "default": entry.get("default", ""),
                **({"value": given[entry["name"]]} if entry["name"] in given else {}),
            }
            for entry in run.settings["parameters"]
        ]
    return data


def task_json(task: Run, base_url: str) -> dict[str, Any]:
    """As an element of a run's `tasks`, or of a for-each run's `iterations`."""
    data = {
        **task_with_defaults(task.settings),
        "task_key": task.task_key,
        "run_id": task.run_id,
        "state": task.state(),
        "status": task.status(),
        **task.times(),
        "run_duration": max(0, task.ended_ms - (task.started_ms or task.created_ms)) if task.ended_ms else 0,
        "attempt_number": task.attempt,
        "run_page_url": f"{base_url}/#job/{task.job_id or 0}/run/{task.run_id}",
    }
    if task.cluster_id:
        data["cluster_instance"] = _instance(task)
    if "condition_task" in data:
        operands = {name: task.output[name] for name in ("left", "right", "outcome") if name in task.output}
        data["condition_task"] = {**data["condition_task"], **operands}
    if "for_each_task" in data and "stats" in task.output:
        data["for_each_task"] = {**data["for_each_task"], "stats": task.output["stats"]}
    return data


def _instance(task: Run) -> dict[str, Any]:
    context = task.details.get("spark_context_id")
    return {"cluster_id": task.cluster_id, **({"spark_context_id": context} if context else {})}


def repair_history(
    run: Run, tasks: Sequence[Run], original: Repair | None, history: Sequence[Repair]
) -> list[dict[str, Any]]:
    """`repair_history`: the run as it was at first, then each repair. `tasks` are all attempts."""
    ids: dict[int | None, list[int]] = {}
    for task in tasks:
        ids.setdefault(task.repair_id, []).append(task.run_id)
    first = run if original is None else _at_end(run, original.end)
    found = [_item("ORIGINAL", first, first.started_ms or first.created_ms, ids.get(None, []))]
    for entry in history:
        then = _at_end(run, entry.end) if entry.end else run
        item = _item("REPAIR", then, entry.started_ms, ids.get(entry.repair_id, []))
        found.append({"id": entry.repair_id, **item})
    return found


def _at_end(run: Run, end: Mapping[str, Any]) -> Run:
    return replace(run, **end)


def _item(kind: str, run: Run, started_ms: int, task_run_ids: list[int]) -> dict[str, Any]:
    return {
        "type": kind,
        "start_time": started_ms,
        "end_time": run.ended_ms or 0,
        "state": run.state(),
        "status": run.status(),
        "task_run_ids": task_run_ids,
    }
