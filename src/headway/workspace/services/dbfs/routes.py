"""DBFS 2.0 over HTTP."""

import base64
import binascii
import io
import shutil
from collections.abc import Sequence
from typing import BinaryIO

from starlette.responses import FileResponse, Response

from headway.workspace.errors import ApiError, invalid, malformed
from headway.workspace.http import Call, Data, Endpoint, flag, number, text
from headway.workspace.services.dbfs.model import MAX_BLOCK_BYTES, MAX_READ_BYTES, MAX_UPLOAD_BYTES
from headway.workspace.services.dbfs.store import DbfsStore


class DbfsRoutes:
    """The routes, over one store."""

    def __init__(self, store: DbfsStore) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/dbfs/put", self.put, upload=MAX_UPLOAD_BYTES),
            Endpoint("GET", "/dbfs/{path:path}", self.download, root=True),
            Endpoint("PUT", "/dbfs/{path:path}", self.upload, root=True, upload=MAX_UPLOAD_BYTES, raw=True),
            Endpoint("POST", "/dbfs/{path:path}", self.upload, root=True, upload=MAX_UPLOAD_BYTES, raw=True),
            Endpoint("POST", "/dbfs/create", self.create),
            Endpoint("POST", "/dbfs/add-block", self.add_block),
            Endpoint("POST", "/dbfs/close", self.close),
            Endpoint("POST", "/dbfs/mkdirs", self.mkdirs),
            Endpoint("POST", "/dbfs/move", self.move),
            Endpoint("POST", "/dbfs/delete", self.delete),
            Endpoint("GET", "/dbfs/read", self.read),
            Endpoint("GET", "/dbfs/list", self.list),
            Endpoint("GET", "/dbfs/get-status", self.get_status),
        ]

    def put(self, call: Call) -> Data:
        """Write a file: at most 1 MB in JSON, or any size as a part of a form: `contents`, or whatever its
        name is (the legacy CLI says `file`)."""
        content: BinaryIO | None = call.files.get("contents") or next(iter(call.files.values()), None)
        if content is None:
            block = _decoded(call.data.get("contents", ""))
            if len(block) > MAX_BLOCK_BYTES:
                raise ApiError("MAX_BLOCK_SIZE_EXCEEDED", f"The contents are larger than {MAX_BLOCK_BYTES} bytes")
            content = io.BytesIO(block)
        with self._store.writing(text(call.data, "path"), flag(call.data, "overwrite")) as stream:
            shutil.copyfileobj(content, stream, 1 << 20)
        return {}

    def download(self, call: Call) -> Response:
        """A file as it is; `Range` is honoured."""
        path = "/" + call.path["path"].lstrip("/")
        if self._store.status(path).is_dir:
            raise invalid(f"{path} is a directory")
        return FileResponse(self._store.local(path), media_type="application/octet-stream")

    def upload(self, call: Call) -> Data:
        """Write a file from the body, in the place of one that is there."""
        with self._store.writing("/" + call.path["path"].lstrip("/"), overwrite=True) as stream:
            shutil.copyfileobj(call.files["body"], stream, 1 << 20)
        return {}

    def create(self, call: Call) -> Data:
        """Begin a file that comes in blocks."""
        handle = self._store.open_upload(text(call.data, "path"), flag(call.data, "overwrite"), call.user)
        return {"handle": handle}

    def add_block(self, call: Call) -> Data:
        """One block, base64, at most 1 MB."""
        block = _decoded(text(call.data, "data"))
        if len(block) > MAX_BLOCK_BYTES:
            raise ApiError("MAX_BLOCK_SIZE_EXCEEDED", f"The block is larger than {MAX_BLOCK_BYTES} bytes")
        self._store.add_block(number(call.data, "handle"), block, call.user)
        return {}

    def close(self, call: Call) -> Data:
        """The file takes its place."""
        self._store.close_upload(number(call.data, "handle"), call.user)
        return {}

    def mkdirs(self, call: Call) -> Data:
        """Make folders."""
        self._store.mkdirs(text(call.data, "path"))
        return {}

    def move(self, call: Call) -> Data:
        """Move."""
        self._store.move(text(call.data, "source_path"), text(call.data, "destination_path"))
        return {}

    def delete(self, call: Call) -> Data:
        """Remove."""
        self._store.delete(text(call.data, "path"), flag(call.data, "recursive"))
        return {}

    def read(self, call: Call) -> Data:
        """At most 1 MB, base64."""
        offset, length = number(call.data, "offset", 0), number(call.data, "length", MAX_READ_BYTES)
        if offset < 0 or length < 0:
            raise invalid("offset and length must not be negative")
        if length > MAX_READ_BYTES:
            raise ApiError("MAX_READ_SIZE_EXCEEDED", f"At most {MAX_READ_BYTES} bytes are read at once")
        found = self._store.read(text(call.data, "path"), offset, length)
        return {"bytes_read": len(found), "data": base64.b64encode(found).decode()}

    def list(self, call: Call) -> Data:
        """What a folder holds."""
        return {"files": [status.to_json() for status in self._store.list(text(call.data, "path"))]}

    def get_status(self, call: Call) -> Data:
        """What is there."""
        return self._store.status(text(call.data, "path")).to_json()


def _decoded(contents: str) -> bytes:
    if not isinstance(contents, str):
        raise malformed("Could not parse request object: Expected base64 text")
    try:
        return base64.b64decode(contents, validate=True)
    except (binascii.Error, ValueError):
        raise malformed("Could not parse request object: the data is not base64") from None
