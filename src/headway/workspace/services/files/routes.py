"""The workspace API 2.0 over HTTP."""

import base64
import binascii
from collections.abc import Sequence

from starlette.responses import Response

from headway.workspace.errors import ApiError, invalid, malformed, not_implemented
from headway.workspace.http import Call, Data, Endpoint, flag, text
from headway.workspace.services.files.model import ENDINGS, LANGUAGES, ending_of, is_notebook_source
from headway.workspace.services.files.store import FilesStore


class FilesRoutes:
    """The routes, over one store."""

    def __init__(self, store: FilesStore) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/workspace/import", self.import_),
            Endpoint("POST", "/workspace/mkdirs", self.mkdirs),
            Endpoint("POST", "/workspace/delete", self.delete),
            Endpoint("GET", "/workspace/export", self.export),
            Endpoint("GET", "/workspace/list", self.list),
            Endpoint("GET", "/workspace/get-status", self.get_status),
        ]

    def import_(self, call: Call) -> Data:
        """Keep a notebook (SOURCE, or AUTO with its header line) or a file (RAW, AUTO)."""
        path, kind = text(call.data, "path"), text(call.data, "format", "SOURCE").upper()
        content = _content(call)
        ending = ending_of(path)
        if kind == "SOURCE":
            language = text(call.data, "language", LANGUAGES.get(ending.lower(), "")).upper()
            if language not in ENDINGS:
                raise invalid(f"language must be one of {', '.join(ENDINGS)} for a notebook in SOURCE format")
            notebook = True
        elif kind in ("AUTO", "RAW"):
            notebook = kind == "AUTO" and bool(ending) and is_notebook_source(content)
            language = LANGUAGES.get(ending.lower(), "")
        elif kind in ("JUPYTER", "HTML", "DBC", "R_MARKDOWN"):
            raise not_implemented(f"importing the format {kind} is not served by this workspace; use SOURCE")
        else:
            raise invalid(f"format {kind} is not one of SOURCE, AUTO, RAW")
        if notebook:
            path = path[: len(path) - len(ending)] if kind == "AUTO" else path
        found = self._store.write(
            path,
            content,
            "NOTEBOOK" if notebook else "FILE",
            language if notebook else None,
            overwrite=flag(call.data, "overwrite"),
        )
        return {"object_id": found.object_id}

    def mkdirs(self, call: Call) -> Data:
        """Make folders."""
        self._store.mkdirs(text(call.data, "path"))
        return {}

    def delete(self, call: Call) -> Data:
        """Remove."""
        self._store.delete(text(call.data, "path"), flag(call.data, "recursive"))
        return {}

    def export(self, call: Call) -> Data | Response:
        """A notebook's source or a file; raw bytes with `direct_download`."""
        kind = text(call.data, "format", "SOURCE").upper()
        if kind not in ("SOURCE", "AUTO", "RAW"):
            raise not_implemented(f"exporting the format {kind} is not served by this workspace; use SOURCE")
        found = self._store.get(text(call.data, "path"))
        content = self._store.read(found)
        if flag(call.data, "direct_download"):
            return Response(content, media_type="application/octet-stream")
        file_type = ENDINGS.get(found.language or "", "").lstrip(".")
        return {"content": base64.b64encode(content).decode(), "file_type": file_type}

    def list(self, call: Call) -> Data:
        """What a folder holds."""
        return {"objects": [found.to_json() for found in self._store.list(text(call.data, "path"))]}

    def get_status(self, call: Call) -> Data:
        """What is there."""
        return self._store.get(text(call.data, "path")).to_json()


def _content(call: Call) -> bytes:
    content = call.data.get("content", b"")
    if isinstance(content, bytes):
        return content
    if not isinstance(content, str):
        raise malformed("Could not parse request object: Expected base64 text for field content")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("MALFORMED_REQUEST", "Could not parse request object: content is not base64") from None
