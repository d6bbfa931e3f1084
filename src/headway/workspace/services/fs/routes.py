"""The Files API 2.0 over HTTP."""

import secrets
from collections.abc import Sequence

from starlette.responses import FileResponse, Response

from headway.workspace.errors import ApiError, invalid
from headway.workspace.http import Call, Data, Endpoint, flag, text
from headway.workspace.parsing import page
from headway.workspace.services.fs.model import MOST_BYTES, MOST_ENTRIES, changed_since, http_date
from headway.workspace.services.fs.store import VolumeFiles

_FILES, _DIRECTORIES = "/fs/files/{path:path}", "/fs/directories/{path:path}"


class FsRoutes:
    """The routes."""

    def __init__(self, store: VolumeFiles) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("HEAD", _FILES, self.download),
            Endpoint("GET", _FILES, self.download),
            Endpoint("PUT", _FILES, self.upload, upload=MOST_BYTES, raw=True),
            Endpoint("POST", _FILES, self.initiate),
            Endpoint("DELETE", _FILES, self.delete),
            Endpoint("HEAD", _DIRECTORIES, self.exists),
            Endpoint("GET", _DIRECTORIES, self.list),
            Endpoint("PUT", _DIRECTORIES, self.make),
            Endpoint("DELETE", _DIRECTORIES, self.remove),
            *(
                Endpoint("POST", f"/fs/create-{what}", self.presigned)
                for what in ("upload-part-urls", "resumable-upload-url", "abort-upload-url", "download-url")
            ),
        ]

    def download(self, call: Call) -> Response:
        """A file; `Range` and `If-Unmodified-Since` are honoured."""
        local = self._store.file(_path(call))
        stat = local.stat()
        if changed_since(call.headers.get("if-unmodified-since"), stat.st_mtime):
            raise ApiError("PRECONDITION_FAILED", f"{_path(call)} was changed meanwhile.", 412)
        headers = {"last-modified": http_date(stat.st_mtime)}
        return FileResponse(local, media_type="application/octet-stream", headers=headers, stat_result=stat)

    def upload(self, call: Call) -> Response:
        """Keep the body."""
        self._store.write(_path(call), call.files["body"], flag(call.data, "overwrite"))
        return Response(status_code=204)

    def initiate(self, call: Call) -> Data:
        """Clients ask for an upload in parts where a file is large. They get a session, and a refusal when they ask for
        its URLs: then they send the file in one PUT, which is streamed to disk."""
        if text(call.data, "action", "") != "initiate-upload":
            raise _no_presigned()
        self._store.local(_path(call))
        return {"multipart_upload": {"session_token": secrets.token_hex(16)}}

    def presigned(self, call: Call) -> Data:
        """Refused: there is no object store behind a volume that could take a part by itself."""
        raise _no_presigned()

    def delete(self, call: Call) -> Response:
        """Remove a file."""
        self._store.delete(_path(call))
        return Response(status_code=204)

    def exists(self, call: Call) -> Response:
        """Whether a directory is there."""
        self._store.directory(_path(call))
        return Response(status_code=200)

    def list(self, call: Call) -> Data:
        """What a directory holds, a page at a time."""
        offset, size = page(call.data, MOST_ENTRIES, MOST_ENTRIES)
        base = _path(call).rstrip("/")
        found = self._store.list(base)
        contents = [
            {"path": f"{base}/{name}", "name": name, "is_directory": is_dir, "last_modified": modified}
            | ({} if is_dir else {"file_size": length})
            for name, is_dir, length, modified in found[offset : offset + size]
        ]
        more = {"next_page_token": str(offset + size)} if offset + size < len(found) else {}
        return {"contents": contents, **more}

    def make(self, call: Call) -> Response:
        """Make a directory and those above it."""
        self._store.make(_path(call))
        return Response(status_code=204)

    def remove(self, call: Call) -> Response:
        """Remove an empty directory."""
        self._store.remove(_path(call))
        return Response(status_code=204)


def _path(call: Call) -> str:
    path = "/" + call.path["path"].lstrip("/")
    if "\0" in path:
        raise invalid("Invalid path: it has a NUL character")
    return path


def _no_presigned() -> ApiError:
    return ApiError("PERMISSION_DENIED", "Presigned URLs API is not enabled: send the file in one PUT.", 403)
