"""Between Starlette and the services: who calls, what they sent, what they get; errors as the clients expect them."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from headway.workspace.auth import Tokens
from headway.workspace.errors import ApiError, malformed
from headway.workspace.parsing import Data as Data
from headway.workspace.parsing import flag as flag
from headway.workspace.parsing import number as number
from headway.workspace.parsing import text as text
from headway.workspace.principals import Principal
from headway.workspace.reading import read_data

logger = logging.getLogger(__name__)

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SIGN_IN = 'Basic realm="Headway workspace: user token, password your access token", charset="UTF-8"'
_WAITING: RunVar[CapacityLimiter] = RunVar("waiting")
_SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class Access(Protocol):
    """Who may do what (the permissions service)."""

    def check(self, principal: Principal, kind: str, object_id: str, level: str) -> None:
        """Raise ApiError PERMISSION_DENIED where the principal lacks that level on the object, or where there is no
        such object."""

    def allows(self, principal: Principal, kind: str, object_id: str, level: str) -> bool:
        """The same as an answer; False where there is no such object."""

    def check_list(self, kind: str, data: Mapping[str, Any]) -> None:
        """Raise ApiError where the `access_control_list` of `data` cannot be granted on an object of that kind."""

    def grant(self, principal: Principal, kind: str, object_id: object, data: Mapping[str, Any]) -> None:
        """Grant the `access_control_list` of `data` on an object."""


@dataclass(frozen=True)
class Call:
    """One request. `data` are its fields: path, query, JSON object and form together. `version` is `2.1` of
    `/api/2.1/…`.

    `path` are the parameters of the route (`{id}`), decoded. `headers` have small letters. `files` are what an
    endpoint with `upload` was sent: the parts of a form by name, or the raw body as `body`; they lie on disk where they
    are large, and are closed when the call has been answered.
    """

    principal: Principal
    version: str
    data: Data
    base: Callable[[], str]
    path: Mapping[str, str]
    headers: Mapping[str, str]
    files: Mapping[str, BinaryIO]
    access: Access

    @property
    def base_url(self) -> str:
        """The workspace's address as the caller knows it, without a slash at its end."""
        return self.base()

    @property
    def user(self) -> str:
        """The caller's name."""
        return self.principal.name

    def require(self, kind: str, object_id: object, level: str) -> None:
        """Raise ApiError PERMISSION_DENIED where the caller lacks that level on an object."""
        if not self.principal.is_admin:
            self.access.check(self.principal, kind, str(object_id), level)

    def allows(self, kind: str, object_id: object, level: str) -> bool:
        """Whether the caller has that level on an object: for lists, which leave out what it may not see."""
        return self.principal.is_admin or self.access.allows(self.principal, kind, str(object_id), level)


Handler = Callable[[Call], Data | list[Any] | Response]


@dataclass(frozen=True)
class Need:
    """What a caller must hold on an object before an endpoint is entered: `level` on the object of that kind
    (`jobs`, `clusters`, …) which the field or path parameter `name` names. Where the field is absent `default` is
    meant; else it is asked for, unless it is `optional`: then nothing need be held. `or_name` is what old clients call
    the field."""

    kind: str
    name: str
    level: str
    default: str | None = None
    optional: bool = False
    or_name: str = ""


@dataclass(frozen=True)
class Shows:
    """Which elements of an answer a caller sees: of the list `field`, those whose `name` is the id of an object on
    which it holds `level`."""

    field: str
    kind: str
    name: str
    level: str


@dataclass(frozen=True)
class Grants:
    """An endpoint that takes an `access_control_list` with an object, whose id is `name` in the request or in the
    answer. `inside` is the field of the request that holds the list, where it is not the request itself."""

    kind: str
    name: str
    inside: str = ""


