"""Somebody who listens: an HTTP server that notes requests, and a mail server that notes messages."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from support.ports import free_port


@dataclass(frozen=True)
class Request:
    """A request that came. `data` is its JSON body."""

    path: str
    headers: dict[str, str]
    data: Any


@dataclass
class Inbox:
    """What came. `answers` are the statuses of the next answers to a path's beginning, 200 when there are none left."""

    url: str = ""
    smtp_port: int = 0
    requests: list[Request] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)

    def of(self, path: str) -> list[Request]:
        """The requests to paths that begin so."""
        return [request for request in self.requests if request.path.startswith(path)]


@contextmanager
def taking(free: threading.Event | None = None) -> Iterator[Inbox]:
    """Listen until the block ends. With `free` nothing is answered before that is set."""
    inbox = Inbox()

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Note it."""
            if free is not None and not free.wait(20):
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {key.lower(): value for key, value in self.headers.items()}
            inbox.requests.append(Request(self.path, headers, json.loads(body)))
            waiting = next((left for path, left in inbox.answers.items() if self.path.startswith(path) and left), None)
            self.send_response(waiting.pop(0) if waiting else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    class Mail:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            """Note it."""
            content = envelope.content
            inbox.mails.append(content.decode() if isinstance(content, bytes) else str(content))
            return "250 ok"

    def known(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        if isinstance(data, LoginPassword):
            inbox.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=True)

    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    mail = Controller(
        Mail(), "127.0.0.1", free_port(), authenticator=known, auth_required=False, auth_require_tls=False
    )
    inbox.url, inbox.smtp_port = f"http://127.0.0.1:{web.server_address[1]}", mail.port
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    mail.start()
    try:
        yield inbox
    finally:
        mail.stop()
        web.shutdown()
        web.server_close()
        thread.join()
