"""Between Starlette and the services: who calls, what they sent, what they get; errors as the clients expect them."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headway.workspace.auth import Tokens
from headway.workspace.errors import ApiError, malformed
from headway.workspace.settings import MAX_BODY_BYTES

logger = logging.getLogger(__name__)

Data = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request. `data` are its fields: path, query, JSON object and form together. `version` is `2.1` of
    `/api/2.1/…`."""

    user: str
    version: str
    data: Data
    base_url: str


Handler = Callable[[Call], Data | list[Any] | Response]


@dataclass(frozen=True)
class Endpoint:
    """A served route. `path` is what follows the version, with Starlette's `{name}` and `{name:path}`; `versions`
    are those it is served at."""

    method: str
    path: str
    handler: Handler
    versions: Sequence[str] = ("2.0",)


def routes(endpoints: Sequence[Endpoint], tokens: Tokens) -> list[Route]:
    """Starlette's routes, one per version."""
    return [
        Route(f"/api/{version}{endpoint.path}", _serve(endpoint, version, tokens), methods=[endpoint.method])
        for endpoint in endpoints
        for version in endpoint.versions
    ]


def _serve(endpoint: Endpoint, version: str, tokens: Tokens) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        try:
            user = await run_in_threadpool(tokens.user, request.headers.get("authorization"))
            data = {**await read_data(request), **request.path_params}
            call = Call(user, version, data, str(request.base_url).rstrip("/"))
            result = await run_in_threadpool(endpoint.handler, call)
            return result if isinstance(result, Response) else JSONResponse(result)
        except Exception as error:  # noqa: BLE001  (the edge: every error gets its answer here)
            return answer_error(error, request)

    return serve


def answer_error(error: Exception, request: Request) -> Response:
    """An ApiError as itself; anything else is our bug: logged with its traceback, answered 500."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)
    if not isinstance(error, ApiError):
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        error = ApiError("INTERNAL_ERROR", f"{type(error).__name__} while serving {request.url.path}", 500)
    legacy = request.url.path.startswith("/api/1.2/")
    body = {"error": error.message} if legacy else {"error_code": error.error_code, "message": error.message}
    return JSONResponse(body, status_code=error.status, headers=error.headers)


async def read_data(request: Request) -> Data:
    """The request's fields. Raise ApiError where the body is too large, or is not what it says it is."""
    data: Data = _query(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        _check_length(request)
        async with request.form(max_part_size=MAX_BODY_BYTES) as form:
            for name, value in form.multi_items():
                data[name] = await value.read() if isinstance(value, UploadFile) else value
        return data
    body = await read_body(request, MAX_BODY_BYTES)
    if body.strip():
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise malformed(f"Could not parse request object: {type(error).__name__}: {str(error)[:200]}") from None
        if not isinstance(parsed, dict):
            raise malformed("Could not parse request object: expected a JSON object")
        data.update(parsed)
    return data


def _query(request: Request) -> Data:
    """The query's fields; one that is repeated (as the SDK sends a list) is a list."""
    found: Data = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value]
        else:
            found[name] = value
    return found


def _check_length(request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES + 65536:
        raise ApiError("MAX_REQUEST_SIZE_EXCEEDED", f"The request is larger than {MAX_BODY_BYTES} bytes", 413)


async def read_body(request: Request, limit: int) -> bytes:
    """The body, at most `limit` bytes of it. Raise ApiError where it is larger."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > limit:
            raise ApiError("MAX_REQUEST_SIZE_EXCEEDED", f"The request is larger than {limit} bytes", 413)
    return bytes(found)


def text(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A field that must be a string. Raise ApiError where it is missing (and has no default) or of another type."""
    value = data.get(name, default)
    if value is None:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Missing required field: {name}")
    if isinstance(value, str):
        return value
    raise malformed(f"Could not parse request object: Expected string for field {name}, found {type(value).__name__}")


def number(data: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A field that must be a whole number; some clients send it as text."""
    value = data.get(name, default)
    if value is None:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Missing required field: {name}")
    if isinstance(value, bool):
        raise malformed(f"Could not parse request object: Expected number for field {name}, found boolean")
    try:
        result = int(value)
    except (TypeError, ValueError):
        raise malformed(f"Could not parse request object: Expected number for field {name}, found {value!r}") from None
    if not -(2**63) <= result < 2**63:
        raise malformed(f"Could not parse request object: {name} is out of range")
    return result


def flag(data: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A field that must be true or false; queries carry it as text, in whatever case."""
    value = data.get(name, default)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    raise malformed(f"Could not parse request object: Expected boolean for field {name}, found {value!r}")
