"""Instance pools over HTTP."""

from collections.abc import Sequence

from headway.workspace.catalogue import Catalogue
from headway.workspace.clock import now_ms
from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.services.instance_pools import model
from headway.workspace.services.instance_pools.keeping import PoolDrivers
from headway.workspace.services.instance_pools.model import Pool
from headway.workspace.services.instance_pools.store import PoolStore


class PoolRoutes:
    """The routes."""

    def __init__(self, store: PoolStore, drivers: PoolDrivers, catalogue: Catalogue) -> None:
        self._store, self._drivers, self._catalogue = store, drivers, catalogue

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/instance-pools/create", self.create),
            Endpoint("POST", "/instance-pools/edit", self.edit),
            Endpoint("POST", "/instance-pools/delete", self.delete),
            Endpoint("GET", "/instance-pools/get", self.get),
            Endpoint("GET", "/instance-pools/list", self.list),
        ]

    def create(self, call: Call) -> Data:
        """A new pool, whose drivers are made ready at once."""
        spec = model.checked_spec(call.data)
        self._catalogue.node_type(spec["node_type_id"])
        for version in spec.get("preloaded_spark_versions", ()):
            self._catalogue.runtime(version)
        pool = self._store.add(spec, call.user, now_ms())
        self._drivers.put(pool)
        return {"instance_pool_id": pool.instance_pool_id}

    def edit(self, call: Call) -> Data:
        """Another name, and other counts."""
        pool = self._pool(call)
        self._drivers.put(self._store.change(pool, model.edited(pool, call.data)))
        return {}

    def delete(self, call: Call) -> Data:
        """End what stands ready and forget the pool; clusters on it live on."""
        pool = self._pool(call)
        self._store.remove(pool.instance_pool_id)
        self._drivers.drop(pool.instance_pool_id)
        return {}

    def get(self, call: Call) -> Data:
        """One."""
        return self._json(self._pool(call))

    def list(self, call: Call) -> Data:
        """All."""
        return {"instance_pools": [self._json(pool) for pool in self._store.list()]}

    def _pool(self, call: Call) -> Pool:
        return self._store.get(text(call.data, "instance_pool_id"))

    def _json(self, pool: Pool) -> Data:
        return pool.to_json(*self._drivers.told(pool.instance_pool_id))
