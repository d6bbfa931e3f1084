"""What clusters can be made of here: runtimes (`spark_version` keys) and node types."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import ApiError, invalid
from headway.workspace.runtime.tasks import Runtime


@dataclass(frozen=True)
class NodeType:
    """A size of driver: heap in MB and the cores its Spark uses. `quick` ones start with half the CPU, and are meant
    for tests and small data (see `DriverSpec.quick`)."""

    node_type_id: str
    memory_mb: int
    cores: int
    quick: bool = False

    def _purpose(self) -> str:
        return "; starts quickly, for tests and small data" if self.quick else ""

    def to_json(self) -> dict[str, Any]:
        """As `list-node-types` answers it."""
        return {
            "node_type_id": self.node_type_id,
            "memory_mb": self.memory_mb,
            "num_cores": float(self.cores),
            "description": f"{self.memory_mb} MB, {self.cores} cores, on this machine" + self._purpose(),
            "instance_type_id": self.node_type_id,
            "category": "Local",
            "is_deprecated": False,
        }


NODE_TYPES = (
    NodeType("local.small", 1024, 2, quick=True),
    NodeType("local.medium", 2048, 2),
    NodeType("local.large", 4096, 4),
    NodeType("local.xlarge", 8192, 8),
)


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
