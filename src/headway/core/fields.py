"""How fields of job settings behave: one table, so that what a server fills in or reorders is never a difference. Pure.

Source: Databricks Jobs API 2.2 and Clusters API 2.1, what their servers answer, and which differences the official
tools suppress (`shared/API.md`: defaults on read).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from headway.core.application import Json

Behaviour = Literal["output", "filled", "kept", "cosmetic", "secret"]
REDACTED = "••••••"
_WHOLE = ""  # the name of elements that have none: the whole element is


@dataclass(frozen=True)
class Field:
    """How one field behaves.

    `name` is a field name, which counts wherever it stands, or a path from the root (`/schedule.pause_status`).

    - `defaults`: values that mean the same as absence.
    - `unordered`: a list whose order means nothing; the field that names its elements, or "" where the whole element
      does.
    - `output`: the server says it; it is neither compared nor sent.
    - `filled`: where we leave it out, the server chooses, and its choice is no difference.
    - `kept`: where we leave it out, what stands is kept, by sending it again.
    - `cosmetic`: takes effect on a run that is under way, so that a stream need not be restarted for it.
    - `secret`: never shown.
    """

    name: str
    behaviour: Behaviour | None = None
    defaults: tuple[Json, ...] = ()
    unordered: str | None = None


def _defaults(value: Json, *names: str) -> tuple[Field, ...]:
    return tuple(Field(name, defaults=(value,)) for name in names)


TABLE: tuple[Field, ...] = (
    # what only the server says
    *(Field(f"/{name}", "output") for name in ("format", "edit_mode", "deployment", "parent_path")),
    Field("/access_control_list", "output"),
    Field("/idempotency_token", "output"),
    # what the server chooses, or keeps, where we are silent
    *(Field(name, "filled") for name in ("/run_as", "/budget_policy_id", "/usage_policy_id", "/performance_target")),
    *(Field(name, "filled") for name in ("aws_attributes", "azure_attributes", "gcp_attributes")),
    Field("is_single_node", "filled"),
    *(Field(name, "filled") for name in ("enable_elastic_disk", "data_security_mode", "runtime_engine")),
    *(Field(name, "filled") for name in ("driver_node_type_id", "effective_spark_version", "disk_spec")),
    *(Field(name, "filled") for name in ("cluster_source", "driver_instance_pool_id", "worker_node_type_flexibility")),
    # whether it is paused: kept unless the job or the environment says
    *(Field(f"/{name}.pause_status", "kept") for name in ("schedule", "trigger", "continuous")),
    # defaults
    Field("email_notifications", "cosmetic", ({},)),
    Field("webhook_notifications", "cosmetic", ({},)),
    Field("notification_settings", "cosmetic", ({},)),
    *_defaults(False, "no_alert_for_skipped_runs", "no_alert_for_canceled_runs", "alert_on_last_attempt"),
    *_defaults(0, "timeout_seconds", "max_retries", "min_retry_interval_millis", "num_workers"),
    *_defaults(1, "max_concurrent_runs"),
    *_defaults(False, "retry_on_timeout", "disable_auto_optimization", "disabled", "apply_policy_default_values"),
    *_defaults("ALL_SUCCESS", "run_if"),
    *_defaults("WORKSPACE", "source"),
    *_defaults("SINGLE_TASK", "/task_format"),
    *_defaults("", "description", "cluster_name"),
    *_defaults({}, "spark_conf", "spark_env_vars", "custom_tags", "base_parameters", "named_parameters", "tags"),
    *_defaults([], "parameters", "jar_params", "init_scripts", "ssh_public_keys"),
    # lists whose order means nothing
    Field("tasks", unordered="task_key"),
    Field("job_clusters", unordered="job_cluster_key", defaults=([],)),
    Field("environments", unordered="environment_key", defaults=([],)),
    Field("depends_on", unordered="task_key", defaults=([],)),
    Field("/parameters", unordered="name", defaults=([],)),
    Field("libraries", unordered=_WHOLE, defaults=([],)),
    Field("rules", unordered="metric", defaults=([],)),
    Field("permissions", unordered=_WHOLE),
    *(
        Field(name, unordered=_WHOLE, defaults=([],))
        for name in ("on_start", "on_success", "on_failure", "on_duration_warning_threshold_exceeded")
    ),
    Field("on_streaming_backlog_exceeded", unordered=_WHOLE, defaults=([],)),
    Field("table_names", unordered=_WHOLE),
    # what a run under way takes up, or never sees
    *(Field(f"/{name}", "cosmetic") for name in ("name", "description", "tags", "health", "permissions", "queue")),
    *(Field(f"/{name}", "cosmetic") for name in ("max_concurrent_runs", "schedule", "trigger")),
)  # fmt: skip

_SECRET = re.compile(
    r"(passw|passphrase|secret|(?<!idempotency_)token|credential|private[._-]?key|access[._-]?key|account[._-]?key|api[._-]?key)",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\{\{\s*secrets/[^}]*\}\}")
_MASKED = ("[REDACTED]", "********", REDACTED)


def _rows() -> dict[str, tuple[Field, ...]]:
    rows: dict[str, tuple[Field, ...]] = {}
    for field in TABLE:
        rows[field.name] = (*rows.get(field.name, ()), field)
    return rows


_ROWS = _rows()


@dataclass(frozen=True)
class _Merged:
    behaviours: frozenset[Behaviour]
    defaults: tuple[Json, ...]
    unordered: str | None


@lru_cache(maxsize=4096)
def _field(where: str, name: str) -> _Merged:
    """What the table says of the field at `where`, a path of names without the keys of elements."""
    rows = (*_ROWS.get(f"/{where}", ()), *_ROWS.get(name, ()))
    return _Merged(
        frozenset(row.behaviour for row in rows if row.behaviour is not None),
        tuple(default for row in rows for default in row.defaults),
        next((row.unordered for row in rows if row.unordered is not None), None),
    )


def _means_absence(field: _Merged, value: Json) -> bool:
    if value is None:
        return True
    return any(type(value) is type(default) and value == default for default in field.defaults)


def comparable(settings: Mapping[str, Any]) -> dict[str, Json]:
    """Settings as flat, dotted paths, without what does not count. Elements of unordered lists go by their names
    (`tasks[ingest].timeout_seconds`); those without a name make one sorted list (`tasks[ingest].libraries`)."""
    flat: dict[str, Json] = {}
    for key, value in settings.items():
        _flatten(key, key, key, value, flat)
    return flat


def _flatten(path: str, where: str, name: str, value: Json, flat: dict[str, Json]) -> None:
    field = _field(where, name)
    if "output" in field.behaviours or _means_absence(field, value):
        return
    if isinstance(value, Mapping):
        if not value:
            flat[path] = {}
        for key, entry in value.items():
            _flatten(f"{path}.{key}", f"{where}.{key}", str(key), entry, flat)
        return
    by = field.unordered
    if not isinstance(value, list) or by is None or (by and not _named(value, by)):
        flat[path] = value
        return
    if by == _WHOLE:
        flat[path] = sorted(value, key=_canonical)
        return
    for entry in value:
        label, known = f"{path}[{entry[by]}]", len(flat)
        for key, part in entry.items():
            if key != by:
                _flatten(f"{label}.{key}", f"{where}.{key}", str(key), part, flat)
        if len(flat) == known:
            flat[label] = {}  # an element with nothing but its name


def _named(value: list[Any], by: str) -> bool:
    names = [entry[by] for entry in value if isinstance(entry, Mapping) and by in entry]
    return len(names) == len(value) and len({str(name) for name in names}) == len(names)


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def essential(settings: Mapping[str, Any]) -> dict[str, Json]:
    """The same settings without what goes without saying: defaults, and what only a server says. `comparable` of both
    is the same."""
    found = {key: _essential(key, key, value) for key, value in settings.items()}
    return {key: value for key, value in found.items() if value is not None}


def _essential(where: str, name: str, value: Json) -> Json:
    """A value without what goes without saying; None where that is all of it."""
    field = _field(where, name)
    if "output" in field.behaviours or _means_absence(field, value):
        return None
    if isinstance(value, Mapping):
        found = {key: _essential(f"{where}.{key}", str(key), entry) for key, entry in value.items()}
        left = {key: entry for key, entry in found.items() if entry is not None}
        return left if left or not value else None
    by = field.unordered
    if not isinstance(value, list) or not by or not _named(value, by):
        return value
    elements = []
    for element in value:
        found = {key: _essential(f"{where}.{key}", str(key), entry) for key, entry in element.items() if key != by}
        elements.append({by: element[by], **{key: entry for key, entry in found.items() if entry is not None}})
    return elements


def left_to_the_server(path: str) -> bool:
    """Whether a field that we leave out, at a path of `comparable`, is the server's or the operator's own matter."""
    return bool(_behaviours(path) & {"filled", "kept"})


def is_cosmetic(path: str) -> bool:
    """Whether a change at a path of `comparable` needs no restart of a stream."""
    return "cosmetic" in _behaviours(path)


@lru_cache(maxsize=4096)
def _behaviours(path: str) -> frozenset[Behaviour]:
    names = re.sub(r"\[[^\]]*\]", "", path).split(".")
    found: frozenset[Behaviour] = frozenset()
    for end, name in enumerate(names, 1):
        found |= _field(".".join(names[:end]), name).behaviours
    return found


def is_masked(value: Json) -> bool:
    """Whether a server showed stars where a secret stands: that cannot be compared."""
    return isinstance(value, str) and value in _MASKED


def policy_clusters(settings: Mapping[str, Any]) -> Iterator[str]:
    """The paths of the clusters that take their omitted fields from a cluster policy."""
    for cluster in settings.get("job_clusters") or ():
        if _by_policy(cluster):
            yield f"job_clusters[{cluster.get('job_cluster_key')}].new_cluster."
    for task in settings.get("tasks") or ():
        if _by_policy(task):
            yield f"tasks[{task.get('task_key')}].new_cluster."


def _by_policy(holder: Json) -> bool:
    cluster = holder.get("new_cluster") if isinstance(holder, Mapping) else None
    return isinstance(cluster, Mapping) and bool(
        cluster.get("policy_id") and cluster.get("apply_policy_default_values")
    )


def kept(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`wanted`, with what is kept where it is silent: whether a schedule, trigger or continuous job is paused."""
    result = dict(wanted)
    for field in TABLE:
        if field.behaviour != "kept":
            continue
        section, _, name = field.name.removeprefix("/").partition(".")
        old, new = before.get(section), wanted.get(section)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and name in old and name not in new:
            result[section] = {**new, name: old[name]}
    return result


def sendable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are sent to create or reset: without what only a server says, and without `permissions`, which
    go another way."""
    return {
        key: value
        for key, value in settings.items()
        if key != "permissions" and "output" not in _field(key, key).behaviours
    }


def is_secret(path: str, value: Json) -> bool:
    """Whether a value must not be shown. A reference to a secret scope is none."""
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        return False
    last = path.rpartition("]")[2] if "]" in path else path
    return isinstance(value, str) and bool(_SECRET.search(last))


def redacted(value: Json, path: str = "") -> Json:
    """The same value without its secrets, for people and for logs."""
    if isinstance(value, Mapping):
        return {key: redacted(entry, f"{path}.{key}") for key, entry in value.items()}
    if isinstance(value, list):
        return [redacted(entry, path) for entry in value]
    return REDACTED if is_secret(path, value) else value
