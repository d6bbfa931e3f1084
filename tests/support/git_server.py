"""A git server on loopback: `git http-backend` behind a login, over repositories that tests make."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ENV = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass
class Origin:
    """A repository that a test commits to."""

    folder: Path

    def git(self, *arguments: str) -> str:
        """Run git in it."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env={**os.environ, **_ENV}, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        """Write these files and commit them; the commit's hash."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@dataclass
class GitServer:
    """It. `login` is asked for below /private/. `asked` are the paths and logins that came."""

    root: Path
    url: str = ""
    login: str = "ada:t0ken"
    asked: list[tuple[str, str]] = field(default_factory=list)

    def origin(self, name: str) -> Origin:
        """A new repository, served as `name`.git."""
        folder = self.root / f"{name}.git"
        folder.mkdir(parents=True)
        origin = Origin(folder)
        origin.git("init", "--quiet", "--initial-branch=main")
        return origin


@contextmanager
def git_server(root: Path) -> Iterator[GitServer]:
    """Serve until the block ends."""
    server = GitServer(root)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Ask git's own program."""
            parts = urlsplit(self.path)
            given = self.headers.get("authorization", "")
            server.asked.append((parts.path, given))
            wanted = "Basic " + base64.b64encode(server.login.encode()).decode()
            if parts.path.startswith("/elsewhere/"):
                self.send_response(302)
                self.send_header("location", self.path.replace("/elsewhere/", "/"))
                self.end_headers()
                return
            if parts.path.startswith("/private/") and given != wanted:
                self.send_response(401)
                self.send_header("www-authenticate", 'Basic realm="git"')
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            environment = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("content-type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
                "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = [line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line]
            status = next((value for name, value in headers if name.lower() == "status"), "200 OK")
            self.send_response(int(status.split()[0]))
            for name, value in headers:
                if name.lower() != "status":
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{web.server_address[1]}"
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
