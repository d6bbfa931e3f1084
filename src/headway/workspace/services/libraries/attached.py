"""The libraries of clusters: their states, and what may be done with them. Pure.

Source: Databricks REST API, Libraries 2.0.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PENDING, RESOLVING, INSTALLING, INSTALLED = "PENDING", "RESOLVING", "INSTALLING", "INSTALLED"
FAILED, SKIPPED, UNINSTALL_ON_RESTART = "FAILED", "SKIPPED", "UNINSTALL_ON_RESTART"
UNFINISHED = (PENDING, RESOLVING, INSTALLING)
# What a driver has; the second goes with it.
PRESENT = (INSTALLED, UNINSTALL_ON_RESTART)
_SCALA = re.compile(r"_(2\.1[0-9]|3)$")


@dataclass(frozen=True)
class Attached:
    """A library of a cluster. `library` is as it was asked for, one kind with its body."""

    entry_id: int
    cluster_id: str
    library: Mapping[str, Any]
    status: str
    messages: tuple[str, ...]

    def to_json(self, *, runs: bool) -> dict[str, Any]:
        """As `cluster-status` answers it. On a cluster that does not run nothing is installed: it will be."""
        status = PENDING if not runs and self.status in (INSTALLED, *UNFINISHED) else self.status
        told: dict[str, Any] = {"library": dict(self.library), "status": status, "is_library_for_all_clusters": False}
        return {**told, "messages": list(self.messages)} if self.messages else told


def key_of(library: Mapping[str, Any]) -> str:
    """What makes two libraries the same: kind and body."""
    return hashlib.sha256(json.dumps(library, sort_keys=True).encode()).hexdigest()


def in_order(entries: Iterable[Attached]) -> list[Attached]:
    """As they were added; those that are to go come last."""
    return sorted(entries, key=lambda entry: (entry.status == UNINSTALL_ON_RESTART, entry.entry_id))


def skipped(library: Mapping[str, Any], scala: str) -> str | None:
    """Why a library is not for this Scala (`2.13`); None where nothing speaks against it."""
    if "maven" not in library:
        return None
    artifact = str(library["maven"]["coordinates"]).split(":")[1:2]
    match = _SCALA.search(artifact[0]) if artifact else None
    if match is None or match.group(1) == scala:
        return None
    return f"{artifact[0]} is for Scala {match.group(1)}, and this cluster has Scala {scala}: it was not installed"
