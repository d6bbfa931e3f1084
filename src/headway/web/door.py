"""The door of every page: who comes, what role the page wants, whether a form is ours, and how errors look.

A handler gets a `Visit` and gives an `Answer`; it knows neither cookies nor status codes of errors.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from headway.core.errors import ConfigurationError, HeadwayError
from headway.pipeline.access import Access
from headway.pipeline.api import TooLarge, read_body, status_of
from headway.pipeline.model import Identity, Role
from headway.web.rendering import Rendering
from headway.web.sessions import SECONDS, Session, Sessions

logger = logging.getLogger(__name__)
COOKIE, FLASH, LOGIN = "headway_session", "headway_done", "headway_login"
MAX_FORM = 64 * 1024
# Nothing inline, nothing from elsewhere, no frames: what a commit message or a log line holds can never run.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

# Nothing between the server and the browser may wait for more of a stream.
LIVE_HEADERS = {**HEADERS, "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class Visit:
    """One request of somebody who may make it. `form` is empty unless it was sent by one."""

    who: Identity
    session: Session
    path: Mapping[str, Any]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False

    def number(self, name: str) -> int | None:
        """A number of the query or the form; None where there is none."""
        text = self.form.get(name) or self.query.get(name) or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


@dataclass(frozen=True)
class Page:
    """A template with its values. A template whose name begins with `_` is a part of a page."""

    template: str
    values: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True)
class Goto:
    """Where to go after a form did what it should; `done` is said there, once."""

    path: str
    done: str = ""


Answer = Page | Goto | Response
Handler = Callable[[Visit], Answer]


class Door:
    """Wraps handlers into endpoints."""

    def __init__(self, access: Access, sessions: Sessions, rendering: Rendering, url: Callable[[], str]) -> None:
        self.access, self.sessions, self.rendering = access, sessions, rendering
        self._url = url

    def page(self, handler: Handler, role: Role = "viewer") -> Callable[[Request], Any]:
        """An endpoint that shows something."""

        async def serve(request: Request) -> Response:
            return await self._served(request, handler, role, form=False)

        return serve

    def action(self, handler: Handler, role: Role) -> Callable[[Request], Any]:
        """An endpoint that a form is sent to: it must hold the token of its session."""

        async def serve(request: Request) -> Response:
            return await self._served(request, handler, role, form=True)

        return serve

    async def _served(self, request: Request, handler: Handler, role: Role, *, form: bool) -> Response:
        who: Identity | None = None
        session = self.sessions.open(request.cookies.get(COOKIE))
        try:
            if session is not None:
                who = await run_in_threadpool(self.access.identity, session.token)
            if session is None or who is None:
                return self.to_login(request)
            fields = await read_form(request) if form else {}
            if form and not self._ours(request, session.id, fields):
                text = "This form is not of your present session. Go back, reload the page and try again."
                return await self.refused(request, who, session, 403, "The form was refused", text)
            if not who.may(role):
                text = f"You are {who.name} with the role {who.role}; this needs the role {role}."
                return await self.refused(request, who, session, 403, "Not allowed", text)
            partial = request.headers.get("hx-request") == "true"
            visit = Visit(who, session, request.path_params, dict(request.query_params), fields, partial)
            answer = await run_in_threadpool(handler, visit)
            return await self._response(request, answer, who, session)
        except Exception as error:  # noqa: BLE001  (the edge: every error gets its page here)
            return await self.failed(request, error, who, session)

    def _ours(self, request: Request, session_id: str, fields: Mapping[str, str]) -> bool:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        return self.sessions.fits(session_id, fields.get("form_token", ""))

    def to_login(self, request: Request) -> Response:
        """Where somebody who is not logged in goes; and from there back."""
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        back = "" if request.method != "GET" or path == "/" else f"?next={quote(path, safe='')}"
        if request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={"HX-Redirect": "/login", **HEADERS})
        return self._with_headers(RedirectResponse(f"/login{back}", status_code=303))

    async def _response(self, request: Request, answer: Answer, who: Identity, session: Session) -> Response:
        if isinstance(answer, Response):
            return self._with_headers(answer)
        if isinstance(answer, Goto):
            response = self._with_headers(RedirectResponse(answer.path, status_code=303))
            if answer.done:
                self.set_cookie(request, response, FLASH, self.sessions.seal({"done": answer.done}), 60)
            return response
        return await self.shown(request, answer, who, session)

    async def shown(self, request: Request, page: Page, who: Identity | None, session: Session | None) -> Response:
        """A page as its response."""
        flash = self.sessions.unseal(request.cookies.get(FLASH), 60) if FLASH in request.cookies else None
        part = page.template.startswith("_")
        common = {
            "who": who,
            "form_token": self.sessions.form_token(session.id) if session else "",
            "done": flash.get("done") if flash and not part else "",
            "path": request.url.path,
        }
        text = await run_in_threadpool(self.rendering.render, page.template, {**common, **page.values})
        response = self._with_headers(HTMLResponse(text, status_code=page.status))
        if flash and not part:
            response.delete_cookie(FLASH, path="/")
        return response

    async def refused(
        self, request: Request, who: Identity | None, session: Session | None, status: int, title: str, text: str
    ) -> Response:
        """A page that says why not."""
        back = _same_site(request.headers.get("referer", ""), request)
        values = {"title": title, "message": text, "hint": "", "status": status, "back": back}
        return await self.shown(request, Page("error.html", values, status), who, session)

    async def failed(
        self, request: Request, error: Exception, who: Identity | None, session: Session | None
    ) -> Response:
        """An error as a page; what is not a HeadwayError is our bug: logged with its traceback, 500."""
        if isinstance(error, ClientDisconnect):
            return Response(status_code=499)
        if isinstance(error, TooLarge):
            return await self.refused(request, who, session, 413, "Too large", "The form holds too much.")
        if isinstance(error, HeadwayError):
            message = error.message
            if isinstance(error, ConfigurationError):
                message += ": " + "; ".join(str(entry) for entry in error.diagnostics)
            status = status_of(error)
            title = {404: "Not found", 409: "Not any more", 503: "Not now"}.get(status, "That did not work")
            values = {"title": title, "message": message, "hint": error.hint, "status": status, "code": error.code}
            back = _same_site(request.headers.get("referer", ""), request)
            return await self.shown(request, Page("error.html", {**values, "back": back}, status), who, session)
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        text = f"{type(error).__name__} while showing this page. The server's log has more."
        return await self.refused(request, who, session, 500, "A fault of ours", text)

    def set_cookie(self, request: Request, response: Response, name: str, value: str, seconds: int = SECONDS) -> None:
        """A cookie that scripts cannot read, that no other site's form sends, and over TLS only where there is TLS."""
        secure = self._url().startswith("https:") or request.url.scheme == "https"
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=secure)

    @staticmethod
    def _with_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form. Raise TooLarge."""
    body = await read_body(request, MAX_FORM)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def local_path(text: str | None) -> str:
    """A path on this server, from what a visitor's address holds; the first page where it is anything else."""
    found = text or "/"
    good = found.startswith("/") and not found.startswith(("//", "/\\")) and found.isprintable() and "\\" not in found
    return found if good else "/"


def with_query(path: str, **fields: Any) -> str:
    """A path with those fields of a query that are something."""
    given = {key: value for key, value in fields.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def _same_site(referer: str, request: Request) -> str:
    prefix = f"{request.url.scheme}://{request.url.netloc}"
    return local_path(referer.removeprefix(prefix)) if referer.startswith(f"{prefix}/") else "/"
