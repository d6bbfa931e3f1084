"""The tables of clusters and their events."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Select, delete, func, insert, select, update

from headway.workspace.errors import invalid
from headway.workspace.services.clusters.listing import EventQuery, ListQuery
from headway.workspace.services.clusters.model import JOB, SQL, TERMINATED, Cluster
from headway.workspace.services.clusters.tables import cluster_events, clusters


class ClusterStore:
    """Clusters by id. One that is permanently deleted is as if it had never been."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, cluster: Mapping[str, Any]) -> None:
        """A cluster, by its columns."""
        with self._engine.begin() as connection:
            connection.execute(insert(clusters).values({"details": {}, "deleted": False, **cluster}))

    def change(self, cluster_id: str, **values: Any) -> None:
        """Set columns."""
        with self._engine.begin() as connection:
            connection.execute(update(clusters).where(clusters.c.cluster_id == cluster_id).values(values))

    def happened(self, cluster_id: str, at_ms: int, kind: str, told: Mapping[str, Any], /, **values: Any) -> None:
        """Keep an event, and set columns of the cluster, at once."""
        with self._engine.begin() as connection:
            if values:
                connection.execute(update(clusters).where(clusters.c.cluster_id == cluster_id).values(values))
            event = {"cluster_id": cluster_id, "timestamp_ms": at_ms, "type": kind, "details": dict(told)}
            connection.execute(insert(cluster_events).values(event))

    def get(self, cluster_id: str) -> Cluster:
        """Raise ApiError."""
        query = select(clusters).where(clusters.c.cluster_id == cluster_id, ~clusters.c.deleted)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise invalid(f"Cluster {cluster_id} does not exist")
        return Cluster(**row._mapping)

    def of_token(self, token: str) -> Cluster | None:
        """The cluster that was created with this idempotency token."""
        return next(iter(self._all(select(clusters).where(clusters.c.idempotency_token == token))), None)

    def active(self) -> list[Cluster]:
        """Those that are not TERMINATED."""
        return self._all(select(clusters).where(clusters.c.state != TERMINATED))

    def of_run(self, run_id: int) -> list[Cluster]:
        """The clusters that a run made for itself, oldest first."""
        return self._all(select(clusters).where(clusters.c.run_id == run_id).order_by(clusters.c.created_ms))

    def recent(self, all_purpose: int = 200, job: int = 30) -> list[Cluster]:
        """As clusters/list 2.0 gives them: those that live or are pinned, then the newest of those that have ended."""
        query = select(clusters).where(~clusters.c.deleted, clusters.c.source != SQL)
        lives = (clusters.c.state != TERMINATED) | clusters.c.pinned_by.is_not(None)
        order = (clusters.c.created_ms.desc(), clusters.c.cluster_id)
        found = self._all(query.where(lives).order_by(*order))
        for of_job, limit in ((False, all_purpose), (True, job)):
            kind = clusters.c.source == JOB if of_job else clusters.c.source != JOB
            found += self._all(query.where(~lives, kind).order_by(clusters.c.ended_ms.desc(), *order).limit(limit))
        return found

    def page(self, query: ListQuery) -> list[Cluster]:
        """As clusters/list 2.1 gives them: those after `query.offset`, one more than `query.limit` where
        there are more."""
        found: Select[Any] = select(clusters).where(~clusters.c.deleted)
        if query.states:
            found = found.where(clusters.c.state.in_(query.states))
        if query.sources:
            found = found.where(clusters.c.source.in_(query.sources))
        else:
            found = found.where(clusters.c.source != SQL)
        if query.pinned is not None:
            pinned = clusters.c.pinned_by.is_not(None)
            found = found.where(pinned if query.pinned else ~pinned)
        if query.policy_id:
            found = found.where(func.json_extract(clusters.c.spec, "$.policy_id") == query.policy_id)
        column = func.lower(clusters.c.name) if query.by_name else clusters.c.created_ms
        order = column.desc() if query.descending else column.asc()
        return self._all(found.order_by(order, clusters.c.cluster_id).offset(query.offset).limit(query.limit + 1))

    def events(self, query: EventQuery) -> tuple[list[dict[str, Any]], int]:
        """A page of a cluster's events, and how many there are in all."""
        wanted = [cluster_events.c.cluster_id == query.cluster_id]
        if query.types:
            wanted.append(cluster_events.c.type.in_(query.types))
        if query.start_ms is not None:
            wanted.append(cluster_events.c.timestamp_ms >= query.start_ms)
        if query.end_ms is not None:
            wanted.append(cluster_events.c.timestamp_ms <= query.end_ms)
        column = cluster_events.c.event_id
        order = column.asc() if query.ascending else column.desc()
        with self._engine.connect() as connection:
            count = connection.execute(select(func.count()).select_from(cluster_events).where(*wanted)).scalar_one()
            page = select(cluster_events).where(*wanted).order_by(order).offset(query.offset).limit(query.limit)
            found = [
                {
                    "cluster_id": row.cluster_id,
                    "timestamp": row.timestamp_ms,
                    "type": row.type,
                    "details": row.details,
                }
                for row in connection.execute(page)
            ]
        return found, int(count)

    def remove(self, cluster_id: str) -> None:
        """Forget one for good, with what happened to it. Its row stays while anything may still name its id."""
        with self._engine.begin() as connection:
            connection.execute(delete(cluster_events).where(cluster_events.c.cluster_id == cluster_id))
            values: dict[str, Any] = {"deleted": True, "idempotency_token": None, "pinned_by": None, "spec": {}}
            connection.execute(update(clusters).where(clusters.c.cluster_id == cluster_id).values(values))

    def forget_runs(self, run_ids: Sequence[int]) -> None:
        """Forget the clusters that these runs made for themselves and that have ended: the runs are forgotten too."""
        gone = select(clusters.c.cluster_id).where(clusters.c.run_id.in_(run_ids), clusters.c.state == TERMINATED)
        with self._engine.begin() as connection:
            connection.execute(delete(cluster_events).where(cluster_events.c.cluster_id.in_(gone)))
            connection.execute(delete(clusters).where(clusters.c.cluster_id.in_(gone)))

    def _all(self, query: Select[Any]) -> list[Cluster]:
        with self._engine.connect() as connection:
            return [Cluster(**row._mapping) for row in connection.execute(query)]
