"""The workspace as an HTTP application."""

import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from headway.workspace.absolute_form import AbsoluteForm
from headway.workspace.errors import not_implemented
from headway.workspace.http import Shortcut, answer_error, routes
from headway.workspace.refused import why_refused
from headway.workspace.server import Workspace


def create_app(workspace: Workspace, on_start: Callable[[], None] = lambda: None) -> Starlette:
    """The HTTP application. It takes up what was left behind at its start, and ends runs and drivers at its end."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        workspace.recover()
        workspace.scheduler.start()
        on_start()
        yield
        workspace.close()

    served = routes(workspace.endpoints, workspace.door)
    return Starlette(
        routes=served,
        middleware=[Middleware(AbsoluteForm), Middleware(Shortcut, served)],
        lifespan=lifespan,
        exception_handlers={404: _not_served, 405: _not_served},
    )


def _not_served(request: Request, _: Exception) -> Response:
    path = request.url.path
    reason = why_refused(path)
    because = f", by choice: {reason}" if reason else ""
    message = f"{request.method} {path} is not implemented by this workspace{because}"
    return answer_error(not_implemented(message), request)
