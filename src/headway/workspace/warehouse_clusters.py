"""The clusters behind SQL warehouses: clusters like any other, with the source SQL, and in no list of clusters."""

from typing import Any

from headway.workspace.errors import ApiError
from headway.workspace.services.clusters import model
from headway.workspace.services.clusters.routes import new_id
from headway.workspace.services.clusters.supervisor import ClusterSupervisor


class WarehouseClusters:
    """Makes and moves them. `spark_version` is what they run."""

    def __init__(self, supervisor: ClusterSupervisor, spark_version: str) -> None:
        self._supervisor, self._spark_version = supervisor, spark_version

    def make(self, name: str, user: str, size: str, idle_minutes: int) -> str:
        """A new cluster of that node type, which starts; return its id."""
        cluster_id = new_id()
        spec = self._spec(name, size, idle_minutes)
        self._supervisor.create(
            {"cluster_id": cluster_id, "name": name, "creator": user, "spec": spec, "source": model.SQL}
        )
        return cluster_id

    def change(self, cluster_id: str, user: str, size: str, idle_minutes: int) -> None:
        """Another size or idle time. Raise ApiError INVALID_STATE while it starts or ends."""
        name = str(self._supervisor.spec(cluster_id).get("cluster_name", ""))
        self._supervisor.edit(cluster_id, self._spec(name, size, idle_minutes), user)

    def start(self, cluster_id: str, user: str) -> None:
        """Start it, unless it runs."""
        if self._supervisor.state(cluster_id) in model.ENDED:
            self._supervisor.start(cluster_id, user)

    def stop(self, cluster_id: str, user: str) -> None:
        """End it, unless it has ended."""
        self._supervisor.terminate(cluster_id, model.by_user(user))

    def remove(self, cluster_id: str, user: str) -> None:
        """Forget it."""
        self._supervisor.remove(cluster_id, model.by_user(user))

    def state(self, cluster_id: str) -> str:
        """Its state; TERMINATED where it is no more."""
        try:
            return self._supervisor.state(cluster_id)
        except ApiError:
            return model.TERMINATED

    def _spec(self, name: str, size: str, idle_minutes: int) -> dict[str, Any]:
        return {
            "cluster_name": name,
            "spark_version": self._spark_version,
            "node_type_id": size,
            "num_workers": 0,
            "autotermination_minutes": idle_minutes,
        }
