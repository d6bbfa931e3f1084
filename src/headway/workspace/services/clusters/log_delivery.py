"""`cluster_log_conf`: what drivers write is copied to the workspace's files, while they live and at their end.

    <destination>/<cluster id>/driver/stdout, stderr, log4j-active.log   of the present or last driver
    <destination>/<cluster id>/driver/stdout--2026-11-25--13-00-05 …       of the drivers before it
    <destination>/<cluster id>/eventlog/<application id>
    <destination>/<cluster id>/init_scripts/<driver>/00_<name>.stdout.log, 00_<name>.stderr.log …

Source: Databricks documentation, "Configure compute", Compute log delivery.
"""

import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headway.workspace.catalogue import log_destination
from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError
from headway.workspace.services.clusters.store import ClusterStore

logger = logging.getLogger(__name__)

SECONDS = 60.0
_NAMES = {"stdout": "stdout", "stderr": "stderr", "log4j": "log4j-active.log"}


class LogDelivery:
    """Delivers once a minute, in a thread of its own, and when a driver has ended. `place` gives the local folder of a
    destination; it may raise ApiError."""

    def __init__(self, store: ClusterStore, place: Callable[[str], Path], seconds: float = SECONDS) -> None:
        self._store, self._place, self._seconds = store, place, seconds
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="log-delivery", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; ends are still delivered."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def ended(self, cluster_id: str, driver: str, folder: Path) -> None:
        """A driver (by the name of its folder while it lived) has ended, and what it wrote lies in `folder`."""
        self._deliver(cluster_id, driver, folder)

    def deliver_all(self) -> None:
        """What the drivers that live have written so far."""
        for cluster in self._store.active():
            if cluster.folder and Path(cluster.folder).exists():
                self._deliver(cluster.cluster_id, Path(cluster.folder).name, Path(cluster.folder))

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                self.deliver_all()
            except Exception:
                logger.exception("delivering logs")

    def _deliver(self, cluster_id: str, driver: str, folder: Path) -> None:
        try:
            cluster = self._store.get(cluster_id)
            named = log_destination(cluster.spec)
        except ApiError:  # the cluster is gone
            return
        if named is None:
            return
        told: dict[str, Any] = {"last_attempted": now_ms()}
        try:
            with self._lock:
                self._copy(cluster_id, driver, folder, self._place(named.rstrip("/")) / cluster_id)
        except (OSError, ApiError) as error:
            told["last_exception"] = f"{getattr(error, 'message', error)}"[:500]
            logger.warning("the logs of cluster %s: %s", cluster_id, told["last_exception"])
        details = self._store.get(cluster_id).details
        self._store.change(cluster_id, details={**details, "cluster_log_status": told})

    def _copy(self, cluster_id: str, driver: str, folder: Path, target: Path) -> None:
        (target / "driver").mkdir(parents=True, exist_ok=True)
        (target / "eventlog").mkdir(exist_ok=True)
        if self._last.setdefault(cluster_id, driver) != driver:
            self._last[cluster_id] = driver
            for name in _NAMES.values():
                _put_aside(target / "driver" / name)
        for name, given in _NAMES.items():
            _refresh(folder / "logs" / name, target / "driver" / given)
        for log in (folder / "logs" / "init_scripts").glob("*"):
            (target / "init_scripts" / driver).mkdir(parents=True, exist_ok=True)
            _refresh(log, target / "init_scripts" / driver / log.name)
        for log in (folder / "eventlog").glob("*"):
            if not log.name.endswith(".inprogress"):
                (target / "eventlog" / f"{log.name}.inprogress").unlink(missing_ok=True)
            _refresh(log, target / "eventlog" / log.name)


def _refresh(source: Path, target: Path) -> None:
    """Copy a file that has grown; a reader sees the former or the new one, never half."""
    with contextlib.suppress(FileNotFoundError):
        if target.exists() and target.stat().st_size == source.stat().st_size:
            return
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(source, draft)
        draft.replace(target)


def _put_aside(path: Path) -> None:
    if path.exists():
        when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        path.replace(path.with_name(f"{path.name}--{when:%Y-%m-%d--%H-%M-%S}"))
