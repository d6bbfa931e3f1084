"""Warehouses, and what a statement is asked with. Pure.

Source: Databricks REST API, "SQL Warehouses" and "Statement Execution" (2.0).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import ApiError, invalid, malformed
from headway.workspace.parsing import objects
from headway.workspace.runtime.tasks import SqlParameter, SqlTask

# A warehouse's size, and the node type that it means here.
SIZES = {
    "2X-Small": "local.small",
    "X-Small": "local.medium",
    "Small": "local.medium",
    "Medium": "local.large",
    "Large": "local.xlarge",
}
STATES = {
    "PENDING": "STARTING",
    "RESTARTING": "STARTING",
    "RESIZING": "RUNNING",
    "RUNNING": "RUNNING",
    "TERMINATING": "STOPPING",
    "TERMINATED": "STOPPED",
}
KEPT = ("cluster_size", "auto_stop_mins", "min_num_clusters", "max_num_clusters", "tags", "warehouse_type", "channel",
        "enable_photon", "enable_serverless_compute", "spot_instance_policy")  # fmt: skip
DEFAULTS: Mapping[str, Any] = {
    "cluster_size": "2X-Small",
    "auto_stop_mins": 120,
    "min_num_clusters": 1,
    "max_num_clusters": 1,
    "warehouse_type": "CLASSIC",
    "enable_photon": False,
    "enable_serverless_compute": False,
    "spot_instance_policy": "COST_OPTIMIZED",
}
# A driver holds a result in its memory while it hands it over.
MOST_ROWS = 100_000
MOST_PARAMETERS = 256
_SECONDS = re.compile(r"(\d{1,3})s")


@dataclass(frozen=True)
class Warehouse:
    """A warehouse. Times in milliseconds since 1970."""

    warehouse_id: str
    name: str
    creator: str
    created_ms: int
    cluster_id: str
    settings: Mapping[str, Any]

    def to_json(self, cluster_state: str, host: str) -> dict[str, Any]:
        """As `warehouses/get` answers it."""
        state = STATES.get(cluster_state, "STOPPED")
        name, _, port = host.partition("://")[2].partition(":")
        path = f"/sql/1.0/warehouses/{self.warehouse_id}"
        scheme = host.partition(":")[0]
        return {
            "id": self.warehouse_id,
            "name": self.name,
            "creator_name": self.creator,
            **DEFAULTS,
            **self.settings,
            "size": self.settings.get("cluster_size", DEFAULTS["cluster_size"]),
            "state": state,
            "num_clusters": 1 if state == "RUNNING" else 0,
            "num_active_sessions": 0,
            "odbc_params": {"hostname": name, "port": int(port or 443), "path": path, "protocol": scheme},
            "health": {"status": "HEALTHY"},
        }


def named(data: Mapping[str, Any], present: str | None = None) -> str:
    """The name that a request gives a warehouse. Raise ApiError."""
    name = data.get("name", present)
    if not isinstance(name, str) or not 0 < len(name) < 100:
        raise invalid("name must be text of 1 to 99 characters")
    return name


def warehouse_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request. Raise ApiError."""
    kept = {name: data[name] for name in KEPT if data.get(name) is not None}
    if kept.get("cluster_size", "2X-Small") not in SIZES:
        raise invalid(f"cluster_size {str(kept['cluster_size'])[:50]!r} is not one of {', '.join(SIZES)}")
    minutes = kept.get("auto_stop_mins", 0)
    if isinstance(minutes, str) and minutes.isascii() and minutes.isdigit():
        minutes = kept["auto_stop_mins"] = int(minutes[:9])
    if isinstance(minutes, bool) or not isinstance(minutes, int) or not 0 <= minutes <= 10_000:
        raise invalid("auto_stop_mins must be a whole number of at most 10000, 0 for never")
    return kept


