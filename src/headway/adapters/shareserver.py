"""Signed, expiring URLs for files of a local store, served on loopback while somebody needs them."""

import hashlib
import hmac
import secrets
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

_POLL_SECONDS = 0.01  # how soon `close` is heard


class ShareServer:
    """Serves exactly the files that were shared, to whoever has the URL, until it expires."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._files: dict[str, Path] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()

    def share(self, key: str, path: Path, expires_seconds: int) -> str:
        """A URL for `path`, good for that long."""
        self._files[key] = path
        expires = int(time.time()) + expires_seconds
        port = self._server.server_address[1]
        return f"http://127.0.0.1:{port}/{quote(key)}?expires={expires}&signature={self.sign(key, expires)}"

    def sign(self, key: str, expires: int) -> str:
        """The signature of a key and the second (since 1970) at which it expires."""
        return hmac.new(self._secret, f"{expires}\n{key}".encode(), hashlib.sha256).hexdigest()

    def allowed(self, url: str) -> tuple[Path | None, str]:
        """The file behind a request's path and query, or why there is none."""
        parts = urlsplit(url)
        key, query = unquote(parts.path.lstrip("/")), parse_qs(parts.query)
        expires, signature = query.get("expires", [""])[0], query.get("signature", [""])[0]
        if not expires.isdigit() or not hmac.compare_digest(self.sign(key, int(expires)).encode(), signature.encode()):
            return None, "the signature does not match this URL"
        if int(expires) < time.time():
            return None, "the URL has expired"
        return self._files.get(key), "this file is not shared any more"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(shares: ShareServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            path, reason = shares.allowed(self.path)
            if path is None:
                self.send_error(403, reason)
                return
            with path.open("rb") as source:
                self.send_response(200)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(path.stat().st_size))
                self.end_headers()
                if body:
                    shutil.copyfileobj(source, self.wfile)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing: a log line would hold the signature."""

    return Handler
