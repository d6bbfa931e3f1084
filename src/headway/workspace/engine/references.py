"""Dynamic values in task settings: `{{job.id}}`, `{{job.parameters.x}}`, `{{tasks.a.values.b}}`, … Pure.

Source: Databricks, "What is a dynamic value reference?". What is malformed stays as it is; an unknown key of a known
namespace is an error. A key with special characters stands in backticks.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_PART = r"(?:[A-Za-z0-9_\-]+|`[^`{}]+`)"
_REFERENCE = re.compile(r"\{\{\s*(" + _PART + r"(?:\." + _PART + r")*)\s*\}\}")
NAMESPACES = ("job.", "task.", "tasks.", "workspace.", "input.")


def times(prefix: str, at_ms: int) -> dict[str, str]:
    """The parts of a moment in UTC, as `{{job.start_time.iso_date}}` and the like."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    parts = {
        "timestamp_ms": str(at_ms),
        "iso_date": at.strftime("%Y-%m-%d"),
        "iso_datetime": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z",
        "iso_weekday": str(at.isoweekday()),
        "is_weekday": "true" if at.isoweekday() <= 5 else "false",
        "year": str(at.year),
        "month": str(at.month),
        "day": str(at.day),
        "hour": str(at.hour),
        "minute": str(at.minute),
        "second": str(at.second),
    }
    return {f"{prefix}.{name}": value for name, value in parts.items()}


def of_run(
    *,
    job_id: int,
    job_name: str,
    run_id: int,
    start_ms: int,
    base_url: str,
    trigger: str = "ONE_TIME",
    details: Mapping[str, Any] | None = None,
    repair_count: int = 0,
) -> dict[str, str]:
    """What the references of every task of a run mean. `details` are what triggered it: `fired_ms`, `location`."""
    details = details or {}
    found = {
        "job.id": str(job_id),
        "job.name": job_name,
        "job.run_id": str(run_id),
        "job.repair_count": str(repair_count),
        "job.trigger.type": _TRIGGERS.get(trigger, trigger.lower()),
        "job.trigger.file_arrival.location": str(details.get("location", "")),
        "workspace.id": "1",
        "workspace.url": base_url,
        # the older names
        "job_id": str(job_id),
        "parent_run_id": str(run_id),
        "start_date": datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%d"),
        "start_time": str(start_ms),
    }
    return found | times("job.start_time", start_ms) | times("job.trigger.time", details.get("fired_ms", start_ms))


_TRIGGERS = {"ONE_TIME": "onetime"}


def of_task(task_key: str, task_run_id: int, attempt: int, settings: Mapping[str, Any]) -> dict[str, str]:
    """What the references of one task mean beyond those of its run."""
    found = {
        "task.name": task_key,
        "task.run_id": str(task_run_id),
        "task.execution_count": str(attempt + 1),
        "run_id": str(task_run_id),
        "task_key": task_key,
        "task_retry_count": str(attempt),
    }
    if "notebook_task" in settings:
        found["task.notebook_path"] = str(settings["notebook_task"].get("notebook_path", ""))
    return found


def of_ended_task(
    task_key: str,
    task_run_id: int,
    attempt: int,
    result_state: str,
    error_code: str,
    values: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, str]:
    """What later tasks may ask of one that has ended."""
    prefix = f"tasks.{task_key}"
    found = {
        f"{prefix}.run_id": str(task_run_id),
        f"{prefix}.execution_count": str(attempt + 1),
        f"{prefix}.result_state": result_state.lower(),
        f"{prefix}.error_code": error_code,
    }
    if "notebook_task" in settings:
        found[f"{prefix}.notebook_path"] = str(settings["notebook_task"].get("notebook_path", ""))
    return found | {f"{prefix}.values.{name}": text(value) for name, value in values.items()}


def of_input(value: Any) -> dict[str, str]:
    """`{{input}}` of a for-each iteration, and `{{input.key}}` where the input is an object."""
    found = {"input": text(value)}
    if isinstance(value, Mapping):
        for key, entry in value.items():
            found |= {f"input.{key}{name.removeprefix('input')}": inner for name, inner in of_input(entry).items()}
    return found


def text(value: Any) -> str:
    """A value as it stands in a parameter: text as it is, the rest as JSON (`true`, `1.5`, `{"a": 1}`)."""
    return value if isinstance(value, str) else json.dumps(value)


def resolve(value: Any, known: Mapping[str, str]) -> Any:
    """`value` with its references replaced, in every string of it. Raise ValueError naming one that means nothing."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _meaning(match, known), value) if "{{" in value else value
    if isinstance(value, Mapping):
        return {key: resolve(entry, known) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolve(entry, known) for entry in value]
    return value


def _meaning(match: re.Match[str], known: Mapping[str, str]) -> str:
    name = match.group(1).replace("`", "")
    if name in known:
        return known[name]
    if name.startswith(NAMESPACES):
        raise ValueError(f"the reference {{{{{name}}}}} means nothing here")
    return match.group(0)