@dataclass(frozen=True)
class Endpoint:
    """A served route. `path` is what follows the version, with Starlette's `{name}` and `{name:path}`; `versions`
    are those it is served at.

    `needs` is what the caller must hold, `shows` what it sees of the answer, `grants` what it may give along; `admin`
    lets only administrators in; `public` lets everybody in, also without a token. `upload` is the most bytes of a body
    that is streamed to disk (0: bodies are fields, at most 10 MB), which is `raw` whatever its type or may be a form.
    `waits`: its handler may wait for long, so it gets a thread beside those of the others; `quick`: it reads a few rows
    and nothing else, so it is called at once, without a thread. `root` serves `path` without `/api/VERSION`. `browser`
    asks whom it does not know to sign in as browsers do, as `token` with a token.
    """

    method: str
    path: str
    handler: Handler
    versions: Sequence[str] = ("2.0",)
    needs: Need | None = None
    shows: Shows | None = None
    grants: Grants | None = None
    admin: bool = False
    public: bool = False
    upload: int = 0
    raw: bool = False
    root: bool = False
    browser: bool = False
    waits: bool = False
    quick: bool = False

    @property
    def paths(self) -> list[tuple[str, str]]:
        """Each full path with its version."""
        if self.root:
            return [(self.path, "")]
        return [(f"/api/{version}{self.path}", version) for version in self.versions]


@dataclass(frozen=True)
class Door:
    """What every request passes: who calls, and what they may do. `drafts` holds large bodies while they are read."""

    tokens: Tokens
    access: Access
    drafts: Path
    nobody: Principal = field(default_factory=lambda: Principal(0, "user", "", ""))


def routes(endpoints: Sequence[Endpoint], door: Door) -> list[Route]:
    """Starlette's routes, one per version. Those with parameters in their path come last, so that none hides a route
    that is spelled out."""
    plain = sorted(endpoints, key=lambda endpoint: ("{" in endpoint.path, endpoint.path.count(":path}")))
    return [
        Route(path, _serve(endpoint, version, door), methods=[endpoint.method])
        for endpoint in plain
        for path, version in endpoint.paths
    ]


