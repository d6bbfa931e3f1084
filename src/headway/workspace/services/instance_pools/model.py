"""A pool: what it may be asked to be, and how the API tells of it. Pure.

Source: Databricks REST API, Instance Pools 2.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import invalid, malformed
from headway.workspace.parsing import number, text

# How long one more than `min_idle_instances` stays, where the pool does not say.
IDLE_MINUTES = 60
MOST_INSTANCES, MOST_MINUTES, MOST_TAGS = 100_000, 10_000, 45
# What edit may change; it takes away those of them that it does not name.
EDITABLE = ("instance_pool_name", "min_idle_instances", "max_capacity", "idle_instance_autotermination_minutes")


@dataclass(frozen=True)
class Pool:
    """A pool. `spec` is what it was asked to be, with fields that are not known here as they were given."""

    instance_pool_id: str
    name: str
    creator: str
    created_ms: int
    spec: Mapping[str, Any]

    @property
    def node_type_id(self) -> str:
        """The size of its drivers."""
        return str(self.spec["node_type_id"])

    @property
    def spark_version(self) -> str | None:
        """The runtime of its drivers; None means the workspace's default."""
        versions = self.spec.get("preloaded_spark_versions") or []
        return str(versions[0]) if versions else None

    @property
    def min_idle(self) -> int:
        """How many stand ready, at least."""
        return int(self.spec.get("min_idle_instances") or 0)

    @property
    def capacity(self) -> int | None:
        """How many there may be, those in use among them; None: no limit."""
        limit = self.spec.get("max_capacity")
        return None if limit is None else int(limit)

    @property
    def idle_ms(self) -> int:
        """How long one more than `min_idle` stays ready, in milliseconds."""
        minutes = self.spec.get("idle_instance_autotermination_minutes")
        return (IDLE_MINUTES if minutes is None else int(minutes)) * 60_000

    def to_json(self, stats: Mapping[str, int], errors: list[dict[str, str]]) -> dict[str, Any]:
        """As `instance-pools/get` answers it."""
        return {
            "min_idle_instances": 0,
            "idle_instance_autotermination_minutes": IDLE_MINUTES,
            "enable_elastic_disk": False,
            "custom_tags": {},
            **self.spec,
            "instance_pool_id": self.instance_pool_id,
            "instance_pool_name": self.name,
            "default_tags": {
                "Vendor": "Headway",
                "DatabricksInstancePoolCreatorId": self.creator,
                "DatabricksInstancePoolId": self.instance_pool_id,
            },
            "state": "ACTIVE",
            "stats": dict(stats),
            "status": {"pending_instance_errors": errors},
        }


def checked_spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a request to create or edit a pool, without its id. Raise ApiError.

    Whether there is such a node type and runtime is for the catalogue to check.
    """
    spec = {
        key: value
        for key, value in given.items()
        if key not in ("instance_pool_id", "access_control_list") and value is not None
    }
    if not 1 <= len(text(spec, "instance_pool_name")) <= 100:
        raise invalid("instance_pool_name must have from 1 to 100 characters")
    text(spec, "node_type_id")
    for name, least, most in (
        ("min_idle_instances", 0, MOST_INSTANCES),
        ("max_capacity", 1, MOST_INSTANCES),
        ("idle_instance_autotermination_minutes", 0, MOST_MINUTES),
    ):
        if name in spec:
            spec[name] = number(spec, name)
            if not least <= spec[name] <= most:
                raise invalid(f"{name} must be from {least} to {most}")
    if spec.get("min_idle_instances", 0) > spec.get("max_capacity", MOST_INSTANCES):
        raise invalid("min_idle_instances must not be larger than max_capacity")
    versions = spec.get("preloaded_spark_versions", [])
    if not isinstance(versions, list) or not all(isinstance(version, str) for version in versions):
        raise malformed("Could not parse request object: Expected array of strings for field preloaded_spark_versions")
    if len(versions) > 1:
        raise invalid("preloaded_spark_versions must have at most one version")
    if spec.get("preloaded_docker_images"):
        raise invalid("preloaded_docker_images: this workspace runs its drivers without containers")
    tags = spec.get("custom_tags", {})
    if not isinstance(tags, dict):
        raise malformed("Could not parse request object: Expected object for field custom_tags")
    if len(tags) > MOST_TAGS:
        raise invalid(f"custom_tags must have at most {MOST_TAGS} tags")
    return spec


def edited(pool: Pool, given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec after an edit. Raise ApiError, also where what cannot be changed is given anew."""
    new = checked_spec(given)
    for name in ("node_type_id", "preloaded_spark_versions"):
        if name in new and new[name] != pool.spec.get(name):
            raise invalid(f"{name} of an instance pool cannot be changed: make another pool")
    return {**{key: value for key, value in pool.spec.items() if key not in EDITABLE}, **new}
