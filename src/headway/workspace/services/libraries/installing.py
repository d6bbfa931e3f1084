"""Libraries onto the drivers of clusters: when they are asked for, and again for each driver that a cluster gets."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.workspace.directory import ClusterDirectory
from headway.workspace.engine.bodies import CannotRun
from headway.workspace.engine.libraries import library as found_library
from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import DriverFailed, Library
from headway.workspace.services.libraries import attached
from headway.workspace.services.libraries.attached import Attached
from headway.workspace.services.libraries.cluster_store import ClusterLibraryStore

logger = logging.getLogger(__name__)


class ClusterLibraries:
    """Installs. `local` is the local file of a path of the workspace; `env` the variables of a cluster, which have the
    keys for `s3://`; `scala` the Scala of a cluster. Each may raise ApiError.

    A cluster that starts is RUNNING once its libraries are there or have failed; on one that runs they are installed
    in the background. What runs already does not see them, what begins afterwards does.
    """

    def __init__(
        self,
        store: ClusterLibraryStore,
        clusters: ClusterDirectory,
        local: Callable[[str], Path],
        env: Callable[[str], Mapping[str, str]],
        scala: Callable[[str], str],
    ) -> None:
        self._store, self._clusters, self._local, self._env, self._scala = store, clusters, local, env, scala
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def install(self, cluster_id: str, libraries: Sequence[Mapping[str, Any]]) -> None:
        """Add libraries to a cluster. Raise ApiError where there is no such cluster. Returns at once."""
        ended = self._clusters.state(cluster_id) == "TERMINATED"
        self._store.add(cluster_id, libraries)
        if not ended:
            name = f"libraries-{cluster_id}"
            threading.Thread(target=self._install_on, args=(cluster_id,), name=name, daemon=True).start()

    def uninstall(self, cluster_id: str, libraries: Sequence[Mapping[str, Any]]) -> None:
        """Take libraries away; from a cluster that runs, when it is restarted. Raise ApiError."""
        self._store.mark(cluster_id, libraries, runs=self._clusters.state(cluster_id) != "TERMINATED")

    def statuses(self, cluster_id: str) -> list[dict[str, Any]]:
        """As `cluster-status` answers them. Raise ApiError."""
        runs = self._clusters.state(cluster_id) != "TERMINATED"
        return [entry.to_json(runs=runs) for entry in attached.in_order(self._store.of(cluster_id))]

    def all_statuses(self) -> dict[str, list[dict[str, Any]]]:
        """The same by cluster, of those that have any."""
        found = {}
        for cluster_id in dict.fromkeys(entry.cluster_id for entry in self._store.all()):
            try:
                found[cluster_id] = self.statuses(cluster_id)
            except ApiError:  # deleted for good
                self._store.forget(cluster_id)
        return found

    def where(self, library: Mapping[str, Any]) -> list[dict[str, str]]:
        """The clusters that have a library or are to get it, as the 1.2 API tells of them."""
        key = attached.key_of(library)
        return [
            {"clusterId": entry.cluster_id, "status": entry.status.capitalize()}
            for entry in self._store.all()
            if attached.key_of(entry.library) == key
        ]

    def driver_started(self, cluster_id: str, driver: Any) -> None:
        """A cluster has another driver, or one was taken over from an earlier process (see ClusterDirectory)."""
        folder = driver.folder / "libraries"
        if not folder.exists():
            self._store.begin_anew(cluster_id)
        else:
            there = [entry for entry in self._store.of(cluster_id) if entry.status in attached.PRESENT]
            self._put(there, cluster_id, driver)
        self._install(cluster_id, driver)

    def _install_on(self, cluster_id: str) -> None:
        try:
            with self._clusters.driver(cluster_id, start=False) as driver:
                self._install(cluster_id, driver)
        except (ApiError, DriverFailed) as ended:  # they are installed when it starts again
            logger.info("libraries of cluster %s: %s", cluster_id, ended)

    def _install(self, cluster_id: str, driver: Any) -> None:
        with self._locks[cluster_id]:
            asked = [entry for entry in self._store.of(cluster_id) if entry.status in attached.UNFINISHED]
            try:
                self._put(asked, cluster_id, driver)
            except Exception as failed:
                logger.exception("libraries of cluster %s", cluster_id)
                self._store.set(asked, attached.FAILED, f"internal error: {type(failed).__name__}: {failed}")

    def _put(self, entries: Sequence[Attached], cluster_id: str, driver: Any) -> None:
        if not entries:
            return
        (driver.folder / "libraries").mkdir(exist_ok=True)
        found: list[tuple[Attached, Library]] = []
        self._tell(entries, attached.RESOLVING)
        for entry in entries:
            try:
                why = attached.skipped(entry.library, self._scala(cluster_id))
                if why is not None:
                    self._store.set([entry], attached.SKIPPED, why)
                    continue
                env = self._env(cluster_id)
                library = found_library(entry.library, self._local, driver.folder / "libraries", env)
                found.append((entry, library))
            except (ApiError, CannotRun, OSError) as failed:
                self._store.set([entry], attached.FAILED, str(failed))
        if not found:
            return
        resolved = [entry for entry, _ in found]
        self._tell(resolved, attached.INSTALLING)
        try:
            driver.install([library for _, library in found])
        except ValueError:  # which of them is it?
            for entry, library in found:
                try:
                    driver.install([library])
                except ValueError as failed:
                    self._store.set([entry], attached.FAILED, f"Library installation failed: {failed}")
                else:
                    self._store.set([entry], attached.INSTALLED)
        else:
            self._store.set(resolved, attached.INSTALLED)

    def _tell(self, entries: Sequence[Attached], status: str) -> None:
        """What a driver has already, that was taken over, is not told to be on its way."""
        self._store.set([entry for entry in entries if entry.status not in attached.PRESENT], status)
