"""The clusters of one run, through one interface: those that it makes for itself, and those that stand already.

What a run makes for itself is a cluster like any other, with the source JOB: started when its first task needs it,
ended with the run (or, a task's own, with the attempt), its logs kept in the run's folder.
"""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.directory import ClusterDirectory, TaskDriver
from headway.workspace.errors import missing
from headway.workspace.runtime.tasks import DriverFailed

__all__ = ["Clusters", "Fleet", "RunClusters", "TaskDriver"]


class Fleet(Protocol):
    """Where drivers come from (`runtime.fleet.DriverFleet`)."""

    def open(self) -> None:
        """Begin to keep warm drivers."""

    def acquire(self, spec: Any) -> Any:
        """A fresh driver. Raise DriverFailed."""

    def adopt(self, spec: Any) -> Any:
        """The driver that an earlier process left in the spec's folder. Raise DriverFailed."""

    def discard(self, driver: Any) -> None:
        """End it."""

    def close(self) -> None:
        """End all."""


class Clusters(ClusterDirectory, Protocol):
    """What a run asks of the clusters service."""

    def create(self, cluster: Mapping[str, Any]) -> None:
        """Keep and start a cluster."""

    def finish(self, cluster_id: str) -> None:
        """End a run's cluster: the run does not need it any more. Returns at once."""

    def of_run(self, run_id: int) -> Mapping[str, str]:
        """The clusters that a run made for itself and that still live: key → id."""


May = Callable[[str, str, str], None]
"""Kind and id of an object, and a level: raises ApiError where the run's user does not hold that level on it."""


def everything(kind: str, object_id: str, level: str) -> None:
    """Of a run that may do everything."""


def no_warehouses(warehouse_id: str) -> str:
    """The cluster of a warehouse, where there are none. Raise ApiError."""
    raise missing(f"SQL warehouse {warehouse_id} does not exist.")


class RunClusters:
    """The clusters of one run. `folder` is the run's: each job cluster's logs and event log are kept there.
    `warehouse` gives the cluster of a SQL warehouse, if the run's user may use it; it may raise ApiError. `may`
    says what else that user may use; `govern` makes of a spec and a user what the policy of the spec allows."""

    def __init__(
        self,
        clusters: Clusters,
        run_id: int,
        creator: str,
        shared: Iterable[Any],
        folder: Path,
        repair: int = 0,
        warehouse: Callable[[str], str] = no_warehouses,
        may: May = everything,
        govern: Callable[[Mapping[str, Any], str], Mapping[str, Any]] = lambda spec, user: spec,
    ) -> None:
        self._warehouse, self._may, self._govern = warehouse, may, govern
        self._clusters, self._run_id, self._creator, self._folder = clusters, run_id, creator, folder
        self.shared: dict[str, Mapping[str, Any]] = {entry["job_cluster_key"]: entry["new_cluster"] for entry in shared}
        # Each repair has clusters of its own; what those before it wrote is kept beside theirs.
        self._suffix = f"-repair-{repair}" if repair else ""
        self._lock = threading.Lock()
        self._made: dict[str, str] = {}
        self._closed = False

    def take_over(self) -> None:
        """Find again what this run made for itself before the workspace was killed."""
        self._made = dict(self._clusters.of_run(self._run_id))

    @contextlib.contextmanager
    def driver(self, key: str, settings: Mapping[str, Any], on_cluster: Callable[[str], None]) -> Iterator[TaskDriver]:
        """The driver for an attempt of the task `key`; `on_cluster` is told the cluster's id before it has started.

        Raise DriverFailed, or ApiError where `existing_cluster_id` or `warehouse_id` names none that may be used.
        """
        name = settings.get("job_cluster_key")
        if settings.get("existing_cluster_id"):
            cluster_id = str(settings["existing_cluster_id"])
            ended = self._clusters.state(cluster_id) in ("TERMINATING", "TERMINATED")
            self._may("clusters", cluster_id, "CAN_RESTART" if ended else "CAN_ATTACH_TO")
        elif name:
            cluster_id = self._made_as(name, self.shared[name])
        elif "new_cluster" not in settings:
            cluster_id = self._warehouse(str(settings["sql_task"]["warehouse_id"]))
        else:
            cluster_id = self._made_as(key, settings["new_cluster"])
        try:
            on_cluster(cluster_id)
            with self._clusters.driver(cluster_id) as driver:
                yield driver
        finally:
            self.release(key, settings)

    @contextlib.contextmanager
    def adopted(self, cluster_id: str) -> Iterator[TaskDriver]:
        """The driver of a cluster that an attempt was running on before the workspace was killed; it is not started.

        Raise DriverFailed or ApiError where it has none any more.
        """
        with self._clusters.driver(cluster_id, start=False) as driver:
            yield driver

    def release(self, key: str, settings: Mapping[str, Any]) -> None:
        """An attempt of the task `key` has ended: end the cluster that was for it alone, if there was one."""
        if not settings.get("existing_cluster_id") and not settings.get("job_cluster_key"):
            self.end(key)

    def end(self, key: str) -> None:
        """End a cluster that the run made for itself, if it did."""
        with self._lock:
            cluster_id = self._made.pop(key, None)
        if cluster_id is not None:
            self._clusters.finish(cluster_id)

    def end_all(self) -> None:
        """End all that the run made for itself; it gets no more."""
        self._closed = True
        for key in list(self._made):
            self.end(key)

    def _made_as(self, key: str, spec: Mapping[str, Any]) -> str:
        with self._lock:
            if self._closed:
                raise DriverFailed("CLUSTER_TERMINATED", "the run has ended")
            # One that has died is not used again: another attempt gets another one.
            if key in self._made and self._clusters.state(self._made[key]) not in ("TERMINATING", "TERMINATED"):
                return self._made[key]
            spec = self._govern(spec, self._creator)
            for field in ("instance_pool_id", "driver_instance_pool_id"):
                if spec.get(field):
                    self._may("instance-pools", str(spec[field]), "CAN_ATTACH_TO")
            cluster_id = f"{self._run_id:04d}-{uuid.uuid4().hex[:12]}"
            self._made[key] = cluster_id
            self._clusters.create(
                {
                    "cluster_id": cluster_id,
                    "name": f"job-run-{self._run_id}-{key}"[:255],
                    "creator": self._creator,
                    "spec": dict(spec),
                    "source": "JOB",
                    "run_id": self._run_id,
                    "run_key": key,
                    "keep": str(self._folder / "clusters" / (key + (self._suffix if key in self.shared else ""))),
                }
            )
            return cluster_id
