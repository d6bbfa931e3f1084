"""A cluster: its states and how it may pass from one to the next, why it ended, how the API tells of it. Pure.

Source: Databricks REST API, Clusters 2.1 (create, edit, get, events); messages as the service sends them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import ApiError, invalid, malformed

PENDING, RUNNING, RESTARTING, RESIZING = "PENDING", "RUNNING", "RESTARTING", "RESIZING"
TERMINATING, TERMINATED = "TERMINATING", "TERMINATED"
MOVES: Mapping[str, frozenset[str]] = {
    PENDING: frozenset({RUNNING, TERMINATING}),
    RUNNING: frozenset({RESTARTING, RESIZING, TERMINATING}),
    RESTARTING: frozenset({RUNNING, TERMINATING}),
    RESIZING: frozenset({RUNNING, TERMINATING}),
    TERMINATING: frozenset({TERMINATED}),
    TERMINATED: frozenset({PENDING}),
}
ENDED = (TERMINATING, TERMINATED)
UI, API, JOB = "UI", "API", "JOB"
SQL = "SQL"  # a warehouse's: it is in no list unless it is asked for
SOURCES = (UI, API, JOB)


@dataclass(frozen=True)
class Termination:
    """Why a cluster ended: `termination_reason` of the API. `code` is one of its codes, `message` is for people."""

    code: str
    type: str
    message: str
    parameters: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As the API tells it."""
        return {"code": self.code, "type": self.type, "parameters": dict(self.parameters)}


def by_user(user: str) -> Termination:
    """Somebody asked for it."""
    return Termination("USER_REQUEST", "SUCCESS", f"Terminated by {user}", {"username": user})


def idle(minutes: int) -> Termination:
    """Nothing used it for as long as it may be idle."""
    message = f"Inactive cluster terminated (inactive for {minutes} minutes)."
    return Termination("INACTIVITY", "SUCCESS", message, {"inactivity_duration_min": str(minutes)})


JOB_FINISHED = Termination("JOB_FINISHED", "SUCCESS", "The run has ended", {})
WORKSPACE_STOPPED = Termination("CLOUD_PROVIDER_SHUTDOWN", "SUCCESS", "The workspace was stopped", {})


_OF_THE_CLIENT = (
    "DRIVER_OUT_OF_MEMORY", "SPARK_STARTUP_FAILURE", "INIT_SCRIPT_FAILURE", "GLOBAL_INIT_SCRIPT_FAILURE"
)  # fmt: skip


def driver_lost(reason: str, message: str) -> Termination:
    """Its driver did not start or died; `reason` is that of DriverFailed."""
    kind = "CLIENT_ERROR" if reason in _OF_THE_CLIENT else "SERVICE_FAULT"
    return Termination(reason, kind, message, {"databricks_error_message": message[:2000]})


def moved(cluster_id: str, state: str, to: str) -> str:
    """The state `to`, where a cluster may go there from `state`. Raise ApiError INVALID_STATE."""
    if to not in MOVES[state]:
        raise unexpected(cluster_id, state)
    return to


def unexpected(cluster_id: str, state: str) -> ApiError:
    """What was asked cannot be done in this state."""
    return ApiError("INVALID_STATE", f"Cluster {cluster_id} is in unexpected state {state.capitalize()}.")


