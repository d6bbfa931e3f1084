"""Clusters over HTTP."""

import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.workspace.catalogue import Catalogue
from headway.workspace.errors import invalid, malformed, not_implemented
from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.runtime.tasks import DriverFailed
from headway.workspace.services.clusters import model
from headway.workspace.services.clusters.listing import event_query, list_query
from headway.workspace.services.clusters.model import Cluster
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.clusters.supervisor import ClusterSupervisor

VERSIONS = ("2.0", "2.1")


Govern = Callable[[Mapping[str, Any], str, str | None], dict[str, Any]]
"""A spec, who makes or changes the cluster, and its id where it is one already → the spec as the policy has it. Raises
ApiError."""


class ClusterRoutes:
    """The routes. `govern` applies cluster policies; `drivers` gives the driver of a cluster that lives, or None."""

    def __init__(
        self,
        store: ClusterStore,
        supervisor: ClusterSupervisor,
        catalogue: Catalogue,
        govern: Govern = lambda spec, user, cluster_id: dict(spec),
        drivers: Callable[[str], Any] = lambda cluster_id: None,
    ) -> None:
        self._store, self._supervisor, self._catalogue, self._govern = store, supervisor, catalogue, govern
        self._drivers = drivers

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        gets = {
            "spark-versions": self.spark_versions,
            "list-node-types": self.list_node_types,
            "list-zones": self.list_zones,
            "get": self.get,
        }
        posts = {
            "create": self.create,
            "edit": self.edit,
            "update": self.update,
            "start": self.start,
            "restart": self.restart,
            "resize": self.resize,
            "delete": self.delete,
            "permanent-delete": self.permanent_delete,
            "pin": self.pin,
            "unpin": self.unpin,
            "events": self.events,
            "change-owner": self.change_owner,
        }
        return [
            *(Endpoint("GET", f"/clusters/{name}", handler, VERSIONS) for name, handler in gets.items()),
            *(Endpoint("POST", f"/clusters/{name}", handler, VERSIONS) for name, handler in posts.items()),
            Endpoint("GET", "/clusters/list", self.list_recent, ("2.0",)),
            Endpoint("GET", "/clusters/list", self.list, ("2.1",)),
        ]

    # what clusters can be made of

    def spark_versions(self, call: Call) -> Data:
        """The runtimes."""
        return {"versions": [{"key": found.key, "name": found.name} for found in self._catalogue.runtimes.values()]}

    def list_node_types(self, call: Call) -> Data:
        """The node types."""
        return {"node_types": [found.to_json() for found in self._catalogue.node_types.values()]}

    def list_zones(self, call: Call) -> Data:
        """One zone: this machine."""
        return {"zones": ["local"], "default_zone": "local"}

    # clusters

    def create(self, call: Call) -> Data:
        """A new one, started at once; the same idempotency token gives the same one again."""
        token = call.data.get("idempotency_token")
        if token is not None and (not isinstance(token, str) or not 0 < len(token) <= 64):
            raise invalid("idempotency_token must be a string of 1 to 64 characters")
        given = dict(call.data)
        if "clone_from" in given:
            raise not_implemented("clone_from: this workspace does not copy the libraries of a cluster")
        found = self._store.of_token(token) if token is not None else None
        if found is not None:
            return {"cluster_id": found.cluster_id}
        spec = self._checked(call, given)
        cluster_id = new_id()
        self._supervisor.create(
            {
                "cluster_id": cluster_id,
                "name": spec.get("cluster_name") or cluster_id,
                "creator": call.user,
                "spec": spec,
                "source": model.API,
                "idempotency_token": token,
            }
        )
        return {"cluster_id": cluster_id}

    def edit(self, call: Call) -> Data:
        """Another spec in the place of the old one; a running cluster is restarted with it."""
        cluster = self._own(call)
        self._supervisor.edit(cluster.cluster_id, self._checked(call, call.data, cluster.cluster_id), call.user)
        return {}

    def update(self, call: Call) -> Data:
        """Some fields of the spec."""
        cluster = self._own(call)
        given = call.data.get("cluster") or {}
        if not isinstance(given, dict):
            raise malformed("Could not parse request object: Expected object for field cluster")
        spec = model.merged(cluster.spec, text(call.data, "update_mask"), given)
        self._supervisor.edit(cluster.cluster_id, self._checked(call, spec, cluster.cluster_id), call.user)
        return {}

    def start(self, call: Call) -> Data:
        """Start one that is terminated."""
        self._supervisor.start(text(call.data, "cluster_id"), call.user)
        return {}

    def restart(self, call: Call) -> Data:
        """A new driver for one that runs."""
        self._supervisor.restart(text(call.data, "cluster_id"), call.data.get("restart_user") or call.user)
        return {}

    def resize(self, call: Call) -> Data:
        """Another number of workers."""
        cluster_id = text(call.data, "cluster_id")
        size: Data = {key: call.data[key] for key in ("num_workers", "autoscale") if key in call.data}
        if len(size) != 1:
            raise invalid("Exactly one of num_workers and autoscale must be given")
        model.check_size(size)
        spec = self._store.get(cluster_id).spec
        others = {key: value for key, value in spec.items() if key not in ("num_workers", "autoscale")}
        self._catalogue.check({**others, **size})
        self._govern({**others, **size}, call.user, cluster_id)
        self._supervisor.resize(cluster_id, size, call.user)
        return {}

    def delete(self, call: Call) -> Data:
        """End one; it can be started again."""
        self._supervisor.terminate(text(call.data, "cluster_id"), model.by_user(call.user))
        return {}

    def permanent_delete(self, call: Call) -> Data:
        """End one and forget it."""
        cluster = self._own(call)
        if cluster.pinned_by is not None:
            raise invalid(f"Cluster {cluster.cluster_id} is pinned: unpin it first")
        self._supervisor.remove(cluster.cluster_id, model.by_user(call.user))
        return {}

    def pin(self, call: Call) -> Data:
        """Keep it in every list."""
        self._pin(call, call.user)
        return {}

    def unpin(self, call: Call) -> Data:
        """Let it go with the others."""
        self._pin(call, None)
        return {}

    def _pin(self, call: Call, by: str | None) -> None:
        cluster = self._store.get(text(call.data, "cluster_id"))
        if (cluster.pinned_by is None) != (by is None):
            self._supervisor.tell(cluster.cluster_id, "PINNED" if by else "UNPINNED", {"user": call.user}, pinned_by=by)

    def change_owner(self, call: Call) -> Data:
        """Another owner, for one that is terminated."""
        cluster = self._store.get(text(call.data, "cluster_id"))
        owner = text(call.data, "owner_username")
        if not owner:
            raise invalid("owner_username must not be empty")
        if cluster.state != model.TERMINATED:
            raise model.unexpected(cluster.cluster_id, cluster.state)
        self._store.change(cluster.cluster_id, creator=owner)
        return {}

    def get(self, call: Call) -> Data:
        """One, with the processes that it has."""
        cluster = self._store.get(text(call.data, "cluster_id"))
        found = self._json(cluster)
        driver = self._drivers(cluster.cluster_id) if cluster.state in (model.RUNNING, model.RESIZING) else None
        if driver is not None:
            found |= _processes(driver)
        return found

    def list_recent(self, call: Call) -> Data:
        """API 2.0: those that live or are pinned, and the newest of those that have ended."""
        return {"clusters": [self._json(cluster) for cluster in self._store.recent()]}

    def list(self, call: Call) -> Data:
        """API 2.1: filtered, sorted, a page at a time."""
        query = list_query(call.data)
        found = self._store.page(query)
        result: Data = {"clusters": [self._json(cluster) for cluster in found[: query.limit]]}
        if len(found) > query.limit:
            result["next_page_token"] = str(query.offset + query.limit)
        if query.offset:
            result["prev_page_token"] = str(max(0, query.offset - query.limit))
        return result

    def events(self, call: Call) -> Data:
        """What happened to one."""
        cluster = self._store.get(text(call.data, "cluster_id"))
        query = event_query(cluster.cluster_id, call.data)
        found, count = self._store.events(query)
        result: Data = {"events": found, "total_count": count}
        after = query.offset + len(found)
        if found and after < count:
            result["next_page"] = {
                **{key: value for key, value in call.data.items() if key not in ("page_token", "page_size")},
                "offset": after,
                "limit": query.limit,
            }
            result["next_page_token"] = str(after)
        if query.offset:
            result["prev_page_token"] = str(max(0, query.offset - query.limit))
        return result

    def _own(self, call: Call) -> Cluster:
        """The cluster that a request names, which is no warehouse's: that is changed by way of its warehouse."""
        cluster = self._store.get(text(call.data, "cluster_id"))
        if cluster.source == model.SQL:
            raise invalid(f"Cluster {cluster.cluster_id} is that of a SQL warehouse: change or delete the warehouse")
        return cluster

    def _checked(self, call: Call, given: Data, cluster_id: str | None = None) -> Data:
        named = {key: value for key, value in given.items() if key not in ("cluster_id", "idempotency_token")}
        spec = model.checked_spec(self._govern(named, call.user, cluster_id))
        self._catalogue.check(spec)
        for name in ("instance_pool_id", "driver_instance_pool_id"):
            if spec.get(name):
                call.require("instance-pools", spec[name], "CAN_ATTACH_TO")
        return spec

    def _json(self, cluster: Cluster) -> Data:
        return cluster.to_json(self._catalogue.node(cluster.spec))


def _processes(driver: Any) -> Data:
    """The driver, and the executors that it has now; nothing of a driver that has ended this moment."""
    with contextlib.suppress(DriverFailed, OSError):
        executors = [
            model.spark_node(str(one["id"]), str(one["host"]), int(one["started_ms"])) for one in driver.executors()
        ]
        return {"driver": model.spark_node(driver.folder.name, driver.host, driver.ready_ms), "executors": executors}
    return {}


def new_id() -> str:
    """An id for a cluster, of the form that people know."""
    digits = uuid.uuid4().int
    return f"{digits % 10_000:04d}-{digits // 10_000 % 1_000_000:06d}-{uuid.uuid4().hex[:8]}"
