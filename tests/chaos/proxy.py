"""An HTTP proxy before a workspace that does one thing wrong at one call: or, as somebody who presses Ctrl-C at it,
`interrupt`."""

import http.client
import os
import signal
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["interrupt", "kill before", "kill after", "429", "500", "timeout", "cut", "lost answer"]
KILLS: tuple[Kind, ...] = ("kill before", "kill after")
FAULTS: tuple[Kind, ...] = ("429", "500", "timeout", "cut", "lost answer")


@dataclass
class Plan:
    """What goes wrong: `kind` at the call number `at`, counted from one. `calls` are those that came, in order."""

    kind: Kind | None = None
    at: int = 0
    calls: list[str] = field(default_factory=list)
    hit: str = ""


class FaultProxy:
    """Forwards every request to `upstream`. `victim` is the process that is killed."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream).netloc
        self._lock = threading.Lock()
        self._plan = Plan()
        self._victim: int | None = None
        self._known = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def handle_one_request(self) -> None:
                """A client that was killed leaves its connection."""
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def do_GET(self) -> None:
                proxy.serve(self)

            do_POST = do_PUT = do_GET

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def arm(self, kind: Kind | None = None, at: int = 0) -> Plan:
        """From now on, this goes wrong."""
        with self._lock:
            self._plan = Plan(kind, at)
            self._known.clear()
            return self._plan

    def aim(self, victim: int) -> None:
        """Whom a kill kills."""
        self._victim = victim
        self._known.set()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        call = f"{handler.command} {urlsplit(handler.path).path}"
        with self._lock:
            plan = self._plan
            plan.calls.append(call)
            kind = plan.kind if len(plan.calls) == plan.at else None
            if kind is not None:
                plan.hit = call
        match kind:
            case "kill before":
                self._kill(handler)
            case "429" | "500":
                self._refuse(handler, int(kind))
            case "cut":
                self._close(handler)
            case "timeout":
                # The client gives up first; what it closes ends the wait.
                handler.connection.settimeout(20)
                handler.rfile.read(1)
                handler.close_connection = True
            case _:
                if kind == "interrupt":
                    self._signal(signal.SIGINT)
                status, headers, content = self._forward(handler, body)
                if kind == "kill after":
                    self._kill(handler)
                elif kind == "lost answer":
                    self._close(handler)
                else:
                    self._answer(handler, status, headers, content)

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._upstream, timeout=60)
        try:
            headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection")}
            connection.request(handler.command, handler.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(
        self, handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], content: bytes
    ) -> None:
        handler.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _refuse(self, handler: BaseHTTPRequestHandler, status: int) -> None:
        code = {429: "REQUEST_LIMIT_EXCEEDED", 500: "INTERNAL_ERROR"}[status]
        content = f'{{"error_code": "{code}", "message": "injected"}}'.encode()
        headers = [("Content-Type", "application/json")]
        if status == 429:
            headers.append(("Retry-After", "0"))
        self._answer(handler, status, headers, content)

    def _close(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.close()

    def _kill(self, handler: BaseHTTPRequestHandler) -> None:
        self._signal(signal.SIGKILL)
        self._close(handler)

    def _signal(self, number: signal.Signals) -> None:
        assert self._known.wait(20), "nobody said whom to kill"
        assert self._victim is not None
        os.kill(self._victim, number)
