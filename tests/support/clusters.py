"""Clusters as values, for what plans or tells of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headway.workspace.catalogue import Catalogue
from headway.workspace.runtime.tasks import FileRoots
from headway.workspace.services.clusters.model import Cluster
from headway.workspace.services.clusters.planning import Planning, Reveal


def cluster(spec: Mapping[str, Any], cluster_id: str = "c1") -> Cluster:
    """One that starts."""
    times: dict[str, Any] = dict.fromkeys(("restarted_ms", "ended_ms", "active_ms"))
    empty: dict[str, Any] = dict.fromkeys(
        ("termination", "folder", "pinned_by", "idempotency_token", "run_id", "run_key", "keep")
    )
    return Cluster(
        cluster_id=cluster_id,
        name=cluster_id,
        creator="someone@example.com",
        spec=spec,
        source="API",
        state="PENDING",
        state_message="",
        created_ms=0,
        started_ms=0,
        details={},
        deleted=False,
        **times,
        **empty,
    )


def planning(catalogue: Catalogue, roots: FileRoots, folder: Path) -> Planning:
    """Plans drivers; no value names a secret."""
    plain: Reveal = lambda values, user, run_id: (dict(values), frozenset())  # noqa: E731
    return Planning(catalogue, roots, folder, plain)
