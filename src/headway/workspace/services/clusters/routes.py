"""Clusters over HTTP: reading. All-purpose clusters are not served yet."""

from collections.abc import Sequence

from headway.workspace.catalogue import Catalogue
from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.services.clusters.store import ClusterStore

VERSIONS = ("2.0", "2.1")


class ClusterRoutes:
    """The routes."""

    def __init__(self, store: ClusterStore, catalogue: Catalogue) -> None:
        self._store, self._catalogue = store, catalogue

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("GET", "/clusters/spark-versions", self.spark_versions, VERSIONS),
            Endpoint("GET", "/clusters/list-node-types", self.list_node_types, VERSIONS),
            Endpoint("GET", "/clusters/list-zones", self.list_zones, VERSIONS),
            Endpoint("GET", "/clusters/list", self.list, VERSIONS),
            Endpoint("GET", "/clusters/get", self.get, VERSIONS),
        ]

    def spark_versions(self, call: Call) -> Data:
        """The runtimes."""
        return {"versions": [{"key": found.key, "name": found.name} for found in self._catalogue.runtimes.values()]}

    def list_node_types(self, call: Call) -> Data:
        """The node types."""
        return {"node_types": [found.to_json() for found in self._catalogue.node_types.values()]}

    def list_zones(self, call: Call) -> Data:
        """One zone: this machine."""
        return {"zones": ["local"], "default_zone": "local"}

    def list(self, call: Call) -> Data:
        """The newest clusters."""
        return {"clusters": [cluster.to_json() for cluster in self._store.list()]}

    def get(self, call: Call) -> Data:
        """One."""
        return self._store.get(text(call.data, "cluster_id")).to_json()
