"""The clusters of one run: each a fresh driver, started when its first task needs it, ended with the run."""

import contextlib
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.catalogue import Catalogue
from headway.workspace.clock import now_ms
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec, FileRoots, TaskOutcome, TaskRequest


class TaskDriver(Protocol):
    """What the engine asks of a driver (`runtime.driver.Driver`)."""

    folder: Path
    spark_version: str
    application_id: str

    @property
    def alive(self) -> bool:
        """Whether it can still run tasks."""

    def run(self, request: TaskRequest) -> TaskOutcome:
        """Run a task to its end. Raise DriverFailed."""

    def cancel(self, run_id: str) -> None:
        """End a run."""


class Fleet(Protocol):
    """What the engine asks of the fleet (`runtime.fleet.DriverFleet`)."""

    def acquire(self, spec: DriverSpec) -> TaskDriver:
        """A fresh driver. Raise DriverFailed."""

    def discard(self, driver: Any) -> None:
        """End it."""

    def close(self) -> None:
        """End all."""


class ClusterRecords(Protocol):
    """Where clusters are told of (the clusters service's store)."""

    def add(self, cluster_id: str, name: str, creator: str, spec: Mapping[str, Any]) -> None:
        """A cluster that is being started."""

    def change(self, cluster_id: str, **values: Any) -> None:
        """Set what is known of it."""


class JobCluster:
    """One cluster of a run, shared by the tasks that name it."""

    def __init__(self, key: str, spec: Mapping[str, Any], run_id: int, creator: str) -> None:
        self.key, self.spec, self.creator, self.run_id = key, spec, creator, run_id
        self.cluster_id = f"{run_id:04d}-{uuid.uuid4().hex[:12]}"
        self.lock = threading.Lock()
        self.driver: TaskDriver | None = None
        self.failed: DriverFailed | None = None
        self.recorded = False


class JobClusters:
    """The clusters of one run. `keep` is the run's folder: each cluster's logs and event log are moved there."""

    def __init__(
        self, fleet: Fleet, records: ClusterRecords, catalogue: Catalogue, roots: FileRoots, folder: Path, keep: Path
    ) -> None:
        self._fleet, self._records, self._catalogue = fleet, records, catalogue
        self._roots, self._folder, self._keep = roots, folder, keep

    def driver(self, cluster: JobCluster, on_start: Callable[[str], None]) -> TaskDriver:
        """The cluster's driver, started by whoever needs it first. Raise DriverFailed."""
        with cluster.lock:
            on_start(cluster.cluster_id)
            if cluster.failed is not None:
                raise cluster.failed
            if cluster.driver is None:
                self._start(cluster)
            assert cluster.driver is not None  # noqa: S101  (_start sets it or raises)
            return cluster.driver

    def _start(self, cluster: JobCluster) -> None:
        name = f"job-run-{cluster.run_id}-{cluster.key}"
        self._records.add(cluster.cluster_id, name, cluster.creator, cluster.spec)
        cluster.recorded = True
        size = self._catalogue.node_type(cluster.spec.get("node_type_id"))
        spec = DriverSpec(
            cluster_id=cluster.cluster_id,
            runtime=self._catalogue.runtime(cluster.spec["spark_version"]),
            folder=self._folder / cluster.cluster_id,
            roots=self._roots,
            memory_mb=size.memory_mb,
            cores=size.cores,
            quick=size.quick,
            spark_conf=cluster.spec.get("spark_conf", {}),
            env=cluster.spec.get("spark_env_vars", {}),
        )
        try:
            cluster.driver = self._fleet.acquire(spec)
        except DriverFailed as failed:
            cluster.failed = failed
            self._records.change(
                cluster.cluster_id, state="TERMINATED", state_message=failed.message, ended_ms=now_ms()
            )
            raise
        details = {"spark_application_id": cluster.driver.application_id, "spark": cluster.driver.spark_version}
        self._records.change(cluster.cluster_id, state="RUNNING", state_message="", details=details)

    def end(self, cluster: JobCluster) -> None:
        """End the cluster and keep what it wrote."""
        with cluster.lock:
            driver, cluster.driver = cluster.driver, None
            if cluster.failed is None:
                cluster.failed = DriverFailed("CLUSTER_TERMINATED", "the run's cluster has been ended")
            if driver is None:
                return
            self._fleet.discard(driver)
            target = self._keep / "clusters" / cluster.key
            target.mkdir(parents=True, exist_ok=True)
            for name in ("logs", "eventlog"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.move(driver.folder / name, target / name)
            shutil.rmtree(driver.folder, ignore_errors=True)
            self._records.change(
                cluster.cluster_id,
                state="TERMINATED",
                state_message="The run has ended",
                ended_ms=now_ms(),
                folder=str(target),
            )
