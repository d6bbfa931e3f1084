"""Libraries 2.0 over HTTP: those of clusters."""

from collections.abc import Sequence

from headway.workspace.engine.libraries import kind_of
from headway.workspace.errors import invalid
from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.parsing import objects
from headway.workspace.services.libraries.installing import ClusterLibraries

_TREE = ("/Workspace/", "/Users/", "/Shared/", "/Repos/")


class ClusterLibraryRoutes:
    """The routes."""

    def __init__(self, libraries: ClusterLibraries) -> None:
        self._libraries = libraries

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/libraries/install", self.install),
            Endpoint("POST", "/libraries/uninstall", self.uninstall),
            Endpoint("GET", "/libraries/cluster-status", self.cluster_status),
            Endpoint("GET", "/libraries/all-cluster-statuses", self.all_cluster_statuses),
        ]

    def install(self, call: Call) -> Data:
        """Install libraries on a cluster, in the background."""
        libraries = _asked(call)
        for library in libraries:
            for path in library.values():
                if isinstance(path, str) and path.startswith(_TREE):
                    call.require("paths", path, "CAN_READ")
        self._libraries.install(text(call.data, "cluster_id"), libraries)
        return {}

    def uninstall(self, call: Call) -> Data:
        """Take libraries away, when the cluster is restarted."""
        self._libraries.uninstall(text(call.data, "cluster_id"), _asked(call))
        return {}

    def cluster_status(self, call: Call) -> Data:
        """Those of one cluster."""
        cluster_id = text(call.data, "cluster_id")
        return {"cluster_id": cluster_id, "library_statuses": self._libraries.statuses(cluster_id)}

    def all_cluster_statuses(self, call: Call) -> Data:
        """Those of every cluster that has any."""
        found = self._libraries.all_statuses()
        return {"statuses": [{"cluster_id": key, "library_statuses": told} for key, told in found.items()]}


def _asked(call: Call) -> list[Data]:
    libraries = objects(call.data, "libraries")
    if not libraries:
        raise invalid("Missing required field: libraries")
    for library in libraries:
        try:
            kind_of(library)
        except ValueError as error:
            raise invalid(str(error)) from None
    return libraries
