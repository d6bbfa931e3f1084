"""Logging in with a token of the workspace (or the server's own admin token), and out again."""

import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from headway.web.door import COOKIE, LOGIN, Door, Goto, Page, Visit, local_path, read_form
from headway.web.sessions import LOGIN_SECONDS, Session


class Login:
    """The pages. The form has a token of its own, so that no other site can log a visitor in as somebody else."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def show(self, request: Request) -> Response:
        """The form."""
        return await self._form(request, local_path(request.query_params.get("next")))

    async def _form(self, request: Request, back: str, problem: str = "", status: int = 200) -> Response:
        ours = self._door.sessions
        found = ours.unseal(request.cookies.get(LOGIN), LOGIN_SECONDS) or {}
        nonce = str(found.get("id") or secrets.token_urlsafe(16))
        values: dict[str, Any] = {"next": back, "problem": problem, "login_token": ours.form_token(f"login {nonce}")}
        response = await self._door.shown(request, Page("login.html", values, status), None, None)
        self._door.set_cookie(request, response, LOGIN, ours.seal({"id": nonce}), LOGIN_SECONDS)
        return response

    async def enter(self, request: Request) -> Response:
        """The form, filled in."""
        try:
            fields = await read_form(request)
            back = local_path(fields.get("next"))
            found = self._door.sessions.unseal(request.cookies.get(LOGIN), LOGIN_SECONDS) or {}
            if not self._door.sessions.fits(f"login {found.get('id')}", fields.get("form_token", "")):
                return await self._form(request, back, "This form was too old. Please try again.", 403)
            token = fields.get("token", "").strip()
            who = await run_in_threadpool(self._door.access.identity, token)
            if who is None:
                return await self._form(request, back, "The workspace does not know this token.", 401)
        except Exception as error:  # noqa: BLE001  (the edge)
            return await self._door.failed(request, error, None, None)
        response = RedirectResponse(back, status_code=303)
        self._door.set_cookie(request, response, COOKIE, self._door.sessions.begin(token))
        response.delete_cookie(LOGIN, path="/")
        return response

    def leave(self, visit: Visit) -> Goto:
        """Log out."""
        self._door.sessions.end(Session(visit.session.id, visit.session.token))
        return Goto("/login")
