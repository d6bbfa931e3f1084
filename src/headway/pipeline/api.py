"""The server's JSON API, `/api/v1`: what `headway app` and `headway runs` use. Each route names the role it wants."""

import functools
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from headway.core import planfile
from headway.core.errors import BLOCKED, CATALOGUE, WRONG_USE, ConfigurationError, HeadwayError
from headway.pipeline.access import Access
from headway.pipeline.database import storable
from headway.pipeline.model import App, Identity, Role, Run
from headway.pipeline.report import Report, Reporter
from headway.pipeline.service import PipelineService
from headway.pipeline.triggering import Triggers

logger = logging.getLogger(__name__)
MAX_BODY = 1024 * 1024
_NOT_FOUND = ("APP_UNKNOWN", "RUN_UNKNOWN", "STEP_UNKNOWN", "ENVIRONMENT_UNKNOWN", "RELEASE_NOT_FOUND")
_APP_FIELDS = (
    "name", "repository", "provider", "full_name", "branches", "folder", "pull_requests", "supersede", "poll_seconds",
    "api_base", "status_token_env", "credential_env",
)  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """One request: who, the path's parts, the fields of query and body."""

    who: Identity
    path: Mapping[str, Any]
    data: Mapping[str, Any]

    def text(self, name: str, default: str | None = None) -> str:
        """A field that is text. Raise HeadwayError REQUEST_INVALID."""
        value = self.data.get(name, default)
        if isinstance(value, str) and storable(value) == value:
            return value
        raise HeadwayError("REQUEST_INVALID", reason=f"`{name}` must be text")

    def number(self, name: str, default: int | None = None) -> int | None:
        """A field that is a whole number, or absent."""
        value = self.data.get(name, default)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, str) and value.isdigit() and len(value) < 16:
            return int(value)
        raise HeadwayError("REQUEST_INVALID", reason=f"`{name}` must be a whole number")


Handler = Callable[[Ask], Any]


