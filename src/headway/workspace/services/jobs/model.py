"""Job settings: what is accepted, what is filled in on read. Pure.

Source: Databricks REST API, Jobs 2.2 (create, reset, get); messages as the service sends them where they are public.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import invalid, malformed, not_implemented

Settings = dict[str, Any]

SERVED_TASKS = ("notebook_task", "spark_python_task", "spark_jar_task", "python_wheel_task")
OTHER_TASKS = (
    "spark_submit_task", "sql_task", "run_job_task", "condition_task", "for_each_task", "dbt_task", "pipeline_task",
    "dashboard_task", "clean_rooms_notebook_task", "gen_ai_compute_task", "power_bi_task",
)  # fmt: skip
RUN_IF = ("ALL_SUCCESS", "ALL_DONE", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_FAILED", "AT_LEAST_ONE_FAILED")
TRIGGERS = ("schedule", "continuous", "trigger")
MAX_TASKS = 1000
MAX_TASKS_BEFORE_2_2 = 100
_TASK_KEY = re.compile(r"[\w-]{1,100}")


@dataclass(frozen=True)
class Job:
    """A job. `created_ms` in milliseconds since 1970."""

    job_id: int
    creator: str
    created_ms: int
    settings: Settings

    def to_json(self, *, tasks: bool = True) -> dict[str, Any]:
        """As `jobs/get` answers it, with defaults filled in; without `tasks` as an element of `jobs/list`."""
        settings = with_defaults(self.settings)
        if not tasks:
            for name in ("tasks", "job_clusters", "parameters", "environments"):
                settings.pop(name, None)
        return {
            "job_id": self.job_id,
            "creator_user_name": self.creator,
            "run_as_user_name": settings.get("run_as", {}).get("user_name", self.creator),
            "created_time": self.created_ms,
            "settings": settings,
        }


def multi_task(settings: Mapping[str, Any]) -> Settings:
    """The same settings with `tasks`: the single-task form of API 2.0 becomes one task."""
    result = dict(settings)
    if "tasks" not in result:
        moved = ("new_cluster", "existing_cluster_id", "libraries", "max_retries", "min_retry_interval_millis")
        kinds = [kind for kind in (*SERVED_TASKS, *OTHER_TASKS) if kind in result]
        if kinds:
            name = re.sub(r"[^\w-]+", "_", str(result.get("name", "task")))[:100] or "task"
            task = {key: result.pop(key) for key in (*kinds, *moved) if key in result}
            result["tasks"] = [{"task_key": name, **task}]
    return result


def check(settings: Mapping[str, Any], version: str, check_cluster: Callable[[Mapping[str, Any]], None]) -> None:
    """Raise ApiError where the settings cannot be a job of this workspace. `settings` have `tasks`."""
    name = settings.get("name", "")
    if not isinstance(name, str) or len(name.encode("utf-8", "replace")) > 4096:
        raise invalid("name must be a string of at most 4096 bytes")
    _check_counts(settings)
    for trigger in TRIGGERS:
        given = settings.get(trigger)
        if given and (not isinstance(given, dict) or given.get("pause_status") != "PAUSED"):
            raise not_implemented(
                f"{trigger}: this workspace does not start runs by itself yet; set its pause_status to PAUSED"
            )
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
    for other in OTHER_TASKS:
        if other in task:
            raise not_implemented(f"Task {key}: {other} is not served by this workspace yet")
    kinds = [kind for kind in SERVED_TASKS if kind in task]
    if len(kinds) != 1:
        raise invalid(f"Task {key} must have exactly one of {', '.join(SERVED_TASKS)}")
    _check_kind(key, kinds[0], task[kinds[0]])
    places = [place for place in ("job_cluster_key", "new_cluster", "existing_cluster_id") if task.get(place)]
    if len(places) != 1:
        raise invalid(
            "Either new_cluster or existing_cluster_id must be specified."
            if version == "2.0"
            else "One of job_cluster_key, new_cluster, or existing_cluster_id must be specified."
        )
    if places[0] == "existing_cluster_id":
        if not isinstance(task["existing_cluster_id"], str):
            raise malformed("Could not parse request object: Expected string for field existing_cluster_id")
    elif places[0] == "new_cluster":
        check_cluster(task["new_cluster"])
    elif task["job_cluster_key"] not in shared:
        raise invalid(f"Task {key}: job_cluster_key {task['job_cluster_key']} is not defined in job_clusters")
    if task.get("run_if", "ALL_SUCCESS") not in RUN_IF:
        raise invalid(f"Task {key}: run_if must be one of {', '.join(RUN_IF)}")
    for upstream in depends_on(task):
        if upstream not in keys:
            raise invalid(f"Task {key} depends on {upstream}, which is not a task of this job")
    if not isinstance(task.get("libraries", []), list):
        raise malformed("Could not parse request object: Expected array for field libraries")


_REQUIRED = {
    "notebook_task": "notebook_path",
    "spark_python_task": "python_file",
    "spark_jar_task": "main_class_name",
    "python_wheel_task": "package_name",
}


def _check_kind(key: str, kind: str, body: object) -> None:
    if not isinstance(body, dict):
        raise malformed(f"Could not parse request object: Expected object for field {kind}")
    required = _REQUIRED[kind]
    value = body.get(required)
    if not isinstance(value, str) or not value:
        raise invalid(f"Task {key}: missing required field: {kind}.{required}")
    if kind == "python_wheel_task" and not isinstance(body.get("entry_point"), str):
        raise invalid(f"Task {key}: missing required field: {kind}.entry_point")
    if kind == "notebook_task" and not value.startswith("/"):
        raise invalid(f"Task {key}: notebook_path must be absolute: {value}")
    if kind == "spark_python_task" and not value.startswith(("dbfs:/", "/", "file:/")):
        raise invalid(f"Invalid python file reference: {value}. It must be a dbfs:/ or workspace path.")
    for name, kind_of in (("parameters", list), ("named_parameters", dict), ("base_parameters", dict)):
        if name in body and not isinstance(body[name], kind_of):
            raise malformed(f"Could not parse request object: {kind}.{name} has the wrong type")


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


def with_defaults(settings: Mapping[str, Any]) -> Settings:
    """What a client reads: the settings as given, with what the service fills in."""
    result: Settings = {
        "name": "Untitled",
        "email_notifications": {},
        "webhook_notifications": {},
        "timeout_seconds": 0,
        "max_concurrent_runs": 1,
        **settings,
        "format": "MULTI_TASK",
    }
    result["tasks"] = [task_with_defaults(task) for task in settings.get("tasks", [])]
    return result


def task_with_defaults(task: Mapping[str, Any]) -> Settings:
    """The same for a task."""
    result: Settings = {
        "run_if": "ALL_SUCCESS",
        "timeout_seconds": 0,
        "email_notifications": {},
        **task,
    }
    if "notebook_task" in task:
        result["notebook_task"] = {"source": "WORKSPACE", **task["notebook_task"]}
    return result
