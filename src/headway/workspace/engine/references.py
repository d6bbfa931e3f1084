"""Dynamic values in task parameters: `{{job.id}}`, `{{job.parameters.x}}`, … Pure.

Source: Databricks, "What is a dynamic value reference?". What is malformed stays as it is; an unknown key of a known
namespace is an error.
"""

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][\w.\-]*)\s*\}\}")
NAMESPACES = ("job.", "task.", "workspace.")


def values(
    *,
    job_id: int,
    job_name: str,
    run_id: int,
    task_key: str,
    task_run_id: int,
    attempt: int,
    start_ms: int,
    base_url: str,
) -> dict[str, str]:
    """What the references of one task mean, without the job's parameters."""
    return {
        "job.id": str(job_id),
        "job.name": job_name,
        "job.run_id": str(run_id),
        "job.start_time.timestamp_ms": str(start_ms),
        "task.name": task_key,
        "task.run_id": str(task_run_id),
        "task.execution_count": str(attempt + 1),
        "workspace.id": "1",
        "workspace.url": base_url,
        # the older names
        "job_id": str(job_id),
        "run_id": str(task_run_id),
        "parent_run_id": str(run_id),
        "task_key": task_key,
        "start_time": str(start_ms),
        "task_retry_count": str(attempt),
    }


def resolve(value: Any, known: Mapping[str, str]) -> Any:
    """`value` with its references replaced, in every string of it. Raise ValueError naming one that means nothing."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _meaning(match, known), value)
    if isinstance(value, Mapping):
        return {key: resolve(entry, known) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolve(entry, known) for entry in value]
    return value


def _meaning(match: re.Match[str], known: Mapping[str, str]) -> str:
    name = match.group(1)
    if name in known:
        return known[name]
    if name.startswith(NAMESPACES):
        raise ValueError(f"the reference {{{{{name}}}}} means nothing here")
    return match.group(0)
