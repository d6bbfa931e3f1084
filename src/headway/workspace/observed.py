"""What the monitoring service is told of runs and clusters: where they keep what they wrote, and which drivers live."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headway.workspace.directory import ClusterDirectory
from headway.workspace.engine.preparation import driver_run, log_file
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.jobs.run_store import RunStore
from headway.workspace.services.monitoring.model import ClusterPlace, TaskPlace


def task_places(runs: RunStore, run_folder: Callable[[int], Path]) -> Callable[[int], Sequence[TaskPlace]]:
    """The attempts of a run's tasks, with the iterations of those that are for each; or the run of one task."""

    def places(run_id: int) -> list[TaskPlace]:
        run = runs.run(run_id)
        found = runs.tasks(run_id, history=True) if run.root_id is None or "for_each_task" in run.settings else [run]
        return [place for task in found for place in one(task)]

    def one(task: Any) -> list[TaskPlace]:
        if "for_each_task" in task.settings:
            return [place for inner in runs.tasks(task.run_id, history=True) for place in one(inner)]
        folder = run_folder(task.root_id or task.run_id)
        return [
            TaskPlace(
                task.run_id,
                str(task.task_key),
                task.attempt,
                task.iteration,
                task.cluster_id,
                driver_run(task.run_id, task.attempt),
                task.started_ms,
                task.ended_ms,
                task.active,
                log_file(folder, str(task.task_key), task.attempt, task.iteration),
            )
        ]

    return places


def cluster_places(clusters: ClusterStore, kept: Path) -> Callable[[str], ClusterPlace]:
    """A cluster's folders: the present or last driver's, then those that are kept of the drivers before."""

    def place(cluster_id: str) -> ClusterPlace:
        cluster = clusters.get(cluster_id)
        own = [Path(cluster.folder)] if cluster.folder else []
        before = sorted((kept / cluster_id).glob("*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        folders = (*own, *(folder for folder in before if folder not in own))
        return ClusterPlace(cluster_id, cluster.state, str(cluster.spec.get("spark_version", "")), folders)

    return place


class LiveDrivers:
    """The drivers of clusters that live, without using them: looking at a cluster does not keep it from being idle."""

    def __init__(self, clusters: ClusterDirectory) -> None:
        self._found: dict[str, Any] = {}
        clusters.on_started(lambda cluster_id, driver: self._found.update({cluster_id: driver}))
        clusters.on_ended(self._ended)

    def __call__(self, cluster_id: str) -> Any:
        """The cluster's driver, or None."""
        return self._found.get(cluster_id)

    def _ended(self, cluster_id: str, driver: Any) -> None:
        if self._found.get(cluster_id) is driver:
            del self._found[cluster_id]
