"""The workspace API 2.0 over HTTP, and the files that bundles keep in the workspace."""

import base64
import binascii
import io
from collections.abc import Callable, Sequence
from typing import BinaryIO

from starlette.responses import FileResponse, Response

from headway.workspace.errors import ApiError, invalid, malformed, not_implemented
from headway.workspace.http import Call, Data, Endpoint, flag, text
from headway.workspace.parsing import number
from headway.workspace.services.files import notebooks
from headway.workspace.services.files.model import ENDINGS, LANGUAGES, WorkspaceObject, ending_of, is_notebook_source
from headway.workspace.services.files.store import FilesStore

MOST_BYTES = 500 * 1024 * 1024
MOST_NOTEBOOK_BYTES = 10 * 1024 * 1024
_NOT_SERVED = {"DBC": "archives (DBC)", "R_MARKDOWN": "R Markdown"}


class FilesRoutes:
    """The routes, over one store. `notebooks_leave` tells whether notebooks may be exported."""

    def __init__(self, store: FilesStore, notebooks_leave: Callable[[], bool] = lambda: True) -> None:
        self._store, self._notebooks_leave = store, notebooks_leave

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/workspace/import", self.import_, upload=MOST_BYTES),
            Endpoint("POST", "/workspace/mkdirs", self.mkdirs),
            Endpoint("POST", "/workspace/delete", self.delete),
            Endpoint("GET", "/workspace/export", self.export),
            Endpoint("GET", "/workspace/list", self.list),
            Endpoint("GET", "/workspace/get-status", self.get_status),
            Endpoint("POST", "/workspace-files/import-file/{path:path}", self.import_file, upload=MOST_BYTES, raw=True),
            Endpoint("GET", "/workspace-files/{path:path}", self.download),
            Endpoint("POST", "/telemetry-ext", self.telemetry, root=True),
            Endpoint("POST", "/telemetry-ext", self.telemetry),
        ]

    def import_(self, call: Call) -> Data:
        """Keep a notebook (SOURCE, JUPYTER, AUTO) or a file (RAW, AUTO)."""
        path, kind = text(call.data, "path"), text(call.data, "format", "SOURCE").upper()
        content = call.files.get("content") or io.BytesIO(_content(call))
        overwrite, ending = flag(call.data, "overwrite"), ending_of(path)
        if kind in _NOT_SERVED:
            raise not_implemented(
                f"importing {_NOT_SERVED[kind]} is not served by this workspace; use SOURCE or JUPYTER"
            )
        if kind == "HTML":
            raise not_implemented("importing HTML is not served by this workspace; use SOURCE or JUPYTER")
        if kind == "SOURCE":
            language = text(call.data, "language", LANGUAGES.get(ending.lower(), "")).upper()
            if language not in ENDINGS:
                raise invalid(f"language must be one of {', '.join(ENDINGS)} for a notebook in SOURCE format")
            found = self._store.write(
                path, _bounded(content), "NOTEBOOK", language, overwrite=overwrite, creator=call.user
            )
        elif kind == "JUPYTER":
            language, source = notebooks.from_jupyter(_bounded(content).read())
            found = self._store.write(
                path, io.BytesIO(source), "NOTEBOOK", language, overwrite=overwrite, creator=call.user
            )
        elif kind in ("AUTO", "RAW"):
            found = self._keep(path, content, overwrite, call.user, plain=kind == "RAW")
        else:
            raise invalid(f"format {kind[:50]} is not one of SOURCE, JUPYTER, AUTO, RAW")
        return {"object_id": found.object_id}

    def _keep(self, path: str, content: BinaryIO, overwrite: bool, user: str, *, plain: bool) -> WorkspaceObject:
        """A file; or, unless it is to be `plain`, a notebook where ending and content say so: it loses the ending."""
        ending, language, kind = ending_of(path), None, "FILE"
        if not plain and path.lower().endswith(".ipynb"):
            language, source = notebooks.from_jupyter(_bounded(content).read())
            path, content, kind = path[: -len(".ipynb")], io.BytesIO(source), "NOTEBOOK"
        elif not plain and ending:
            start = content.read(100)
            content.seek(0)
            if is_notebook_source(start):
                path, language, kind = path[: -len(ending)], LANGUAGES[ending.lower()], "NOTEBOOK"
        return self._store.write(path, content, kind, language, overwrite=overwrite, creator=user)

    def import_file(self, call: Call) -> Data:
        """Keep what is sent, as `import` does with AUTO. 404: the folder is missing; 409: something is there."""
        try:
            found = self._keep(
                "/" + call.path["path"].lstrip("/"),
                call.files["body"],
                flag(call.data, "overwrite"),
                call.user,
                plain=False,
            )
        except ApiError as error:
            if error.error_code == "RESOURCE_ALREADY_EXISTS":
                raise ApiError(error.error_code, error.message, 409) from None
            raise
        return {"object_id": found.object_id}

    def download(self, call: Call) -> Response:
        """A file's bytes, a notebook's source."""
        return self._raw(self._may_leave(self._store.get("/" + call.path["path"].lstrip("/"))))

    def _may_leave(self, found: WorkspaceObject) -> WorkspaceObject:
        if found.object_type == "NOTEBOOK" and not self._notebooks_leave():
            raise ApiError("PERMISSION_DENIED", "Exporting notebooks is disabled (enableExportNotebook)", 403)
        return found

    def _raw(self, found: WorkspaceObject) -> Response:
        if found.object_type in ("DIRECTORY", "REPO"):
            raise invalid(f"{found.path} is a directory; only notebooks and files are exported")
        return FileResponse(self._store.local(found), media_type="application/octet-stream")

    def mkdirs(self, call: Call) -> Data:
        """Make folders."""
        self._store.mkdirs(text(call.data, "path"), call.user)
        return {}

    def delete(self, call: Call) -> Data:
        """Remove."""
        self._store.delete(text(call.data, "path"), flag(call.data, "recursive"))
        return {}

    def export(self, call: Call) -> Data | Response:
        """A notebook in some format, or a file; raw bytes with `direct_download`."""
        kind = text(call.data, "format", "SOURCE").upper()
        if kind in _NOT_SERVED:
            raise not_implemented(
                f"exporting {_NOT_SERVED[kind]} is not served by this workspace; use SOURCE or JUPYTER"
            )
        if kind not in ("SOURCE", "AUTO", "RAW", "JUPYTER", "HTML"):
            raise invalid(f"format {kind[:50]} is not one of SOURCE, JUPYTER, HTML, AUTO, RAW")
        found = self._may_leave(self._store.get(text(call.data, "path")))
        direct = flag(call.data, "direct_download")
        if found.object_type != "NOTEBOOK" or kind not in ("JUPYTER", "HTML"):
            if direct:
                return self._raw(found)
            content, file_type = self._store.read(found), ENDINGS.get(found.language or "", "").lstrip(".")
        else:
            source, language = self._store.read(found).decode("utf-8", "replace"), found.language or "PYTHON"
            title = found.path.rpartition("/")[2]
            content = (
                notebooks.to_jupyter(source, language)
                if kind == "JUPYTER"
                else notebooks.to_html(source, language, title)
            )
            file_type = {"JUPYTER": "ipynb", "HTML": "html"}[kind]
            if direct:
                return Response(content, media_type="application/octet-stream")
        if len(content) > MOST_NOTEBOOK_BYTES:
            message = f"{found.path} is larger than {MOST_NOTEBOOK_BYTES} bytes: export it with direct_download=true"
            raise ApiError("MAX_NOTEBOOK_SIZE_EXCEEDED", message)
        return {"content": base64.b64encode(content).decode(), "file_type": file_type}

    def list(self, call: Call) -> Data:
        """What a folder holds, or what of it was changed after a time (milliseconds since 1970)."""
        after = number(call.data, "notebooks_modified_after", 0)
        found = self._store.list(text(call.data, "path"))
        return {"objects": [one.to_json() for one in found if one.modified_ms >= after]}

    def get_status(self, call: Call) -> Data:
        """What is there; with `return_export_info` also how a notebook is exported."""
        found = self._store.get(text(call.data, "path"))
        data = found.to_json()
        if flag(call.data, "return_export_info") and found.object_type == "NOTEBOOK":
            data["repos_export_format"] = "SOURCE"
        return data

    def telemetry(self, call: Call) -> Data:
        """What clients report of themselves: told that it has arrived, and dropped."""
        logs = call.data.get("protoLogs")
        return {"errors": [], "numProtoSuccess": len(logs) if isinstance(logs, list) else 0}


def _bounded(content: BinaryIO) -> BinaryIO:
    """A notebook's content. Raise ApiError where it is larger than a notebook may be."""
    found = content.read(MOST_NOTEBOOK_BYTES + 1)
    if len(found) > MOST_NOTEBOOK_BYTES:
        raise ApiError("MAX_NOTEBOOK_SIZE_EXCEEDED", f"A notebook has at most {MOST_NOTEBOOK_BYTES} bytes")
    return io.BytesIO(found)


def _content(call: Call) -> bytes:
    content = call.data.get("content", "")
    if not isinstance(content, str):
        raise malformed("Could not parse request object: Expected base64 text for field content")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise malformed("Could not parse request object: content is not base64") from None
