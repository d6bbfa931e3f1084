"""How a cluster gets its drivers and loses them: start, run, replace, end, take over. The supervisor stands on it.

Every state that is set is a legal move of `model.MOVES`, kept in the store together with the event that tells of it.
"""

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.clock import now_ms
from headway.workspace.directory import Listener, TaskDriver, spark_context_id
from headway.workspace.errors import ApiError
from headway.workspace.runtime.initscripts import outcome
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec
from headway.workspace.services.clusters import model
from headway.workspace.services.clusters.live import Live, Seat
from headway.workspace.services.clusters.model import Cluster, Termination
from headway.workspace.services.clusters.store import ClusterStore

logger = logging.getLogger(__name__)


class Drivers(Protocol):
    """Where drivers come from (the instance pools, over `runtime.fleet.DriverFleet`)."""

    def acquire(self, spec: DriverSpec, pool: str | None = None) -> Any:
        """A fresh driver. Raise DriverFailed."""

    def adopt(self, spec: DriverSpec, pool: str | None = None) -> Any:
        """The driver that lives in the spec's folder, started by an earlier process. Raise DriverFailed."""

    def discard(self, driver: Any) -> None:
        """End it."""


Plan = Callable[[Cluster, str], DriverSpec]


class Lifecycle:
    """Clusters that live. `kept` is where the logs of all-purpose clusters go when they end."""

    def __init__(
        self, store: ClusterStore, drivers: Drivers, plan: Plan, kept: Path, now: Callable[[], int] = now_ms
    ) -> None:
        self._store, self._drivers, self._plan, self._kept, self._now = store, drivers, plan, kept, now
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}
        self._on_started: list[Listener] = []
        self._on_ended: list[Listener] = []
        self._on_kept: list[Callable[[str, str, Path], None]] = []
        self._closing = False

    def adopt(self) -> set[Path]:
        """At the start of the workspace: take over what an earlier process left. Return the folders of live drivers.

        A RUNNING cluster keeps its driver where that still answers; else it ends with the reason. One of people that
        was being started is started again; one of a run ends, and its run asks for another.
        """
        adopted = set()
        for cluster in self._store.active():
            live = self._of(cluster.cluster_id)
            with live.changed:
                folder = self._adopt(live, cluster)
            if folder is not None:
                adopted.add(folder)
                self._listeners(self._on_started, live.cluster_id, live.seat.driver if live.seat else None)
        return adopted

    def _adopt(self, live: Live, cluster: Cluster) -> Path | None:
        message = "The workspace was restarted while the cluster was starting."
        if live.state in (model.RUNNING, model.RESIZING) and cluster.folder:
            folder = Path(cluster.folder)
            try:
                spec = self._plan(cluster, folder.name)
                live.seat = Seat(self._drivers.adopt(spec, model.pool_of(cluster.spec)))
            except (DriverFailed, ApiError) as failed:
                message = f"The driver ended while the workspace was down: {failed.message}"
            else:
                if live.state == model.RESIZING:
                    self._move(live, model.RUNNING, "UPSIZE_COMPLETED", {})
                return folder
        if live.state in (model.PENDING, model.RESTARTING) and not live.for_job:
            self._bring_up_soon(live)
            return None
        why = model.driver_lost("COMMUNICATION_LOST", message)
        live.failed = DriverFailed(why.code, message)
        if live.state != model.TERMINATING:
            values = {"termination": why.to_json(), "state_message": why.message}
            self._move(live, model.TERMINATING, "TERMINATING", {"reason": why.to_json()}, **values)
        kept = None
        if cluster.folder and Path(cluster.folder).exists():
            kept = str(self._kept_of(live, Path(cluster.folder)))
        self._move(live, model.TERMINATED, None, {}, ended_ms=self._now(), **({"folder": kept} if kept else {}))
        return None

    def _of(self, cluster_id: str) -> Live:
        with self._lock:
            live = self._live.get(cluster_id)
            if live is None:
                cluster = self._store.get(cluster_id)
                keep = Path(cluster.keep) if cluster.keep else self._kept / cluster_id
                idle = 0 if cluster.for_job else int(cluster.spec.get("autotermination_minutes") or 0)
                live = Live(cluster_id, cluster.state, cluster.for_job, keep, idle, self._now())
                if cluster.state == model.TERMINATED:
                    live.failed = DriverFailed(str((cluster.termination or {}).get("code")), cluster.state_message)
                self._live[cluster_id] = live
            return live

    def _start(self, live: Live, user: str) -> None:
        now = self._now()
        cluster = self._store.get(live.cluster_id)
        live.failed = None
        values = {"started_ms": now, "ended_ms": None, "termination": None, "state_message": "Starting Spark"}
        details = self._about(cluster.spec, user)
        self._move(live, model.PENDING, "STARTING", details, restarted_ms=now, **values)
        live.idle_minutes = int(cluster.spec.get("autotermination_minutes") or 0)
        self._bring_up_soon(live)

    def _bring_up_soon(self, live: Live, former: list[Seat] | None = None) -> None:
        threading.Thread(target=self._bring_up, args=(live, former or []), name=f"start-{live.cluster_id}").start()

    def _bring_up(self, live: Live, former: list[Seat]) -> None:
        try:
            self._bring_up_after(live, former)
        except Exception as error:
            logger.exception("cluster %s", live.cluster_id)
            with live.changed:
                live.failed = DriverFailed("INTERNAL_ERROR", f"internal error: {type(error).__name__}: {error}")
                self._end(live, model.driver_lost(live.failed.reason, live.failed.message), started=True)

    def _bring_up_after(self, live: Live, former: list[Seat]) -> None:
        for seat in former:
            self._dismiss(live, seat)
        try:
            driver = self._fresh(live)
        except DriverFailed as failed:
            with live.changed:
                live.failed = failed
                self._end(live, live.ending or model.driver_lost(failed.reason, failed.message), started=True)
            return
        self._listeners(self._on_started, live.cluster_id, driver)
        with live.changed:
            if live.ending is not None or self._closing:
                live.seat = Seat(driver)
                self._end(live, live.ending or model.WORKSPACE_STOPPED, started=True)
                return
            live.seat = Seat(driver)
            live.used_ms = self._now()
            self._running(live, driver, "RUNNING")

    def _fresh(self, live: Live) -> Any:
        """A new driver for a cluster. Raise DriverFailed."""
        try:
            cluster = self._store.get(live.cluster_id)
            with live.changed:
                live.starts += 1
                name = f"{live.cluster_id}-{self._now()}-{live.starts}"
            spec = self._plan(cluster, name)
            return self._acquire(live, spec, model.pool_of(cluster.spec))
        except ApiError as error:
            raise DriverFailed("INVALID_ARGUMENT", error.message) from error
        except DriverFailed:
            raise
        except Exception as error:
            logger.exception("cluster %s", live.cluster_id)
            message = f"internal error: {type(error).__name__}: {error}"
            raise DriverFailed("INTERNAL_ERROR", message) from error

    def _acquire(self, live: Live, spec: DriverSpec, pool: str | None) -> Any:
        """The driver of a spec; what its init scripts came to is told. Raise DriverFailed."""
        scripts = spec.init_scripts
        if not scripts:
            return self._drivers.acquire(spec, pool)
        self._tell(live, "INIT_SCRIPTS_STARTED", {"init_scripts": {"reported_for_node": "driver"}})
        try:
            driver = self._drivers.acquire(spec, pool)
        except DriverFailed as failed:
            if "INIT_SCRIPT" in failed.reason:
                self._tell(live, "INIT_SCRIPTS_FINISHED", {"init_scripts": outcome(scripts, failed=True)})
            raise
        self._tell(live, "INIT_SCRIPTS_FINISHED", {"init_scripts": outcome(scripts, failed=False)})
        return driver

    def _running(self, live: Live, driver: TaskDriver, event: str, **more: Any) -> None:
        details = {
            "spark_application_id": driver.application_id,
            "spark_context_id": spark_context_id(driver.application_id),
            "spark": driver.spark_version,
        }
        values = {"details": details, "folder": str(driver.folder), "active_ms": self._now(), "state_message": ""}
        if live.state == model.RUNNING:  # another driver took its place
            self._tell(live, event, more, **values)
        else:
            workers = self._store.get(live.cluster_id).spec.get("num_workers", 0)
            self._move(live, model.RUNNING, event, {"current_num_workers": workers, **more}, **values)

    def _end(self, live: Live, why: Termination, *, started: bool = False) -> None:
        """Begin the end; while the cluster starts, its starting thread does it. With `changed` held."""
        if live.state in (model.TERMINATING, model.TERMINATED):
            return
        if live.state in (model.PENDING, model.RESTARTING) and not started:
            live.ending = live.ending or why
            return
        live.ending = None
        if live.failed is None or live.state == model.RUNNING:
            live.failed = DriverFailed(why.code, f"Cluster {live.cluster_id} ended: {why.message}")
        values = {"termination": why.to_json(), "state_message": why.message}
        self._move(live, model.TERMINATING, "TERMINATING", {"reason": why.to_json()}, **values)
        threading.Thread(target=self._ended, args=(live, live.seats()), name=f"end-{live.cluster_id}").start()

    def _ended(self, live: Live, seats: list[Seat]) -> None:
        folder = None
        for seat in seats:
            folder = self._dismiss(live, seat)
        with live.changed:
            values = {"ended_ms": self._now(), "active_ms": live.used_ms}
            if folder is not None:
                values |= {"folder": str(folder)}  # type: ignore[dict-item]
            self._move(live, model.TERMINATED, None, {}, **values)
        if live.for_job:
            with self._lock:
                self._live.pop(live.cluster_id, None)

    def _lost(self, live: Live, seat: Seat, failed: DriverFailed | None = None) -> None:
        """The driver is dead: say why, and end the cluster. With `changed` held."""
        if failed is None:
            why = getattr(seat.driver, "why_dead", None)
            failed = why() if why else DriverFailed("DRIVER_UNREACHABLE", "the driver has ended")
        self._tell(live, "DRIVER_NOT_RESPONDING", {"driver_state_message": failed.message})
        self._end(live, model.driver_lost(failed.reason, failed.message))
        live.failed = failed

    def _replace_soon(self, live: Live, seat: Seat) -> None:
        """A run left a thread behind that cannot be ended: start another driver, then let this one go with its last
        user. The cluster stays RUNNING. With `changed` held."""
        seat.leaving = True
        message = "a run left a thread behind that does not end; the driver is replaced"
        self._tell(live, "DRIVER_UNAVAILABLE", {"driver_state_message": message})
        threading.Thread(target=self._replace, args=(live, seat), name=f"replace-{live.cluster_id}").start()

    def _replace(self, live: Live, old: Seat) -> None:
        try:
            driver = self._fresh(live)
        except DriverFailed as failed:
            logger.warning("cluster %s keeps its driver: %s", live.cluster_id, failed.message)
            with live.changed:
                old.leaving = False
            return
        self._listeners(self._on_started, live.cluster_id, driver)
        with live.changed:
            useless: Seat | None = None
            if live.seat is not old or live.state != model.RUNNING:
                useless = Seat(driver)
            else:
                live.seat = Seat(driver)
                useless = old if not old.users else None
                if useless is None:
                    live.retired.append(old)
                self._running(live, driver, "DRIVER_HEALTHY")
        if useless is not None:
            self._dismiss(live, useless)

    def _dismiss(self, live: Live, seat: Seat) -> Path:
        """End a driver and keep what it wrote; return the folder that has it."""
        self._listeners(self._on_ended, live.cluster_id, seat.driver)
        try:
            self._drivers.discard(seat.driver)
        except Exception:
            logger.exception("the driver of cluster %s", live.cluster_id)
        return self._kept_of(live, seat.driver.folder)

    def _kept_of(self, live: Live, folder: Path) -> Path:
        """Keep what a driver that has ended wrote, and tell of it; return the folder that has it."""
        kept = _keep(live, folder)
        for listener in self._on_kept:
            try:
                listener(live.cluster_id, folder.name, kept)
            except Exception:
                logger.exception("cluster %s", live.cluster_id)
        return kept

    def _move(self, live: Live, to: str, event: str | None, told: Mapping[str, Any], /, **values: Any) -> None:
        """Go to a state, with the event that tells of it. With `changed` held. Raise ApiError INVALID_STATE."""
        model.moved(live.cluster_id, live.state, to)
        if event is None:
            self._store.change(live.cluster_id, state=to, **values)
        else:
            self._store.happened(live.cluster_id, self._now(), event, told, state=to, **values)
        live.state = to
        live.changed.notify_all()

    def _tell(self, live: Live, event: str, told: Mapping[str, Any], /, **values: Any) -> None:
        self._store.happened(live.cluster_id, self._now(), event, told, **values)

    def _about(self, spec: Mapping[str, Any], user: str) -> dict[str, Any]:
        return {"user": user, "attributes": dict(spec), "cluster_size": model.size(spec)}

    def _listeners(self, listeners: list[Listener], cluster_id: str, driver: Any) -> None:
        for listener in listeners:
            try:
                listener(cluster_id, driver)
            except Exception:
                logger.exception("cluster %s", cluster_id)


def _keep(live: Live, folder: Path) -> Path:
    """Move what a driver wrote to where it is kept, and remove the rest; return where it is kept."""
    target, count = live.keep if live.for_job else live.keep / folder.name, 0
    while (target / "logs").exists():  # another attempt's
        count += 1
        target = target.with_name(f"{live.keep.name}-{count}")
    target.mkdir(parents=True, exist_ok=True)
    for name in ("logs", "eventlog"):
        with contextlib.suppress(FileNotFoundError):
            shutil.move(folder / name, target / name)
    shutil.rmtree(folder, ignore_errors=True)
    return target
