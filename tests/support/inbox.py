"""Somebody who listens: an HTTP server that notes requests, and a mail server that notes messages."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            """As much of RFC 5321 as a client needs."""
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    inbox.mails.append(b"".join(lines).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return

    class MailServer(socketserver.ThreadingTCPServer):
        daemon_threads = True

    web, mail = ThreadingHTTPServer(("127.0.0.1", 0), Web), MailServer(("127.0.0.1", 0), Mail)
    inbox.url, inbox.smtp_port = f"http://127.0.0.1:{web.server_address[1]}", mail.server_address[1]
    threads = [threading.Thread(target=server.serve_forever) for server in (web, mail)]
    for thread in threads:
        thread.start()
    try:
        yield inbox
    finally:
        for server in (web, mail):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()
