"""What clusters can be made of here: runtimes (`spark_version` keys) and node types."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import ApiError, invalid
from headway.workspace.node_types import NODE_TYPES, NodeType, worker_bounds
from headway.workspace.runtime.tasks import Runtime

__all__ = ["NODE_TYPES", "Catalogue", "NodeType"]

_LOCAL = re.compile(r"local(\[(\*|\d+)(\s*,\s*\d+)?\])?")
# Where logs may be delivered.
_LOGS = {"dbfs": "dbfs:/", "volumes": "/Volumes/"}
# Where init scripts may lie.
_SCRIPTS = {"workspace": "/", "volumes": "/Volumes/", "dbfs": "dbfs:/"}
MOST_SCRIPTS = 10
# What the number of workers decides.
_SIZES = ("spark.executor.instances", "spark.cores.max")


def no_pool(instance_pool_id: str) -> str:
    """The node type of an instance pool, where there are none. Raise ApiError."""
    raise invalid(f"Instance pool {instance_pool_id} does not exist")


@dataclass(frozen=True)
class Catalogue:
    """Runtimes and node types by key. `pool` gives the node type of an instance pool; it may raise ApiError."""

    runtimes: Mapping[str, Runtime]
    node_types: Mapping[str, NodeType]
    pool: Callable[[str], str] = no_pool

    def runtime(self, key: object) -> Runtime:
        """Raise ApiError that names the known ones."""
        if not isinstance(key, str) or key not in self.runtimes:
            raise invalid(f"Invalid spark_version: {key}. Known here: {', '.join(self.runtimes)}")
        return self.runtimes[key]

    def node_type(self, key: object) -> NodeType:
        """Raise ApiError that names the known ones."""
        if not isinstance(key, str) or key not in self.node_types:
            raise invalid(f"Node type {key} is not supported. Supported here: {', '.join(self.node_types)}")
        return self.node_types[key]

    def size(self, spec: Mapping[str, Any]) -> NodeType:
        """The node type of a cluster's driver: that of its pool, else its own. Raise ApiError."""
        pool = spec.get("driver_instance_pool_id") or spec.get("instance_pool_id")
        if pool is not None:
            return self.node_type(self.pool(str(pool)))
        return self.node_type(spec.get("driver_node_type_id") or spec.get("node_type_id"))

    def node(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same as `list-node-types` tells it; empty where there is no such type or pool (any more)."""
        try:
            return self.size(spec).to_json()
        except ApiError:
            return {}

    def check(self, spec: Mapping[str, Any]) -> None:
        """Raise ApiError where no cluster can be made of `spec`."""
        if "spark_version" not in spec:
            raise invalid("Missing required field: spark_version")
        if "node_type_id" not in spec and "instance_pool_id" not in spec:
            raise invalid("Missing required field: settings.cluster_spec.new_cluster.size")
        self.runtime(spec["spark_version"])
        self.size(spec)
        for name in ("spark_conf", "spark_env_vars"):
            given = spec.get(name, {})
            if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
                raise invalid(f"{name} must be an object whose values are strings")
        _check_settings(spec, self.size(spec))
        log_destination(spec)
        script_sources(spec)


def _check_settings(spec: Mapping[str, Any], size: NodeType) -> None:
    """Raise ApiError where `spark_conf` sets what its node type or its number of workers decides."""
    conf, (_, most) = spec.get("spark_conf") or {}, worker_bounds(spec)
    master = conf.get("spark.master")
    if master is not None and not (_LOCAL.fullmatch(master) and (most == 0 or not size.has_executors)):
        where = f"workers from {size.master}" if size.has_executors else "everything in the driver"
        raise invalid(
            f"spark.master cannot be set to {master}: the node type decides where Spark works, and {size.node_type_id} "
            f"has {where}. Choose another node type; a cluster without workers may say local[*]."
        )
    if size.max_workers and most > size.max_workers:
        raise invalid(f"Node type {size.node_type_id} allows at most {size.max_workers} workers, not {most}")
    for key, value in conf.items():
        if key in size.spark_conf and size.spark_conf[key] != value:
            raise invalid(f"{key} is set by node type {size.node_type_id} and cannot be changed by a cluster")
        if size.has_executors and (key in _SIZES or key.startswith("spark.dynamicAllocation.")):
            raise invalid(f"{key} cannot be set: num_workers or autoscale says how many workers a cluster has")


def local_threads(spec: Mapping[str, Any]) -> int | None:
    """How many threads the spec's `spark.master` asks for (`local[2]`); None where it leaves it to the node type."""
    match = _LOCAL.fullmatch((spec.get("spark_conf") or {}).get("spark.master", ""))
    return int(match.group(2)) if match and (match.group(2) or "*") != "*" else None


def script_sources(spec: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The paths of a cluster's init scripts in this workspace, each with what the spec says of it. Raise ApiError."""
    given = spec.get("init_scripts") or []
    if not isinstance(given, list) or len(given) > MOST_SCRIPTS:
        raise invalid(f"init_scripts must be a list of at most {MOST_SCRIPTS} scripts")
    found = []
    for entry in given:
        if not isinstance(entry, Mapping) or len(entry) != 1 or not set(entry) <= _SCRIPTS.keys():
            raise invalid(
                "an init script has exactly one of workspace, volumes and dbfs; scripts in s3, abfss, gcs or on a "
                "machine's own disk (file) are not served by this workspace"
            )
        ((kind, inner),) = entry.items()
        path = inner.get("destination") if isinstance(inner, Mapping) else None
        if not isinstance(path, str) or not path.startswith(_SCRIPTS[kind]):
            raise invalid(f"init_scripts: {kind}.destination must begin with {_SCRIPTS[kind]}")
        found.append((path, entry))
    return found


def log_destination(spec: Mapping[str, Any]) -> str | None:
    """Where the logs of a cluster go; None where it says nothing. Raise ApiError."""
    conf = spec.get("cluster_log_conf")
    if not conf:
        return None
    if not isinstance(conf, Mapping) or len(conf) != 1 or not set(conf) <= _LOGS.keys():
        raise invalid("cluster_log_conf must have exactly one of dbfs and volumes; s3 is not served by this workspace")
    ((kind, inner),) = conf.items()
    found = inner.get("destination") if isinstance(inner, Mapping) else None
    if not isinstance(found, str) or not found.startswith(_LOGS[kind]):
        raise invalid(f"cluster_log_conf.{kind}.destination must begin with {_LOGS[kind]}")
    return found
