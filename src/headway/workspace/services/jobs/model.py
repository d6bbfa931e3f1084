"""Job settings: what is filled in on read, how an update is merged. Pure.

Source: Databricks REST API, Jobs 2.2 (create, reset, get); messages as the service sends them where they are public.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.workspace.services.jobs.kinds import KINDS

Settings = dict[str, Any]

_EXPANDED = ("tasks", "job_clusters", "parameters", "environments")
MAX_TASKS = 1000
MAX_TASKS_BEFORE_2_2 = 100


@dataclass(frozen=True)
class Job:
    """A job. `created_ms` in milliseconds since 1970."""

    job_id: int
    creator: str
    created_ms: int
    settings: Settings

    @property
    def run_as(self) -> str:
        """Whose name runs go by that nobody asked for in person."""
        given = self.settings.get("run_as") or {}
        return str(given.get("user_name") or given.get("service_principal_name") or self.creator)

    def to_json(self, *, tasks: bool = True) -> dict[str, Any]:
        """As `jobs/get` answers it, with defaults filled in; without `tasks` as an element of `jobs/list`."""
        if tasks:
            settings = with_defaults(self.settings)
        else:
            settings = with_defaults({key: value for key, value in self.settings.items() if key not in _EXPANDED})
            del settings["tasks"]
        return {
            "job_id": self.job_id,
            "creator_user_name": self.creator,
            "run_as_user_name": self.run_as,
            "created_time": self.created_ms,
            "settings": settings,
        }


def multi_task(settings: Mapping[str, Any]) -> Settings:
    """The same settings with `tasks`: the single-task form of API 2.0 becomes one task."""
    result = dict(settings)
    if "tasks" not in result:
        moved = (
            "new_cluster", "existing_cluster_id", "job_cluster_key", "libraries", "max_retries",
            "min_retry_interval_millis", "retry_on_timeout",
        )  # fmt: skip
        kinds = [kind for kind in KINDS if kind in result]
        if kinds:
            name = re.sub(r"[^\w-]+", "_", str(result.get("name", "task")))[:100] or "task"
            task = {key: result.pop(key) for key in (*kinds, *moved) if key in result}
            result["tasks"] = [{"task_key": name, **task}]
    return result


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
    for trigger in ("schedule", "continuous", "trigger"):
        if isinstance(result.get(trigger), dict):
            result[trigger] = {"pause_status": "UNPAUSED", **result[trigger]}
    if "edit_mode" not in result and "deployment" in result:
        result["edit_mode"] = "UI_LOCKED"
    result["tasks"] = [task_with_defaults(task) for task in settings.get("tasks", [])]
    return result


def task_with_defaults(task: Mapping[str, Any]) -> Settings:
    """The same for a task, and for the task that a for-each task repeats."""
    result: Settings = {
        "run_if": "ALL_SUCCESS",
        "timeout_seconds": 0,
        "email_notifications": {},
        **task,
    }
    if "notebook_task" in task:
        result["notebook_task"] = {"source": "WORKSPACE", **task["notebook_task"]}
    if "for_each_task" in task:
        body = task["for_each_task"]
        result["for_each_task"] = {**body, "task": task_with_defaults(body["task"])}
    return result


def merged(settings: Mapping[str, Any], given: Mapping[str, Any], remove: Sequence[str]) -> Settings:
    """Settings after `jobs/update`: `remove` names top-level fields, or `tasks/KEY` and `job_clusters/KEY`; then each
    given field takes the place of the old one, but tasks, job clusters and parameters are merged by their names.

    Source: Databricks REST API, Jobs 2.2, "Update job settings partially".
    """
    result = dict(settings)
    for name in remove:
        section, _, key = str(name).partition("/")
        by = _KEYED.get(section)
        if key and by and isinstance(result.get(section), list):
            result[section] = [entry for entry in result[section] if entry.get(by) != key]
        elif key and isinstance(result.get(section), dict):
            result[section] = {name: value for name, value in result[section].items() if name != key}
        else:
            result.pop(section, None)
    for name, value in given.items():
        by = _KEYED.get(name)
        if by and isinstance(value, list):
            entries = {entry.get(by): entry for entry in [*result.get(name, []), *value] if isinstance(entry, dict)}
            result[name] = list(entries.values())
        else:
            result[name] = value
    return result


_KEYED = {"tasks": "task_key", "job_clusters": "job_cluster_key", "environments": "environment_key"}
