"""The table of clusters."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, insert, select, update

from headway.workspace.clock import now_ms
from headway.workspace.database import clusters
from headway.workspace.errors import invalid
from headway.workspace.services.clusters.model import Cluster


class ClusterStore:
    """Clusters by id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, cluster_id: str, name: str, creator: str, spec: Mapping[str, Any]) -> None:
        """A cluster that is being started."""
        row = {
            "cluster_id": cluster_id,
            "name": name,
            "creator": creator,
            "spec": dict(spec),
            "state": "PENDING",
            "state_message": "Starting Spark",
            "started_ms": now_ms(),
            "details": {},
        }
        with self._engine.begin() as connection:
            connection.execute(insert(clusters).values(row))

    def change(self, cluster_id: str, **values: Any) -> None:
        """Set columns."""
        with self._engine.begin() as connection:
            connection.execute(update(clusters).where(clusters.c.cluster_id == cluster_id).values(values))

    def get(self, cluster_id: str) -> Cluster:
        """Raise ApiError."""
        with self._engine.connect() as connection:
            row = connection.execute(select(clusters).where(clusters.c.cluster_id == cluster_id)).one_or_none()
        if row is None:
            raise invalid(f"Cluster {cluster_id} does not exist")
        return Cluster(**row._mapping)

    def list(self, limit: int = 100) -> list[Cluster]:
        """The newest."""
        query = select(clusters).order_by(clusters.c.started_ms.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [Cluster(**row._mapping) for row in connection.execute(query)]

    def end_all(self, message: str) -> None:
        """What a workspace that was killed left behind."""
        query = update(clusters).where(clusters.c.state != "TERMINATED")
        with self._engine.begin() as connection:
            connection.execute(query.values(state="TERMINATED", state_message=message, ended_ms=now_ms()))
