"""The init scripts of a cluster: those of the workspace, then its own."""

from collections.abc import Callable
from pathlib import Path

from headway.workspace.catalogue import script_sources
from headway.workspace.errors import invalid, missing
from headway.workspace.runtime.tasks import InitScript
from headway.workspace.services.clusters.model import SQL, Cluster
from headway.workspace.services.global_init_scripts.store import GlobalScriptStore

MOST_BYTES = 1024 * 1024
Place = Callable[[str, str], Path]
"""A path of the workspace and a user → the local file. Raises ApiError where there is none that the user may read."""


class InitScripts:
    """Reads them when a driver is about to start, so that it gets them as they are then."""

    def __init__(self, everywhere: GlobalScriptStore, place: Place) -> None:
        self._everywhere, self._place = everywhere, place

    def __call__(self, cluster: Cluster) -> tuple[InitScript, ...]:
        """As they run; none for a warehouse, whose cluster is nobody's to set up. Raise ApiError."""
        if cluster.source == SQL:
            return ()
        common = [InitScript(one.name, one.script, everywhere=True) for one in self._everywhere.all() if one.enabled]
        own = [
            InitScript(path, self._read(path, cluster.creator), source=source)
            for path, source in script_sources(cluster.spec)
        ]
        return (*common, *own)

    def _read(self, path: str, user: str) -> bytes:
        local = self._place(path, user)
        if not local.is_file():
            raise missing(f"Init script {path} does not exist.")
        if local.stat().st_size > MOST_BYTES:
            raise invalid(f"Init script {path} has more than {MOST_BYTES} bytes")
        return local.read_bytes()
