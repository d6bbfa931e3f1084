"""What can be a job of this workspace, and what is refused with a reason. Pure.

Source: Databricks REST API, Jobs 2.2 (create, reset); messages as the service sends them where they are public.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.workspace.engine.triggers import trigger_of
from headway.workspace.errors import invalid, malformed
from headway.workspace.services.jobs.git_source import check_git
from headway.workspace.services.jobs.kinds import KINDS, check_body, kind_of
from headway.workspace.services.jobs.model import MAX_TASKS, MAX_TASKS_BEFORE_2_2
from headway.workspace.services.jobs.notifications import check_notifications

RUN_IF = ("ALL_SUCCESS", "ALL_DONE", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_FAILED", "AT_LEAST_ONE_FAILED")
_TASK_KEY = re.compile(r"[\w-]{1,100}")


def check(settings: Mapping[str, Any], version: str, check_cluster: Callable[[Mapping[str, Any]], None]) -> None:
    """Raise ApiError where the settings cannot be a job of this workspace. `settings` have `tasks`."""
    name = settings.get("name", "")
    if not isinstance(name, str) or len(name.encode("utf-8", "replace")) > 4096:
        raise invalid("name must be a string of at most 4096 bytes")
    _check_counts(settings)
    trigger_of(settings)
    check_notifications(settings)
    shared = _job_clusters(settings, check_cluster)
    tasks = settings.get("tasks", [])
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise malformed("Could not parse request object: Expected array of objects for field tasks")
    limit = MAX_TASKS if version == "2.2" else MAX_TASKS_BEFORE_2_2
    if len(tasks) > limit:
        raise invalid(
            f"Resources with more than {limit} tasks can only be handled by API 2.2 and above. "
            f"Your resource has {len(tasks)} tasks"
            if limit < MAX_TASKS
            else f"A job has at most {limit} tasks"
        )
    keys: set[str] = set()
    for task in tasks:
        key = task.get("task_key")
        if not isinstance(key, str) or not _TASK_KEY.fullmatch(key):
            raise invalid(f"Invalid task_key: {key}. It may have letters, digits, _ and -, and at most 100 characters")
        if key in keys:
            raise invalid(f"Duplicate task_key: {key}")
        keys.add(key)
    for task in tasks:
        _check_task(task, keys, shared, version, check_cluster)
    check_git(settings)
    circle = cycle({task["task_key"]: depends_on(task) for task in tasks})
    if circle:
        raise invalid(f"Tasks depend on each other in a circle: {' -> '.join(circle)}")


def _check_counts(settings: Mapping[str, Any]) -> None:
    for name, most in (("max_concurrent_runs", 1000), ("timeout_seconds", 2**31 - 1)):
        value = settings.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise invalid(f"{name} must be a whole number from 0 to {most}")
    for name, kind in (("tags", dict), ("parameters", list), ("job_clusters", list)):
        if not isinstance(settings.get(name, kind()), kind):
            raise malformed(f"Could not parse request object: {name} has the wrong type")
    for parameter in settings.get("parameters", []):
        if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
            raise invalid("each of parameters must have a name")


def _job_clusters(settings: Mapping[str, Any], check_cluster: Callable[[Mapping[str, Any]], None]) -> set[str]:
    found: set[str] = set()
    for entry in settings.get("job_clusters", []):
        if not isinstance(entry, dict) or not isinstance(entry.get("job_cluster_key"), str):
            raise invalid("Missing required field: job_cluster_key")
        if not isinstance(entry.get("new_cluster"), dict):
            raise invalid(f"Missing required field: new_cluster of job cluster {entry['job_cluster_key']}")
        if entry["job_cluster_key"] in found:
            raise invalid(f"Duplicate job_cluster_key: {entry['job_cluster_key']}")
        check_cluster(entry["new_cluster"])
        found.add(entry["job_cluster_key"])
    return found


def _check_task(
    task: Mapping[str, Any],
    keys: set[str],
    shared: set[str],
    version: str,
    check_cluster: Callable[[Mapping[str, Any]], None],
) -> None:
    key = task["task_key"]
    kind = kind_of(key, task)
    check_body(key, kind, task[kind])
    _check_policy(key, task)
    check_notifications(task)
    if kind == "for_each_task":
        nested = {"task_key": f"{key}_iteration", **task[kind]["task"]}
        _check_task(nested, keys, shared, version, check_cluster)
    places = [place for place in ("job_cluster_key", "new_cluster", "existing_cluster_id") if task.get(place)]
    on_warehouse = kind == "sql_task" and not places and _warehouse(key, task[kind])
    if len(places) > 1 or (not places and not on_warehouse and KINDS[kind].needs_cluster):
        raise invalid(
            "Either new_cluster or existing_cluster_id must be specified."
            if version == "2.0"
            else "One of job_cluster_key, new_cluster, or existing_cluster_id must be specified."
        )
    if places == ["existing_cluster_id"] and not isinstance(task["existing_cluster_id"], str):
        raise malformed("Could not parse request object: Expected string for field existing_cluster_id")
    if places == ["new_cluster"]:
        check_cluster(task["new_cluster"])
    if places == ["job_cluster_key"] and task["job_cluster_key"] not in shared:
        raise invalid(f"Task {key}: job_cluster_key {task['job_cluster_key']} is not defined in job_clusters")
    if task.get("run_if", "ALL_SUCCESS") not in RUN_IF:
        raise invalid(f"Task {key}: run_if must be one of {', '.join(RUN_IF)}")
    for upstream in depends_on(task):
        if upstream not in keys:
            raise invalid(f"Task {key} depends on {upstream}, which is not a task of this job")
    for entry in task.get("depends_on") or []:
        if entry.get("outcome") not in (None, "true", "false"):
            raise invalid(f"Task {key}: the outcome of a dependency must be true or false")


def _warehouse(key: str, body: Mapping[str, Any]) -> bool:
    """A sql_task runs on a warehouse, or here also on a cluster. Raise ApiError where it names none."""
    if not isinstance(body.get("warehouse_id"), str) or not body["warehouse_id"]:
        raise invalid(f"Task {key}: missing required field: sql_task.warehouse_id")
    return True


def _check_policy(key: str, task: Mapping[str, Any]) -> None:
    for name, least in (("max_retries", -1), ("min_retry_interval_millis", 0), ("timeout_seconds", 0)):
        value = task.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
            raise invalid(f"Task {key}: {name} must be a whole number, at least {least}")
    for name in ("retry_on_timeout", "disabled"):
        if not isinstance(task.get(name, False), bool):
            raise malformed(f"Could not parse request object: Expected boolean for field {name}")
    for name in ("libraries", "depends_on"):
        entries = task.get(name) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise malformed(f"Could not parse request object: Expected array of objects for field {name}")


def depends_on(task: Mapping[str, Any]) -> list[str]:
    """The keys of the tasks that a task waits for."""
    return [
        entry["task_key"] for entry in task.get("depends_on") or [] if isinstance(entry, dict) and "task_key" in entry
    ]


def cycle(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle of the graph, its first node repeated at its end; empty where there is none."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        stack = [(start, iter(graph[start]))]
        on_path = {start}
        path.append(start)
        while stack:
            node, rest = stack[-1]
            following = next((other for other in rest if other not in done), None)
            if following is None:
                done.add(node)
                on_path.discard(node)
                path.pop()
                stack.pop()
            elif following in on_path:
                return [*path[path.index(following) :], following]
            else:
                on_path.add(following)
                path.append(following)
                stack.append((following, iter(graph.get(following, ()))))
    return []
