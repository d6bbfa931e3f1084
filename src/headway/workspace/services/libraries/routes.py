"""Libraries 1.2 over HTTP: the seed's API."""

import hashlib
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.workspace.errors import invalid, malformed
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.paths import normalised
from headway.workspace.services.libraries.download import pull
from headway.workspace.services.libraries.installing import ClusterLibraries
from headway.workspace.services.libraries.model import Library, type_of
from headway.workspace.services.libraries.store import LibraryStore, name_conflict

FOLDER = "/FileStore/jars"


class LibraryRoutes:
    """The routes. `place` puts a local file at a DBFS path; `remove` takes one away. `clusters` has the libraries of
    clusters."""

    def __init__(
        self,
        store: LibraryStore,
        drafts: Path,
        allowed: Sequence[str],
        place: Callable[[Path, str], None],
        remove: Callable[[str], None],
        clusters: ClusterLibraries,
    ) -> None:
        self._store, self._drafts, self._allowed = store, drafts, allowed
        self._place, self._remove, self._clusters = place, remove, clusters

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        served: list[tuple[str, str, Callable[[Call], Any]]] = [
            ("POST", "/libraries/create", self.create),
            ("POST", "/libraries/upload", self.upload),
            ("GET", "/libraries/list", self.list),
            ("GET", "/libraries/status", self.status),
            ("POST", "/libraries/attach", self.attach),
            ("POST", "/libraries/delete", self.delete),
        ]
        return [Endpoint(method, path, handler, ("1.2",)) for method, path, handler in served]

    def create(self, call: Call) -> Data:
        """Pull a library by URL: `{"path", "jar_specification": {"uri"}}`."""
        path = normalised(text(call.data, "path"))
        specification = call.data.get("jar_specification") or call.data.get("wheel_specification")
        if not isinstance(specification, dict):
            raise malformed("Could not parse request object: Expected object for field jar_specification")
        uri = text(specification, "uri")
        self._check_free(path)
        draft = self._drafts / uuid.uuid4().hex
        try:
            return self._keep(path, draft, pull(uri, draft, self._allowed))
        finally:
            draft.unlink(missing_ok=True)

    def upload(self, call: Call) -> Data:
        """The same with the file in a form: `name`, `libType`, `folder`, `uri` (the file)."""
        path = normalised(text(call.data, "folder", "/") + "/" + text(call.data, "name"))
        content = call.data.get("uri")
        if not isinstance(content, bytes):
            raise malformed("Could not parse request object: Expected a file for field uri")
        self._check_free(path)
        draft = self._drafts / uuid.uuid4().hex
        try:
            draft.write_bytes(content)
            return self._keep(path, draft, hashlib.sha256(content).hexdigest())
        finally:
            draft.unlink(missing_ok=True)

    def _check_free(self, path: str) -> None:
        if type_of(path) is None:
            raise invalid(f"{path} must end in .jar, .whl or .egg")
        if self._store.at(path) is not None:
            raise name_conflict(path.rpartition("/")[2])

    def _keep(self, path: str, draft: Path, sha256: str) -> Data:
        if not zipfile.is_zipfile(draft):
            raise invalid(f"what was sent for {path} is not a {path.rpartition('.')[2]}: it is not a zip archive")
        name = path.rpartition("/")[2]
        file = f"{FOLDER}/{uuid.uuid4()}-{name}"
        self._place(draft, file)
        try:
            library = self._store.add(path, type_of(path) or "", f"dbfs:{file}", sha256)
        except BaseException:
            self._remove(file)
            raise
        return {"id": str(library.library_id)}

    def list(self, call: Call) -> list[Any]:
        """All of them."""
        return [library.to_json() for library in self._store.list()]

    def status(self, call: Call) -> Data:
        """One, with its files and where it is attached."""
        library = self._get(call)
        return {
            **library.to_json(),
            "libType": library.lib_type,
            "files": [library.file.rpartition("/")[2]],
            "sha256": library.sha256,
            "attachAllClusters": False,
            "statuses": self._clusters.where(_entry(library)),
        }

    def _get(self, call: Call) -> Library:
        return self._store.get(number(call.data, "libraryId"))

    def attach(self, call: Call) -> Data:
        """Install it on a cluster."""
        library = self._get(call)
        self._clusters.install(text(call.data, "clusterId"), [_entry(library)])
        return {"id": str(library.library_id)}

    def delete(self, call: Call) -> Data:
        """Remove it and its file."""
        library = self._get(call)
        self._store.remove(library.library_id)
        self._remove(library.file)
        return {"id": str(library.library_id)}


def _entry(library: Library) -> Mapping[str, Any]:
    """The same as a library of API 2.0."""
    return {library.file.rpartition(".")[2].lower(): library.file}
