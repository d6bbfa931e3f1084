"""What a request holds: its query, its JSON object or form as fields, its upload as a file (on disk where large)."""

import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from headway.workspace.errors import ApiError, malformed
from headway.workspace.parsing import Data, json_object
from headway.workspace.settings import MAX_BODY_BYTES

SPOOL_BYTES = 1024 * 1024
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


def _query(request: Request) -> Data:
    """The query's fields; one that is repeated (as the SDK sends a list) is a list."""
    found: Data = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value]
        else:
            found[name] = value
    return found


async def read_data(request: Request, upload: int, raw: bool, drafts: Path, files: dict[str, BinaryIO]) -> Data:
    """The request's fields. Raise ApiError where the body is too large, or is not what it says it is.

    What an endpoint that takes an upload (`upload`: the most bytes of it) is sent goes to `files`; `raw`: whatever type
    it says it is of. Large ones lie in `drafts` meanwhile.
    """
    data = _query(request)
    if raw:
        await _read_upload(request, upload, drafts, files)
        return data
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORMS:
        await _read_form(request, upload, data, files)
    elif upload and kind not in ("application/json", "text/json"):
        await _read_upload(request, upload, drafts, files)
    else:
        body = await _read_body(request, max(MAX_BODY_BYTES, upload))
        if body.strip():
            data.update(json_object(body))
    return data


async def _read_form(request: Request, upload: int, data: Data, files: dict[str, BinaryIO]) -> None:
    limit = max(MAX_BODY_BYTES, upload)
    counted = Request(request.scope, _counted(request.receive, limit + 65536))
    try:
        form = await counted.form(max_part_size=MAX_BODY_BYTES, max_files=10, max_fields=1000)
    except (HTTPException, ValueError, KeyError, IndexError) as error:
        detail = error.detail if isinstance(error, HTTPException) else str(error)
        raise malformed(f"Could not parse request object: not a form: {detail[:200]}") from None
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            data[name] = value
        elif upload:
            files[name] = value.file
        else:
            data[name] = await value.read()
            await value.close()


def _counted(receive: Receive, limit: int) -> Receive:
    """The same stream, ended by an ApiError where it is longer than `limit`: a client need not say how long it is."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return counted


async def _read_upload(request: Request, limit: int, drafts: Path, files: dict[str, BinaryIO]) -> None:
    spool: Any = tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=str(drafts))  # noqa: SIM115  (closed with the call)
    files["body"] = spool
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if size > SPOOL_BYTES:
            await run_in_threadpool(spool.write, chunk)
        else:
            spool.write(chunk)
    spool.seek(0)


async def _read_body(request: Request, limit: int) -> bytes:
    """The body, at most `limit` bytes of it. Raise ApiError where it is larger."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > limit:
            raise _too_large(limit)
    return bytes(found)


def _too_large(limit: int) -> ApiError:
    return ApiError("MAX_REQUEST_SIZE_EXCEEDED", f"The request is larger than {limit} bytes", 413)
