"""The dashboard's routes over a server."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from headway.pipeline.database import now_ms
from headway.pipeline.server import Server
from headway.web.door import COOKIE, HEADERS, LIVE_HEADERS, Door, Handler
from headway.web.live import Change, Hub, stream
from headway.web.login import Login
from headway.web.overview import KEPT_SECONDS, Overview
from headway.web.releases import Releases
from headway.web.rendering import Rendering
from headway.web.reports import ReportPages
from headway.web.runs import Runs
from headway.web.sessions import Sessions
from headway.web.workspace import WorkspacePages

_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def routes(server: Server) -> list[BaseRoute]:
    """Every page, form and file of the dashboard."""
    rendering, sessions = Rendering(now_ms, server.workspaces.host or ""), Sessions(server.key)
    door = Door(server.access, sessions, rendering, lambda: server.url)
    hub = Hub(server.service.events)
    overview = Overview(server.service, server.triggers, server.drift, lambda: server.url)
    runs = Runs(server.service, door, hub)
    releases, reports = Releases(server.service), ReportPages(server.service, server.reporter)
    workspace, login = WorkspacePages(server.workspaces), Login(door)

    def get(path: str, handler: Handler) -> Route:
        return Route(path, door.page(handler), methods=["GET"])

    def post(path: str, handler: Handler, role: Any) -> Route:
        return Route(path, door.action(handler, role), methods=["POST"])

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        content = rendering.files.get(name)
        if content is None:
            return Response("there is no such file\n", status_code=404, media_type="text/plain")
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)

    async def live(request: Request) -> Response:
        session = sessions.open(request.cookies.get(COOKIE))
        if session is None or await run_in_threadpool(server.access.identity, session.token) is None:
            return Response(status_code=401, headers=HEADERS)

        def render(changes: set[Change]) -> list[tuple[str, str]]:
            if server.access.identity(session.token) is None:
                return [("ended", "")]
            if changes and all(kind == "log" for kind, _, _ in changes):
                return []
            return [("board", rendering.render("_board.html", overview.board_values()))]

        # What the board keeps for a moment is older than that by the time it is drawn: no change is missed.
        body = stream(hub, request, render, gather=KEPT_SECONDS + 0.1)
        return StreamingResponse(body, media_type="text/event-stream", headers=LIVE_HEADERS)

    async def icon(_: Request) -> Response:
        return RedirectResponse(rendering.asset("icon.svg"), status_code=307)

    return [
        Route("/login", login.show, methods=["GET"]),
        Route("/login", login.enter, methods=["POST"]),
        post("/logout", login.leave, "viewer"),
        Route("/static/{digest}/{name}", static, methods=["GET"]),
        Route("/favicon.ico", icon, methods=["GET"]),
        get("/", overview.board),
        Route("/live", live, methods=["GET"]),
        post("/apps", overview.register, "admin"),
        get("/apps/{app}", overview.app),
        post("/apps/{app}/remove", overview.remove, "admin"),
        get("/apps/{app}/environments/{environment}", overview.environment),
        get("/apps/{app}/releases/{version}", releases.release),
        get("/apps/{app}/releases/{version}/sbom.json", releases.sbom),
        post("/apps/{app}/drift", overview.check_drift, "viewer"),
        post("/apps/{app}/runs", overview.start, "developer"),
        post("/apps/{app}/environments/{environment}/rollback", overview.rollback, "approver"),
        get("/runs", runs.index),
        get("/runs/{run:int}", runs.run),
        Route("/runs/{run:int}/live", runs.live, methods=["GET"]),
        get("/runs/{run:int}/steps/{step:int}", runs.step),
        get("/runs/{run:int}/steps/{step:int}/log", runs.log),
        post("/runs/{run:int}/cancel", runs.cancel, "developer"),
        post("/runs/{run:int}/retry", runs.retry, "developer"),
        post("/runs/{run:int}/approve", runs.approve, "approver"),
        post("/runs/{run:int}/reject", runs.reject, "approver"),
        get("/workspace", workspace.jobs),
        get("/workspace/jobs", workspace.jobs),
        get("/workspace/jobs/{job:int}", workspace.job),
        post("/workspace/jobs/{job:int}/start", workspace.start, "developer"),
        get("/workspace/runs", workspace.runs),
        get("/workspace/runs/{run:int}", workspace.run),
        get("/workspace/runs/{run:int}/output", workspace.output),
        post("/workspace/runs/{run:int}/cancel", workspace.cancel, "developer"),
        get("/workspace/clusters", workspace.clusters),
        get("/workspace/clusters/{cluster}", workspace.cluster),
        get("/workspace/libraries", workspace.libraries),
        get("/report", reports.show),
        get("/report.csv", reports.csv),
        get("/report.json", reports.json),
    ]
