"""Requests that no client should send, made from the workspace's own table of routes: wrong types, paths that lead out,
numbers and texts at their limits, bodies that are not what they say."""

import json
import random
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import headway.workspace.services
from headway.workspace.http import Endpoint

TEXTS = (
    "", " ", "x", "0", "-1", "true", "None", "/", "..", "../../../../etc/passwd", "/../../outside.txt",
    "/a/../../outside.txt",     "dbfs:/../../outside.txt", "/dbfs/../outside.txt",
     "/Workspace/../../outside.txt", "/Volumes/../outside.txt",
    "file:///etc/passwd", "/link/outside.txt", "dbfs:/link/outside.txt", "//x", "a\x00b", "a\nb", "\u202e", "é" * 300,
    "x" * 5000, "%2e%2e%2f", "..%2f..%2f", "'; DROP TABLE tokens; --", "${job.id}", "{{secrets/private/key}}", "*" * 40,
    "(a+)+$", "http://127.0.0.1:1/", "2026-13-45", "0 0 0 31 2 ?", "PT1S", "1e400", "null",
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**70, -(2**63), 1.5, 1e308, [], {}, [None], [[]], [{}],
    ["x"], [1], {"": ""}, {"x": None}, {"key": {"key": []}}, [{"task_key": None}], [[[[[[[[]]]]]]]],
)  # fmt: skip
BODIES: tuple[tuple[str, bytes], ...] = (
    ("not JSON", b"{"),
    ("an array", b"[]"),
    ("a number", b"7"),
    ("text", b'"x"'),
    ("null", b"null"),
    ("bad UTF-8", b'{"name": "\xff\xfe"}'),
    ("half a surrogate", b'{"name": "\\ud800"}'),
    ("deep", b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    ("deep, never closed", b'{"a":' * 20_000),
    ("NaN", b'{"job_id": NaN}'),
    ("endless digits", b'{"job_id": 1' + b"0" * 20_000 + b"}"),
    ("twice", b'{"path": "/a", "path": "/../../outside.txt"}'),
    ("a byte order mark", b"\xef\xbb\xbf{}"),
)


@dataclass(frozen=True)
class BadRequest:
    """One request; `path` is as it goes over the wire."""

    method: str
    path: str
    body: bytes = b""
    kind: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path[:300]} ({self.kind}) {self.body[:600]!r}"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str
    headers: Mapping[str, str]


class Maker:
    """Makes them, the same ones for the same `seed`. `known` are values that exist, by the name of their field."""

    def __init__(self, known: Mapping[str, Sequence[Any]], seed: int) -> None:
        self.known = known
        self.random = random.Random(seed)
        self._names = {folder.name: _names(folder) for folder in _service_folders()}

    def requests(self, endpoint: Endpoint, count: int) -> Iterator[BadRequest]:
        """`count` with wrong fields for an endpoint, and one with each body that is not what it says."""
        for _ in range(count):
            yield self._wrong_fields(endpoint)
        for _, body in BODIES:
            yield BadRequest(endpoint.method, self._path(endpoint), body)

    def _wrong_fields(self, endpoint: Endpoint) -> BadRequest:
        names = self._names[service_of(endpoint)]
        chosen = self.random.sample(names, min(len(names), self.random.randint(1, 12)))
        chosen += [name for name in self.known if name in names and self.random.random() < 0.6]
        data = {name: self._value(name, names, 3) for name in chosen}
        path = self._path(endpoint)
        if endpoint.method in ("GET", "DELETE", "HEAD"):
            query = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in data.items()]
            return BadRequest(endpoint.method, f"{path}?{urllib.parse.urlencode(query)}")
        form = self.random.random() < 0.1
        kind = self.random.choice(
            ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain")
        )
        return BadRequest(endpoint.method, path, json.dumps(data).encode(), kind if form else "application/json")

    def _value(self, name: str, names: Sequence[str], depth: int) -> Any:
        if name in self.known and self.random.random() < 0.7:
            return self.random.choice(self.known[name])
        draw = self.random.random()
        if draw < 0.45:
            return self.random.choice(TEXTS)
        if draw < 0.8 or depth == 0:
            return self.random.choice(OTHERS)
        inner = {one: self._value(one, names, depth - 1) for one in self.random.sample(names, min(len(names), 4))}
        return inner if draw < 0.9 else [inner]

    def _path(self, endpoint: Endpoint) -> str:
        def filled(match: re.Match[str]) -> str:
            value = str(self._value(match.group(1), ["x"], 0))
            # Encoded in three ways: as it is, the slashes too, and as a client that does nothing would.
            safe = self.random.choice(("/", "", "/.%"))
            return urllib.parse.quote(value, safe=safe) or "x"

        path, _ = self.random.choice(endpoint.paths)
        return re.sub(r"\{(\w+)(?::path)?\}", filled, path)


class Sender:
    """One connection that stays open, as one caller (None: as nobody)."""

    def __init__(self, url: str, token: str | None) -> None:
        self._at = urllib.parse.urlsplit(url)
        self._token = token
        self._connection = self._open()

    def send(self, request: BadRequest) -> Answer:
        """Send it and read the whole answer."""
        headers = {"Content-Type": request.kind}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            self._connection.request(request.method, request.path, request.body or None, headers)
            found = self._connection.getresponse()
        except (ConnectionError, BrokenPipeError):  # one that the server ended, after a body that it did not read
            self._connection.close()
            self._connection = self._open()
            self._connection.request(request.method, request.path, request.body or None, headers)
            found = self._connection.getresponse()
        return Answer(found.status, found.read().decode("utf-8", "replace"), dict(found.getheaders()))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _open(self) -> HTTPConnection:
        return HTTPConnection(self._at.hostname or "", self._at.port, timeout=60)


def _service_folders() -> list[Path]:
    root = Path(str(headway.workspace.services.__file__)).parent
    return sorted(folder for folder in root.iterdir() if folder.is_dir() and folder.name != "__pycache__")


def service_of(endpoint: Endpoint) -> str:
    """The folder of the service that an endpoint is of."""
    return endpoint.handler.__module__.split(".services.")[1].split(".")[0]


def _names(folder: Path) -> list[str]:
    """The words in quotes of a service's code: among them every field that it reads."""
    source = "\n".join(module.read_text(encoding="utf-8") for module in sorted(folder.glob("*.py")))
    return sorted(set(re.findall(r'"([A-Za-z][A-Za-z_]{1,40})"', source)))
