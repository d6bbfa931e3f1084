"""How the rest of the workspace reaches clusters: by id, for as long as it uses one.

The clusters service's supervisor is the one that stands behind it; jobs, command execution, warehouses and libraries
are given it when the server is put together.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.runtime.tasks import TaskOutcome, TaskRequest


class TaskDriver(Protocol):
    """What is asked of a driver (`runtime.driver.Driver`)."""

    folder: Path
    spark_version: str
    application_id: str
    tainted: bool

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables that its cluster gives it, with their secrets."""

    @property
    def alive(self) -> bool:
        """Whether it can still run tasks."""

    def run(self, request: TaskRequest) -> TaskOutcome:
        """Run a task to its end. Raise DriverFailed."""

    def resume(self, run_id: str) -> TaskOutcome | None:
        """Go on waiting for a run that was begun before, also by an earlier process; None where the driver never began
        it. Raise DriverFailed."""

    def cancel(self, run_id: str) -> None:
        """End a run."""


def spark_context_id(application_id: str) -> int:
    """What names a driver's Spark context in the API: a number, as clients expect it, that tells nothing."""
    return int.from_bytes(hashlib.sha256(application_id.encode()).digest()[:7], "big")


Listener = Callable[[str, Any], None]


class ClusterDirectory(Protocol):
    """Clusters by id. Each method raises ApiError `Cluster … does not exist` where there is no such one."""

    def driver(self, cluster_id: str, *, start: bool = True) -> AbstractContextManager[Any]:
        """The cluster's live driver, for the length of a `with` block: meanwhile the cluster counts as in use and does
        not end for being idle.

        A cluster that starts is waited for; one that is TERMINATED is started, unless `start` is false: then ApiError
        INVALID_STATE. Raise DriverFailed where it does not start, or ends meanwhile (with the reason of that end).
        """

    def state(self, cluster_id: str) -> str:
        """PENDING, RUNNING, RESTARTING, RESIZING, TERMINATING, TERMINATED."""

    def spec(self, cluster_id: str) -> Mapping[str, Any]:
        """What it was asked to be made of, as create or the last edit gave it."""

    def touch(self, cluster_id: str) -> None:
        """It is in use now: its idle time begins again."""

    def on_started(self, listener: Listener) -> None:
        """Call `listener(cluster_id, driver)` for each driver that a cluster gets, before anything runs on it; also for
        those that are taken over when the workspace starts. What it raises is logged, and stops nothing."""

    def on_ended(self, listener: Listener) -> None:
        """Call `listener(cluster_id, driver)` when a cluster loses a driver: it ended, or another takes its place."""
