"""Requests whose target is a whole URL, as clients send them that were told of a proxy.

A server must take that form (RFC 9112, 3.2.2). The legacy `databricks` CLI drops the port of its host; with
`HTTP_PROXY` set to the workspace's own address it reaches it all the same.
"""

from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send


class AbsoluteForm:
    """Middleware: `GET http://any.host/api/2.0/…` is served as `GET /api/2.0/…`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].lstrip("/").startswith(("http://", "https://")):
            raw = scope["raw_path"].decode("latin-1").lstrip("/")
            path = urlsplit(raw).path or "/"
            scope = {**scope, "path": unquote(path), "raw_path": path.encode("latin-1")}
        await self._app(scope, receive, send)
