"""A load generator: HTTP requests again and again over a number of connections. In a process of its own.

`python -m bench.load` reads lines of `{"host", "port", "requests": [text, …], "connections", "seconds"}`; each
connection goes round the requests. For each line it prints `{"requests", "errors", "seconds", "latencies_ms": {"p50",
"p99"}}`.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Load:
    """What came of it: requests per second, latencies in milliseconds, and answers that were not 2xx."""

    per_second: float
    p50: float
    p99: float
    errors: int


def request(method: str, path: str, token: str = "", body: object = None) -> str:
    """A request as text, ready to be sent."""
    payload = "" if body is None else json.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(payload.encode())}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if payload:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", payload])


class Generator:
    """The second process, for as long as the block lasts."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def put(self, port: int, requests: list[str], connections: int, seconds: float = 0.4) -> Load:
        """Load the server on a port of loopback."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"host": "127.0.0.1", "port": port, "requests": requests}
        asked |= {"connections": connections, "seconds": seconds}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        latencies = told["latencies_ms"]
        return Load(told["requests"] / told["seconds"], latencies["p50"], latencies["p99"], told["errors"])


async def _connection(asked: dict[str, Any], until: float, latencies: list[float], bad: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection(asked["host"], asked["port"])
    texts = [text.encode() for text in asked["requests"]]
    count = 0
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(texts[count % len(texts)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        latencies.append(time.perf_counter() - began)
        if head[9:10] != b"2":
            bad.append(head[:64])
        count += 1
    writer.close()


async def _run(asked: dict[str, Any]) -> dict[str, Any]:
    latencies: list[float] = []
    bad: list[bytes] = []
    began = time.perf_counter()
    until = began + asked["seconds"]
    await asyncio.gather(*(_connection(asked, until, latencies, bad) for _ in range(asked["connections"])))
    taken = time.perf_counter() - began
    ordered = sorted(latencies)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.99))
    return {
        "requests": len(ordered),
        "errors": len(bad),
        "seconds": taken,
        "latencies_ms": {"p50": p50, "p99": p99},
        "first_error": bad[0].decode("latin-1") if bad else "",
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_run(json.loads(line)))), flush=True)