class Shortcut:
    """Middleware: a request finds its route by its method and path, or by the first three parts of its path, where
    Starlette would try hundreds of patterns one after the other. What is not found so is left to Starlette."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._plain: dict[tuple[str, str], Route] = {}
        self._below: dict[str, list[Route]] = {}
        for route in routes:
            if "{" not in route.path:
                for method in route.methods or ():
                    self._plain.setdefault((method, route.path), route)
            elif "{" not in _beginning(route.path):
                self._below.setdefault(_beginning(route.path), []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = scope["path"]
            route = self._plain.get((scope["method"], path))
            if route is not None:
                return await route.handle(scope, receive, send)
            for route in self._below.get(_beginning(path), ()):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    return await route.handle(scope, receive, send)
        return await self._app(scope, receive, send)


def _beginning(path: str) -> str:
    return "/".join(path.split("/", 4)[:4])


def _serve(endpoint: Endpoint, version: str, door: Door) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        files: dict[str, BinaryIO] = {}
        try:
            principal = await _caller(endpoint, request, door)
            data = await read_data(request, endpoint.upload, endpoint.raw, door.drafts, files)
            call = Call(
                principal,
                version,
                {**data, **request.path_params},
                lambda: str(request.base_url).rstrip("/"),
                request.path_params,
                request.headers,
                files,
                door.access,
            )
            if endpoint.quick:
                return _enter(endpoint, call)
            if endpoint.waits:
                return await to_thread.run_sync(_enter, endpoint, call, limiter=_patience())
            return await run_in_threadpool(_enter, endpoint, call)
        except Exception as error:  # noqa: BLE001  (the edge: every error gets its answer here)
            return answer_error(error, request)
        finally:
            for file in files.values():
                file.close()

    return serve


def _patience() -> CapacityLimiter:
    """The threads of requests that wait: many, and their own, so that they keep no others out."""
    try:
        return _WAITING.get()
    except LookupError:
        _WAITING.set(CapacityLimiter(256))
        return _WAITING.get()


async def _caller(endpoint: Endpoint, request: Request, door: Door) -> Principal:
    if endpoint.public:
        return door.nobody
    authorization = request.headers.get("authorization")
    known = door.tokens.known(authorization)
    try:
        return known if known is not None else await run_in_threadpool(door.tokens.principal, authorization)
    except ApiError as error:
        asked = ApiError(error.error_code, error.message, 401, {"WWW-Authenticate": _SIGN_IN})
        raise asked if endpoint.browser else error from None


def _enter(endpoint: Endpoint, call: Call) -> Response:
    if endpoint.admin and not call.principal.is_admin:
        raise ApiError("PERMISSION_DENIED", f"{call.user} is not an administrator of this workspace.", 403)
    if endpoint.needs is not None and not call.principal.is_admin:
        _check_need(endpoint.needs, call)
    given = _grants_of(endpoint, call)
    result = endpoint.handler(call)
    if given and endpoint.grants is not None and isinstance(result, dict):
        object_id = result.get(endpoint.grants.name, call.data.get(endpoint.grants.name))
        call.access.grant(call.principal, endpoint.grants.kind, object_id, given)
    shows = endpoint.shows
    if shows is not None and not call.principal.is_admin and isinstance(result, dict) and shows.field in result:
        seen = [entry for entry in result[shows.field] if call.allows(shows.kind, entry[shows.name], shows.level)]
        result = {**result, shows.field: seen}
    if isinstance(result, Response):
        return result
    return Response(_ENCODER.encode(result).encode(), media_type="application/json")


def _check_need(need: Need, call: Call) -> None:
    named = call.path.get(need.name, call.data.get(need.name, need.default))
    if need.or_name and not named:
        named = call.data.get(need.or_name)
    if named is None or named == "":
        if need.optional:
            return
        raise ApiError("INVALID_PARAMETER_VALUE", f"Missing required field: {need.name}")
    if isinstance(named, bool) or not isinstance(named, str | int):
        raise malformed(f"Could not parse request object: {need.name} has the wrong type")
    call.access.check(call.principal, need.kind, str(named), need.level)


def _grants_of(endpoint: Endpoint, call: Call) -> Data:
    """The access control list that was sent along, taken out of what the endpoint sees: it is not a setting."""
    if endpoint.grants is None:
        return {}
    holder = call.data.get(endpoint.grants.inside) if endpoint.grants.inside else call.data
    if isinstance(holder, dict):
        _check_run_as(call.principal, holder.get("run_as"))
    if not isinstance(holder, dict) or not holder.get("access_control_list"):
        return {}
    given = {"access_control_list": holder.pop("access_control_list")}
    call.access.check_list(endpoint.grants.kind, given)
    return given


def _check_run_as(principal: Principal, run_as: Any) -> None:
    """Raise ApiError where somebody would have runs done in the name of another."""
    if not isinstance(run_as, dict) or principal.is_admin:
        return
    named = [value for value in run_as.values() if value not in (None, "", principal.name)]
    if named:
        raise ApiError("PERMISSION_DENIED", f"{principal.name} cannot have runs done as {str(named[0])[:100]}.", 403)


def answer_error(error: Exception, request: Request) -> Response:
    """An ApiError as itself; anything else is our bug: logged with its traceback, answered 500."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)
    path = request.url.path
    if isinstance(error, OperationalError) and "locked" in str(error.orig):
        error = ApiError("TEMPORARILY_UNAVAILABLE", "The database is busy; try again.", 503, {"Retry-After": "1"})
    if not isinstance(error, ApiError):
        logger.error("%s %s failed", request.method, path, exc_info=error)
        error = ApiError("INTERNAL_ERROR", f"{type(error).__name__} while serving {path}", 500)
    body: Data = {"error_code": error.error_code, "message": error.message}
    if path.startswith("/api/1.2/"):
        body = {"error": error.message}
    elif "/scim/v2/" in path:
        body = {"schemas": [_SCIM_ERROR], "detail": error.message, "status": str(error.status), **body}
    # A message may repeat what a client sent, also what is not text: never an error about the error.
    safe = {name: _printable(value) for name, value in body.items()}
    return JSONResponse(safe, status_code=error.status, headers=error.headers)


def _printable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