class Api:
    """The routes over a service."""

    def __init__(self, service: PipelineService, access: Access, triggers: Triggers, reporter: Reporter) -> None:
        self._service, self._access, self._triggers, self._reporter = service, access, triggers, reporter

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        table: list[tuple[str, str, Role, Handler]] = [
            ("GET", "/me", "viewer", lambda ask: asdict(ask.who)),
            ("GET", "/apps", "viewer", lambda ask: {"apps": [self._app(a) for a in self._service.list_apps()]}),
            ("POST", "/apps", "admin", self._add_app),
            ("GET", "/apps/{app}", "viewer", lambda ask: self._app(self._service.app(ask.path["app"]))),
            ("PATCH", "/apps/{app}", "admin", self._change_app),
            ("DELETE", "/apps/{app}", "admin", self._remove_app),
            ("GET", "/apps/{app}/webhook", "admin", self._webhook),
            ("GET", "/apps/{app}/deliveries", "developer", self._deliveries),
            ("GET", "/apps/{app}/environments", "viewer", self._environments),
            ("GET", "/apps/{app}/releases", "viewer", self._releases),
            ("GET", "/apps/{app}/deployments", "viewer", self._deployments),
            ("POST", "/apps/{app}/runs", "developer", self._trigger),
            ("POST", "/apps/{app}/rollback", "approver", self._rollback),
            ("GET", "/report", "viewer", lambda ask: self._report(ask).to_json()),
            ("GET", "/report.csv", "viewer", lambda ask: Response(self._report(ask).to_csv(), media_type="text/csv")),
            ("GET", "/runs", "viewer", self._runs),
            ("GET", "/runs/{run:int}", "viewer", self._run),
            ("GET", "/runs/{run:int}/log/{step:int}", "viewer", self._log),
            ("POST", "/runs/{run:int}/cancel", "developer", self._cancel),
            ("POST", "/runs/{run:int}/retry", "developer", self._retry),
            ("POST", "/runs/{run:int}/approve", "approver", self._approve),
            ("POST", "/runs/{run:int}/reject", "approver", self._reject),
        ]
        made: list[BaseRoute] = [
            Route(f"/api/v1{path}", self._served(role, handler), methods=[method])
            for method, path, role, handler in table
        ]
        return [*made, Route("/api/v1/events", self._events, methods=["GET"])]

    def _served(self, role: Role, handler: Handler) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            try:
                who = await run_in_threadpool(self._who, request)
                if not who.may(role):
                    return problem(403, "FORBIDDEN", f"{who.name} is {who.role}; this wants {role}")
                ask = Ask(who, request.path_params, await _fields(request))
                answer = await run_in_threadpool(handler, ask)
                return answer if isinstance(answer, Response) else JSONResponse(answer)
            except Exception as error:  # noqa: BLE001  (the edge: every error gets its answer here)
                return answer_error(error, request)

        return serve

    def _who(self, request: Request) -> Identity:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = self._access.identity(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise _Unknown
        return found

    # --- applications

    @staticmethod
    def _app(app: App) -> dict[str, Any]:
        return {key: value for key, value in asdict(app).items() if key != "webhook_salt"}

    def _add_app(self, ask: Ask) -> Any:
        _require_known(ask.data)
        return self._app(self._service.add_app(app_from(ask.data)))

    def _change_app(self, ask: Ask) -> Any:
        """What is not named stays as it is."""
        _require_known(ask.data)
        present = self._service.app(ask.path["app"])
        if ask.data.get("name", present.name) != present.name:
            raise HeadwayError("REQUEST_INVALID", reason="an application's name is its headway.toml's")
        stands = {name: getattr(present, name) for name in _APP_FIELDS}
        wanted = app_from({**stands, "branches": list(present.branches), **ask.data})
        return self._app(self._service.change_app(replace(wanted, problem=present.problem)))

    def _remove_app(self, ask: Ask) -> Any:
        self._service.remove_app(ask.path["app"])
        return {"removed": ask.path["app"]}

    def _webhook(self, ask: Ask) -> Any:
        app = self._service.app(ask.path["app"])
        return {"path": f"/hooks/{app.provider}/{app.name}", "secret": self._triggers.secret(app)}

    def _deliveries(self, ask: Ask) -> Any:
        self._service.app(ask.path["app"])
        return {"deliveries": [asdict(entry) for entry in self._service.records.deliveries(ask.path["app"])]}

    def _environments(self, ask: Ask) -> Any:
        drift = ask.text("drift", "false").lower() in ("1", "true")
        found = self._service.environments(ask.path["app"], drift=drift)
        return {"environments": [{**asdict(entry), "state": entry.state.to_json()} for entry in found]}

    def _releases(self, ask: Ask) -> Any:
        found = self._service.releases(ask.path["app"])
        return {"releases": [{**e.release.to_json(), "environments": dict(e.environments)} for e in found]}

    def _deployments(self, ask: Ask) -> Any:
        since = ask.number("since_ms", 0) or 0
        found = self._service.deployments(ask.path["app"], since_ms=since)
        return {"deployments": [asdict(entry) for entry in found]}

    def _trigger(self, ask: Ask) -> Any:
        return asdict(self._service.trigger(ask.path["app"], ask.text("ref"), ask.who.name))

    def _rollback(self, ask: Ask) -> Any:
        to = ask.text("to", "") or None
        return asdict(self._service.rollback(ask.path["app"], ask.text("environment"), to, ask.who.name))

    def _report(self, ask: Ask) -> Report:
        app = ask.text("app", "") or None
        if app is not None:
            self._service.app(app)
        return self._reporter.report(app, ask.number("days", 30) or 30)

    # --- runs

    def _runs(self, ask: Ask) -> Any:
        app = ask.text("app", "") or None
        limit = min(500, ask.number("limit", 50) or 50)
        found = self._service.list_runs(app, before=ask.number("before"), limit=limit)
        return {"runs": [asdict(run) for run in found]}

    def _run(self, ask: Ask) -> Any:
        run = self._service.run(ask.path["run"])
        return self._with_steps(run)

    def _with_steps(self, run: Run) -> dict[str, Any]:
        waiting = self._service.plan_for_approval(run.id)
        steps = [asdict(step) for step in self._service.steps(run.id)]
        for step in steps:
            if "plan" in step["data"]:
                step["data"] = {**step["data"], "plan": shown_plan(step["data"]["plan"])}
        return {
            **asdict(run),
            "steps": steps,
            "tests": [asdict(case) for case in self._service.tests(run.id)],
            "approval": {**asdict(waiting), "plan": shown_plan(waiting.plan)} if waiting else None,
        }

    def _log(self, ask: Ask) -> Any:
        return asdict(self._service.tail_log(ask.path["run"], ask.path["step"], ask.number("offset", 0) or 0))

    def _cancel(self, ask: Ask) -> Any:
        return asdict(self._service.cancel(ask.path["run"], ask.who.name))

    def _retry(self, ask: Ask) -> Any:
        return asdict(self._service.retry(ask.path["run"], ask.who.name, ask.number("from_step")))

    def _approve(self, ask: Ask) -> Any:
        comment = ask.text("comment", "")
        return asdict(self._service.approve(ask.path["run"], ask.text("digest"), ask.who.name, comment))

    def _reject(self, ask: Ask) -> Any:
        comment = ask.text("comment", "")
        return asdict(self._service.reject(ask.path["run"], ask.text("digest"), ask.who.name, comment))

    # --- what happens, as server-sent events

    async def _events(self, request: Request) -> Response:
        try:
            await run_in_threadpool(self._who, request)
            ask = Ask(Identity("", "viewer"), {}, dict(request.query_params))
            last = request.headers.get("last-event-id", "")
            newest = await run_in_threadpool(self._service.last_event)
            after = int(last) if last.isdigit() else ask.number("after", newest) or 0
            run = ask.number("run")
        except Exception as error:  # noqa: BLE001  (the edge)
            return answer_error(error, request)
        return StreamingResponse(event_stream(self._service, request, after, run), media_type="text/event-stream")


async def event_stream(
    service: PipelineService, request: Request, after: int, run: int | None, seconds: float = 5
) -> AsyncIterator[bytes]:
    """What happens from event `after` on, as server-sent events whose id is `seq` and whose event is the kind, with a
    comment now and then, so that nobody thinks that the line is dead. Ends when the reader goes or the server stops."""
    while not request.app.state.stopping.is_set() and not await request.is_disconnected():
        try:
            follow = functools.partial(service.follow, after, run, seconds)
            found = await anyio.to_thread.run_sync(follow, limiter=request.app.state.followers)
        except HeadwayError:
            return
        for event in found:
            after = event.seq
            data = json.dumps({"run": event.run, "app": event.app, "at_ms": event.at_ms, **event.data})
            yield f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n".encode()
        if not found:
            yield b": still here\n\n"


def shown_plan(data: object) -> dict[str, Any] | None:
    """A plan's data without its secrets; None for one that this Headway does not read."""
    try:
        return planfile.shown(planfile.from_json(data))
    except ValueError:
        return None


def _require_known(data: Mapping[str, Any]) -> None:
    unknown = [name for name in data if name not in _APP_FIELDS]
    if unknown:
        raise HeadwayError("REQUEST_INVALID", reason=f"unknown fields: {', '.join(unknown)}")


def app_from(data: Mapping[str, Any]) -> App:
    """An application as somebody wants to register it. Raise HeadwayError REQUEST_INVALID."""
    fields: dict[str, Any] = {}
    for name, value in data.items():
        default: Any = getattr(App("", ""), name)
        if name == "branches":
            good = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
            fields[name] = tuple(value) if good else None
        elif isinstance(default, bool):
            good = isinstance(value, bool)
            fields[name] = value
        elif isinstance(default, int | float):
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 86400
            fields[name] = value
        else:
            good = isinstance(value, str) and len(value) < 2000 and storable(value) == value
            fields[name] = value
        if not good:
            raise HeadwayError("REQUEST_INVALID", reason=f"`{name}` cannot be {value!r:.100}")
    choices = {"provider": ("github", "gitlab", "gitea", "git"), "pull_requests": ("off", "same-repository", "all")}
    for name, known in choices.items():
        if name in fields and fields[name] not in known:
            raise HeadwayError("REQUEST_INVALID", reason=f"`{name}` is one of {', '.join(known)}")
    if fields.get("api_base") and not str(fields["api_base"]).startswith(("https://", "http://")):
        raise HeadwayError("REQUEST_INVALID", reason="`api_base` is a URL: https://git.example.org/api/v1")
    if not _is_name(fields.get("name", "")) or "repository" not in fields:
        raise HeadwayError("REQUEST_INVALID", reason="`name` (small letters, digits, -) and `repository` are needed")
    if ".." in fields.get("folder", "").split("/") or fields.get("folder", "").startswith("/"):
        raise HeadwayError("REQUEST_INVALID", reason="`folder` lies in the repository")
    return App(**fields)


def _is_name(text: str) -> bool:
    return (
        0 < len(text) < 64
        and text[0] != "-"
        and all(c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in text)
    )


class _Unknown(Exception):
    pass


async def _fields(request: Request) -> dict[str, Any]:
    data: dict[str, Any] = dict(request.query_params)
    body = await read_body(request, MAX_BODY)
    if body.strip():
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            raise HeadwayError("REQUEST_INVALID", reason="the body is not JSON") from None
        if not isinstance(parsed, dict):
            raise HeadwayError("REQUEST_INVALID", reason="the body is not a JSON object")
        data |= parsed
    return data


class TooLarge(Exception):
    """A body of more bytes than are read."""


async def read_body(request: Request, limit: int) -> bytes:
    """The body, at most `limit` bytes of it; no more is ever held. Raise TooLarge."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise TooLarge
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > limit:
            raise TooLarge
    return bytes(found)


def answer_error(error: Exception, request: Request) -> Response:
    """An error as its answer; what is not a HeadwayError is our bug: logged with its traceback, answered 500."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)
    if isinstance(error, _Unknown):
        return problem(401, "UNAUTHENTICATED", "send a token: Authorization: Bearer …")
    if isinstance(error, TooLarge):
        return problem(413, "TOO_LARGE", "the request is too large")
    if isinstance(error, HeadwayError):
        message = error.message
        if isinstance(error, ConfigurationError):
            message += ": " + "; ".join(str(entry) for entry in error.diagnostics)
        return problem(status_of(error), error.code, message, error.hint)
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "INTERNAL", f"{type(error).__name__} while serving {request.url.path}")


def status_of(error: HeadwayError) -> int:
    """The HTTP status of an error."""
    if error.code in _NOT_FOUND:
        return 404
    if error.code == "PIPELINE_DATABASE":
        return 503
    if error.code in ("APP_EXISTS", "RUN_STATE", "APPROVAL_NOT_ASKED"):
        return 409
    return {WRONG_USE: 400, BLOCKED: 409}.get(CATALOGUE[error.code].exit_status, 502)


def problem(status: int, code: str, message: str, hint: str = "") -> JSONResponse:
    """An error for a program."""
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status_code=status)