@dataclass(frozen=True)
class Asked:
    """A statement with how it is to be answered: `seconds` the request waits, `cancel` it ends after them; `byte_limit`
    of the result; `external` by links, in `format` JSON_ARRAY or CSV."""

    task: SqlTask
    row_limit: int | None
    byte_limit: int | None
    seconds: int
    cancel: bool
    external: bool
    format: str


def asked(data: Mapping[str, Any]) -> Asked:
    """What a request asks for. Raise ApiError for what is wrong, or not served."""
    external, form = _disposition(data)
    row_limit, byte_limit = _limit(data, "row_limit"), _limit(data, "byte_limit")
    if row_limit is not None and row_limit > MOST_ROWS:
        raise invalid(f"row_limit must be at most {MOST_ROWS}: a driver hands a result over from its memory")
    after = data.get("on_wait_timeout", "CONTINUE")
    if after not in ("CONTINUE", "CANCEL"):
        raise invalid("on_wait_timeout must be CONTINUE or CANCEL")
    seconds = _wait_seconds(data)
    if seconds == 0 and data.get("on_wait_timeout") == "CANCEL":
        raise invalid("on_wait_timeout must not be CANCEL where wait_timeout is 0s")
    return Asked(_task(data, row_limit or MOST_ROWS), row_limit, byte_limit, seconds, after == "CANCEL", external, form)


def _wait_seconds(data: Mapping[str, Any]) -> int:
    given = data.get("wait_timeout") or "10s"
    match = _SECONDS.fullmatch(given) if isinstance(given, str) else None
    seconds = int(match.group(1)) if match else -1
    if seconds != 0 and not 5 <= seconds <= 50:
        raise invalid(f"wait_timeout {str(given)[:20]!r} must be 0s, or from 5s to 50s")
    return seconds


def _disposition(data: Mapping[str, Any]) -> tuple[bool, str]:
    disposition, form = data.get("disposition") or "INLINE", data.get("format") or "JSON_ARRAY"
    if disposition not in ("INLINE", "EXTERNAL_LINKS") or form not in ("JSON_ARRAY", "ARROW_STREAM", "CSV"):
        raise invalid("disposition is INLINE or EXTERNAL_LINKS; format is JSON_ARRAY, ARROW_STREAM or CSV")
    if form == "ARROW_STREAM":
        raise ApiError("NOT_IMPLEMENTED", "format ARROW_STREAM is not served: use JSON_ARRAY, or CSV by links", 501)
    if disposition == "INLINE" and form != "JSON_ARRAY":
        raise invalid("The format of an INLINE result is JSON_ARRAY")
    return disposition == "EXTERNAL_LINKS", str(form)


def _limit(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:18])
    if value in (None, 0):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid(f"{name} must be a whole number above 0")
    return value


def _task(data: Mapping[str, Any], row_limit: int) -> SqlTask:
    statement = data.get("statement")
    if not isinstance(statement, str) or not statement.strip():
        raise invalid("statement must be text")
    places = []
    for name in ("catalog", "schema"):
        if data.get(name) is not None and not isinstance(data[name], str):
            raise malformed(f"Could not parse request object: Expected string for field {name}")
        places.append(data.get(name) or None)
    parameters = []
    for entry in objects(data, "parameters"):
        if not isinstance(entry.get("name"), str) or not re.fullmatch(r"\w+", entry["name"]):
            raise invalid("each of parameters must have a name, of letters, digits and _")
        value, kind = entry.get("value"), entry.get("type") or "STRING"
        if not isinstance(value, str | int | float | bool | None) or not isinstance(kind, str):
            raise invalid(f"the parameter {entry['name'][:50]} must have a text as its value and a SQL type")
        parameters.append(SqlParameter(entry["name"], None if value is None else str(value), kind))
    if len(parameters) > MOST_PARAMETERS:
        raise invalid(f"a statement takes at most {MOST_PARAMETERS} parameters")
    return SqlTask(statement, tuple(parameters), places[0], places[1], row_limit)