@dataclass(frozen=True)
class Cluster:
    """A cluster. Times in milliseconds since 1970. `folder` has its logs; of a job cluster, `run_id` and `run_key` name
    what it is for, and `keep` the folder that gets its logs when it ends."""

    cluster_id: str
    name: str
    creator: str
    spec: Mapping[str, Any]
    source: str
    state: str
    state_message: str
    termination: Mapping[str, Any] | None
    created_ms: int
    started_ms: int
    restarted_ms: int | None
    ended_ms: int | None
    active_ms: int | None
    folder: str | None
    details: Mapping[str, Any]
    pinned_by: str | None
    idempotency_token: str | None
    run_id: int | None
    run_key: str | None
    keep: str | None
    deleted: bool

    @property
    def for_job(self) -> bool:
        """Whether a run made it for itself."""
        return self.source == JOB

    def to_json(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """As `clusters/get` answers it; `node` is its node type as `list-node-types` tells it (empty if it is no more).

        Defaults are filled in; fields of the spec that are not known here are told as they were given.
        """
        spec = dict(self.spec)
        node_type = spec.get("node_type_id") or node.get("node_type_id", "")
        name = spec.get("cluster_name", self.name)
        data: dict[str, Any] = {
            "num_workers": 0,
            "spark_conf": {},
            "spark_env_vars": {},
            "autotermination_minutes": 0,
            "enable_elastic_disk": False,
            "enable_local_disk_encryption": False,
            "custom_tags": {},
            "runtime_engine": "STANDARD",
            **spec,
            "node_type_id": node_type,
            "driver_node_type_id": spec.get("driver_node_type_id", node_type),
            "cluster_id": self.cluster_id,
            "cluster_name": name,
            "creator_user_name": self.creator,
            "cluster_source": self.source,
            "effective_spark_version": spec.get("spark_version"),
            "state": self.state,
            "state_message": self.state_message,
            "start_time": self.created_ms,
            "last_state_loss_time": self.restarted_ms or 0,
            "last_restarted_time": self.restarted_ms or 0,
            "last_activity_time": self.active_ms or self.started_ms,
            "default_tags": {
                "Vendor": "Headway",
                "Creator": self.creator,
                "ClusterName": name,
                "ClusterId": self.cluster_id,
                **({"RunName": self.name} if self.for_job else {}),
            },
            "spec": spec,
            **self.details,
        }
        if "autoscale" in spec:
            data.pop("num_workers")
        if self.state == RUNNING:
            data |= {"cluster_cores": node.get("num_cores"), "cluster_memory_mb": node.get("memory_mb")}
        if self.pinned_by is not None:
            data["pinned_by_user_name"] = self.pinned_by
        if self.ended_ms is not None and self.state == TERMINATED:
            data["terminated_time"] = self.ended_ms
        if self.termination is not None and self.state in (TERMINATING, TERMINATED):
            data["termination_reason"] = dict(self.termination)
        return data


def spark_node(node_id: str, host: str, started_ms: int) -> dict[str, Any]:
    """A process of a cluster, as `driver` and `executors` of the API tell it."""
    address = host.rpartition(":")[0] or host
    return {
        "node_id": node_id,
        "instance_id": node_id,
        "private_ip": address,
        "host_private_ip": address,
        "public_dns": "",
        "start_timestamp": started_ms,
    }


def checked_spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a request to create or edit a cluster, without what names the cluster. Raise ApiError.

    What it is made of (`spark_version`, node type, pool) is for the catalogue to check.
    """
    spec = {key: value for key, value in given.items() if key not in ("cluster_id", "idempotency_token", "clone_from")}
    name = spec.get("cluster_name", "")
    if not isinstance(name, str) or len(name) > 255:
        raise invalid("cluster_name must be a string of at most 255 characters")
    minutes = spec.get("autotermination_minutes", 0)
    if isinstance(minutes, bool) or not isinstance(minutes, int):
        raise malformed("Could not parse request object: Expected number for field autotermination_minutes")
    if minutes and not 10 <= minutes <= 10000:
        raise invalid("autotermination_minutes must be 0 (never) or from 10 to 10000")
    check_size(spec)
    if not isinstance(spec.get("custom_tags", {}), dict):
        raise malformed("Could not parse request object: Expected object for field custom_tags")
    return spec


def check_size(spec: Mapping[str, Any]) -> None:
    """Raise ApiError where `num_workers` or `autoscale` is no size."""
    if "autoscale" in spec:
        scale = spec["autoscale"]
        if not isinstance(scale, dict):
            raise malformed("Could not parse request object: Expected object for field autoscale")
        low, high = scale.get("min_workers", 0), scale.get("max_workers")
        if not _count(low) or not _count(high) or low > high:
            raise invalid("autoscale needs whole numbers min_workers and max_workers, the first not the larger")
    elif not _count(spec.get("num_workers", 0)):
        raise invalid("num_workers must be a whole number, not below 0")


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100_000


def pool_of(spec: Mapping[str, Any]) -> str | None:
    """The instance pool that its driver comes from."""
    found = spec.get("driver_instance_pool_id") or spec.get("instance_pool_id")
    return None if found is None else str(found)


def size(spec: Mapping[str, Any]) -> dict[str, Any]:
    """`cluster_size` of an event."""
    if "autoscale" in spec:
        return {"autoscale": spec["autoscale"]}
    return {"num_workers": spec.get("num_workers", 0)}


def merged(spec: Mapping[str, Any], mask: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec after `clusters/update`: each field of `mask` (comma-separated; `*` means all given; a dot leads into an
    object) taken from `given`, and removed where it is missing there. Raise ApiError."""
    result = dict(spec)
    paths = list(given) if mask.strip() == "*" else [path.strip() for path in mask.split(",") if path.strip()]
    if not paths:
        raise invalid("Missing required field: update_mask")
    for path in paths:
        head, _, tail = path.partition(".")
        if head == "cluster_id":
            raise invalid("update_mask cannot name cluster_id")
        value = given.get(head)
        if tail:
            inner = dict(result.get(head) or {})
            new = value.get(tail) if isinstance(value, Mapping) else None
            if new is None:
                inner.pop(tail, None)
            else:
                inner[tail] = new
            result[head] = inner
        elif value is None:
            result.pop(head, None)
        else:
            result[head] = value
    if "num_workers" in paths:
        result.pop("autoscale", None)
    elif any(path.split(".")[0] == "autoscale" for path in paths) and "autoscale" in result:
        result.pop("num_workers", None)
    return result
