"""How fields of job settings behave, so that what a server fills in or reorders is never a difference. Pure.

Source: Databricks Jobs API 2.2, and what its servers answer (`shared/API.md`: defaults on read).
"""

from collections.abc import Mapping
from typing import Any

from headway.core.application import Json

# Filled in by servers on read; our settings need not hold them.
OUTPUT_ONLY = frozenset({"format", "edit_mode", "deployment"})
KEPT_WHEN_OMITTED = frozenset({"run_as"})

DEFAULTS: Mapping[str, Json] = {
    "email_notifications": {},
    "webhook_notifications": {},
    "notification_settings": {},
    "timeout_seconds": 0,
    "max_concurrent_runs": 1,
    "run_if": "ALL_SUCCESS",
    "max_retries": 0,
    "min_retry_interval_millis": 0,
    "retry_on_timeout": False,
    "source": "WORKSPACE",
    "disable_auto_optimization": False,
}

# Lists whose order means nothing, and the field that names their elements (None: the whole element does).
UNORDERED: Mapping[str, str | None] = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "depends_on": "task_key",
    "parameters": "name",
    "environments": "environment_key",
    "libraries": None,
}


def comparable(settings: Mapping[str, Any]) -> dict[str, Json]:
    """Settings as flat, dotted paths, without what does not count. Elements of unordered lists go by their names:
    `tasks[ingest].libraries[{"jar": …}].jar`."""
    flat: dict[str, Json] = {}
    for key, value in settings.items():
        if key not in OUTPUT_ONLY and key not in KEPT_WHEN_OMITTED:
            _flatten(key, key, value, flat)
    return flat


def _flatten(path: str, name: str, value: Json, flat: dict[str, Json]) -> None:
    if name in DEFAULTS and value == DEFAULTS[name]:
        return
    if isinstance(value, Mapping):
        if not value:
            flat[path] = {}
        for key, entry in value.items():
            _flatten(f"{path}.{key}", str(key), entry, flat)
        return
    if isinstance(value, list):
        named = UNORDERED.get(name) if name in UNORDERED else ""
        if named == "" or (named and not all(isinstance(entry, Mapping) and named in entry for entry in value)):
            flat[path] = value
            return
        for entry in value:
            label = str(entry[named]) if named else _label(entry)
            _flatten(f"{path}[{label}]", "", entry, flat)
        return
    if value is not None:
        flat[path] = value


def _label(entry: Json) -> str:
    if isinstance(entry, Mapping):
        return ",".join(f"{key}={entry[key]}" for key in sorted(entry))
    return str(entry)
