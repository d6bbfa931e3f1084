"""The `ClusterDirectory` that other services use, and what the API asks of clusters that live."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headway.workspace.directory import Listener, TaskDriver
from headway.workspace.errors import invalid
from headway.workspace.node_types import worker_bounds
from headway.workspace.runtime.tasks import DriverFailed
from headway.workspace.services.clusters import model
from headway.workspace.services.clusters.lifecycle import Lifecycle
from headway.workspace.services.clusters.live import Live, Seat
from headway.workspace.services.clusters.model import Termination

logger = logging.getLogger(__name__)


class ClusterSupervisor(Lifecycle):
    """Gives out the drivers of clusters, and starts, restarts, edits, resizes and ends clusters for the API."""

    # what other services ask

    def on_started(self, listener: Listener) -> None:
        """See ClusterDirectory."""
        self._on_started.append(listener)

    def on_ended(self, listener: Listener) -> None:
        """See ClusterDirectory."""
        self._on_ended.append(listener)

    def on_kept(self, listener: Callable[[str, str, Path], None]) -> None:
        """Call `listener(cluster_id, driver's name, folder)` when a driver has ended and what it wrote lies in
        `folder`."""
        self._on_kept.append(listener)

    def state(self, cluster_id: str) -> str:
        """See ClusterDirectory."""
        return self._store.get(cluster_id).state

    def spec(self, cluster_id: str) -> Mapping[str, Any]:
        """See ClusterDirectory."""
        return self._store.get(cluster_id).spec

    def touch(self, cluster_id: str) -> None:
        """See ClusterDirectory."""
        live = self._of(cluster_id)
        with live.changed:
            live.used_ms = self._now()

    @contextlib.contextmanager
    def driver(self, cluster_id: str, *, start: bool = True) -> Iterator[TaskDriver]:
        """See ClusterDirectory."""
        live = self._of(cluster_id)
        seat = self._take(live, start)
        try:
            yield seat.driver
        except DriverFailed as failed:
            raise self._explained(live, seat, failed) from failed
        finally:
            self._give_back(live, seat)

    # what the API and the jobs engine ask

    def create(self, cluster: Mapping[str, Any]) -> None:
        """Keep a new cluster and start it. `cluster` has the columns `cluster_id`, `name`, `creator`, `spec`, `source`,
        and of a job cluster `run_id`, `run_key`, `keep`. Returns at once."""
        now = self._now()
        columns = {"state": model.PENDING, "state_message": "Starting Spark", "created_ms": now, "started_ms": now}
        self._store.add({**cluster, **columns})
        live = self._of(cluster["cluster_id"])
        with live.changed:
            spec = cluster["spec"]
            self._tell(live, "CREATING", self._about(spec, cluster["creator"]))
            self._bring_up_soon(live)

    def start(self, cluster_id: str, user: str) -> None:
        """Start one that is TERMINATED. Raise ApiError INVALID_STATE for another. Returns at once."""
        live = self._of(cluster_id)
        with live.changed:
            if live.for_job:
                raise invalid(f"Cluster {cluster_id} is the cluster of a run: it ended with it and cannot be started")
            self._start(live, user)

    def restart(self, cluster_id: str, user: str, message: str = "Restarting Spark") -> None:
        """Give a RUNNING one a new driver; nothing happens to one that is TERMINATED. What runs on it ends.

        Raise ApiError INVALID_STATE while it starts or ends. Returns at once.
        """
        live = self._of(cluster_id)
        with live.changed:
            if live.state == model.TERMINATED:
                return
            self._move(live, model.RESTARTING, "RESTARTING", {"user": user}, state_message=message)
            live.failed = DriverFailed("CLUSTER_RESTARTED", f"Cluster {cluster_id} was restarted by {user}")
            seats = live.seats()
            self._bring_up_soon(live, seats)

    def terminate(self, cluster_id: str, why: Termination, *, wait: bool = False) -> None:
        """End one, with what runs on it; nothing happens to one that has ended or is ending. Returns at once unless
        `wait`."""
        live = self._of(cluster_id)
        with live.changed:
            self._end(live, why)
            if wait:
                live.changed.wait_for(live.has_ended)

    def edit(self, cluster_id: str, spec: Mapping[str, Any], user: str) -> None:
        """Another spec: a RUNNING cluster is restarted with it, a TERMINATED one starts with it next time.

        Raise ApiError INVALID_STATE in other states.
        """
        live = self._of(cluster_id)
        with live.changed:
            if live.state not in (model.RUNNING, model.TERMINATED) or live.for_job:
                raise model.unexpected(cluster_id, live.state)
            before = self._store.get(cluster_id).spec
            details = {"user": user, "previous_attributes": dict(before), "attributes": dict(spec)}
            details |= {"previous_cluster_size": model.size(before), "cluster_size": model.size(spec)}
            self._tell(live, "EDITED", details, spec=dict(spec), name=spec.get("cluster_name") or cluster_id)
            live.idle_minutes = int(spec.get("autotermination_minutes") or 0)
        if dict(spec) != dict(before):
            self.restart(cluster_id, user, "Restarting Spark with the edited settings")

    def resize(self, cluster_id: str, size: Mapping[str, Any], user: str) -> None:
        """Another number of workers for a RUNNING cluster. Raise ApiError INVALID_STATE in other states.

        Spark is asked for that many executors; a master that runs everything in the driver has none to change.
        """
        live = self._of(cluster_id)
        with live.changed:
            before = self._store.get(cluster_id)
            spec = {key: value for key, value in before.spec.items() if key not in ("num_workers", "autoscale")}
            spec |= size
            details = {"user": user, "previous_cluster_size": model.size(before.spec), "cluster_size": model.size(spec)}
            self._move(live, model.RESIZING, "RESIZING", details, spec=spec, state_message="Resizing")
            seat = live.seat
        bounds = worker_bounds(size)
        threading.Thread(target=self._resize, args=(live, seat, bounds), name=f"resize-{cluster_id}").start()

    def finish(self, cluster_id: str) -> None:
        """End the cluster of a run that does not need it any more. Returns at once."""
        self.terminate(cluster_id, model.JOB_FINISHED)

    def of_run(self, run_id: int) -> Mapping[str, str]:
        """The clusters that a run made for itself and that still live: key → id."""
        found = self._store.of_run(run_id)
        return {str(one.run_key): one.cluster_id for one in found if one.state not in model.ENDED}

    def abandoned(self, active: Callable[[int], bool]) -> list[str]:
        """End the clusters of runs that are not `active` any more; return their ids."""
        found = [one for one in self._store.active() if one.run_id is not None and not active(one.run_id)]
        for one in found:
            self.finish(one.cluster_id)
        return [one.cluster_id for one in found]

    def tell(self, cluster_id: str, event: str, told: Mapping[str, Any], /, **values: Any) -> None:
        """Keep an event, and set columns."""
        live = self._of(cluster_id)
        with live.changed:
            self._tell(live, event, told, **values)

    def remove(self, cluster_id: str, why: Termination) -> None:
        """End one and forget it for good."""
        self.terminate(cluster_id, why, wait=True)
        self._store.remove(cluster_id)
        with self._lock:
            self._live.pop(cluster_id, None)

    def look(self) -> None:
        """Once: end clusters whose driver has died, restart tainted ones that are idle, end those idle for too long."""
        with self._lock:
            found = list(self._live.values())
        for live in found:
            with live.changed:
                if not live.usable or live.seat is None:
                    continue
                if not live.seat.driver.alive:
                    self._lost(live, live.seat)
                elif not live.users and live.state == model.RUNNING and live.idle_for(self._now()):
                    self._end(live, model.idle(live.idle_minutes))

    def close(self, seconds: float = 30) -> None:
        """End every cluster, because the workspace stops."""
        self._closing = True
        with self._lock:
            found = list(self._live.values())
        for live in found:
            with live.changed:
                self._end(live, model.WORKSPACE_STOPPED)
        for live in found:
            with live.changed:
                live.changed.wait_for(live.has_ended, timeout=seconds)

    def _take(self, live: Live, start: bool) -> Seat:
        with live.changed:
            asked = False
            while not live.usable:
                if live.state == model.TERMINATED:
                    if asked or live.for_job:
                        raise live.failed or DriverFailed("CLUSTER_TERMINATED", "the cluster has been ended")
                    if not start:
                        raise model.unexpected(live.cluster_id, live.state)
                    self._start(live, "a run that needs it")
                    asked = True
                live.changed.wait()
                asked = asked or live.state in (model.PENDING, model.RESTARTING)
            assert live.seat is not None  # noqa: S101  (that is what usable means)
            live.seat.users += 1
            live.used_ms = self._now()
            return live.seat

    def _give_back(self, live: Live, seat: Seat) -> None:
        end = None
        with live.changed:
            seat.users -= 1
            live.used_ms = self._now()
            if seat.leaving and not seat.users and seat in live.retired:
                live.retired.remove(seat)
                end = seat
            elif seat is live.seat and seat.driver.tainted and not seat.leaving and not live.for_job:
                self._replace_soon(live, seat)
        if end is not None:
            self._dismiss(live, end)

    def _explained(self, live: Live, seat: Seat, failed: DriverFailed) -> DriverFailed:
        """Why a driver was lost to the one that used it: the cluster's end or restart, where it was asked for."""
        with live.changed:
            if seat is live.seat and not seat.driver.alive:
                self._lost(live, seat, failed)
                return failed
            return live.failed if seat is not live.seat and live.failed is not None else failed

    def _resize(self, live: Live, seat: Seat | None, bounds: tuple[int, int]) -> None:
        least, most = bounds
        told = "a cluster whose Spark runs in its driver has no executors to add or remove"
        try:
            if seat is not None and getattr(seat.driver, "resize", lambda *_: False)(least, most):
                told = f"Spark was asked for {least} executors" + (f", and up to {most}" if most > least else "")
        except DriverFailed as failed:
            told = failed.message
        with live.changed:
            if live.state == model.RESIZING:
                details = {"current_num_workers": least, "target_num_workers": least, "driver_state_message": told}
                self._move(live, model.RUNNING, "UPSIZE_COMPLETED", details, state_message="")


class Watcher:
    """Looks after the clusters once a second, in a thread of its own, until it is closed."""

    def __init__(self, supervisor: ClusterSupervisor, seconds: float = 1.0) -> None:
        self._supervisor, self._seconds = supervisor, seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="clusters", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                self._supervisor.look()
            except Exception:
                logger.exception("looking after the clusters")
