"""Metrics, logs and Spark UIs over HTTP. All but the UIs are Headway's own: Databricks has no such API."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.responses import Response

from headway.workspace.errors import invalid
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.services.monitoring.keeping import KeptMetrics
from headway.workspace.services.monitoring.model import ClusterPlace, TaskPlace, added
from headway.workspace.services.monitoring.store import EventLogs, piece
from headway.workspace.services.monitoring.uis import SparkUis

LOGS = ("stdout", "stderr", "log4j", "python")


class MonitoringRoutes:
    """The routes. `tasks` gives the attempts of a run's tasks (or of one task run), and the ids of the runs around it,
    whose secrets are left out of what is shown; `cluster` raises ApiError where there is none."""

    def __init__(
        self,
        tasks: Callable[[int], Sequence[TaskPlace]],
        cluster: Callable[[str], ClusterPlace],
        uis: SparkUis,
        redactor: Callable[..., Callable[[str], str]],
        kept: KeptMetrics,
    ) -> None:
        self._tasks, self._cluster, self._uis, self._redactor, self._kept = tasks, cluster, uis, redactor, kept
        self._logs = EventLogs()

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("GET", "/headway/runs/metrics", self.metrics, ("2.1",)),
            Endpoint("GET", "/headway/runs/logs", self.run_logs, ("2.1",)),
            Endpoint("GET", "/headway/clusters/logs", self.cluster_logs, ("2.1",)),
            Endpoint("GET", "/sparkui/{cluster_id}", self.ui, root=True, browser=True, waits=True),
            Endpoint("GET", "/sparkui/{cluster_id}/{path:path}", self.ui, root=True, browser=True, waits=True),
        ]

    def metrics(self, call: Call) -> Data:
        """What a run has cost so far: each attempt of its tasks, and all together.

        `available` is false where nothing tells it any more; the figures are 0 where nothing was done on Spark.
        """
        run_id = number(call.data, "run_id")
        tasks = [self._of(place) for place in self._tasks(run_id)]
        return {
            "run_id": run_id,
            "available": all(task["available"] for task in tasks),
            "cluster_seconds": round(sum(task["cluster_seconds"] for task in tasks), 3),
            "metrics": added(task["metrics"] for task in tasks),
            "tasks": tasks,
        }

    def _of(self, place: TaskPlace) -> dict[str, Any]:
        found: Mapping[str, int] | None = None
        if place.cluster_id is not None:
            found = self._kept.of(place.driver_run)
            found = found or self._logs.metrics(self._cluster(place.cluster_id).folders, place.driver_run)
        ended = place.ended_ms if place.ended_ms is not None else place.started_ms
        data: dict[str, Any] = {
            "run_id": place.run_id,
            "task_key": place.task_key,
            "attempt_number": place.attempt,
            "available": found is not None or place.cluster_id is None,
            "cluster_seconds": ((ended or 0) - (place.started_ms or 0)) / 1000 if place.cluster_id else 0.0,
            "metrics": found or added(()),
        }
        if place.iteration is not None:
            data["iteration"] = place.iteration
        if place.cluster_id is not None:
            data |= {"cluster_id": place.cluster_id, "spark_ui": f"/sparkui/{place.cluster_id}/"}
        return data

    def run_logs(self, call: Call) -> Data:
        """What a task prints, from `offset` on (in bytes; negative: from the end), also while it runs.

        Ask again with `next_offset` for what follows, until `active` is false and nothing came.
        """
        places = self._tasks(number(call.data, "run_id"))
        if not places:
            raise invalid("The run has no tasks yet")
        if len({place.task_key for place in places}) != 1:
            raise invalid("The logs of runs with multiple tasks are told by task. Name a task's run_id.")
        place = places[-1]
        told, after, size = piece(place.log, number(call.data, "offset", 0), growing=place.active)
        redact = self._redactor(*{found.run_id for found in places}, number(call.data, "run_id"))
        return {"logs": redact(told), "next_offset": after, "size": size, "active": place.active}

    def cluster_logs(self, call: Call) -> Data:
        """What a cluster's driver (the last, where none lives) writes: `file` is stdout, stderr, log4j or python."""
        place = self._cluster(text(call.data, "cluster_id"))
        name = text(call.data, "file") if "file" in call.data else "stdout"
        if name not in LOGS:
            raise invalid(f"file must be one of {', '.join(LOGS)}, not {name[:50]}")
        folder = place.folders[0] if place.folders else Path()
        ends = place.state in ("TERMINATED", "TERMINATING")
        path = folder / "logs" / name
        told, after, size = (
            piece(path, number(call.data, "offset", 0), growing=not ends) if place.folders else ("", 0, 0)
        )
        return {"logs": told, "next_offset": after, "size": size, "active": not ends, "files": list(LOGS)}

    def ui(self, call: Call) -> Response:
        """A page of a cluster's Spark UI."""
        return self._uis.page(call)
