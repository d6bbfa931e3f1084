"""The workspace's API under load: beside another emulator, beside a bare route, and with few and many jobs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from bench.load import Generator, Load, request
from bench.rows import Row
from headway.workspace.database import open_database, runs

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from clients.environments import environment
from support.served_process import serving_apart

SIZES = (10, 10_000, 100_000)
CONNECTIONS = (1, 16, 64)
KINDS = ("jobs/get", "jobs/list", "jobs/reset", "runs/get", "import-file")
ROUNDS = 2
MIDDLE = 16
TABLE = Path("build/bench_api.json")
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def answer(request): return JSONResponse({"job_id": 1})
uvicorn.run(Starlette(routes=[Route("/", answer)]), port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


@dataclass(frozen=True)
class Server:
    """A server on a port of loopback, and what it is asked: requests by kind."""

    port: int
    kinds: Mapping[str, list[str]]


def settings(number: int) -> dict[str, Any]:
    """A job as fleets have them: one cluster, two tasks."""
    cluster = {"spark_version": "4.3.x-scala2.13", "node_type_id": "local.small", "num_workers": 0}
    return {
        "name": f"job-{number}",
        "max_concurrent_runs": 1,
        "tags": {"team": f"t{number % 20}"},
        "job_clusters": [{"job_cluster_key": "main", "new_cluster": cluster}],
        "tasks": [
            {
                "task_key": key,
                "job_cluster_key": "main",
                "spark_python_task": {"python_file": f"dbfs:/jobs/{number}/{key}.py"},
            }
            for key in ("ingest", "score")
        ],
    }


def measure(say: Callable[[str], None]) -> list[Row]:
    """Load each; the rows tell ratios, the whole table goes to `build/bench_api.json`.

    All servers stand at once and are asked in turn, so that what else the machine does falls on each of them; of the
    rounds the best counts.
    """
    found: dict[str, Load] = {}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as scratch:
        servers: dict[str, Server] = {}
        generator = stack.enter_context(Generator())
        for size in SIZES:
            say(f"bench: the API: a workspace with {size} jobs")
            servers[f"headway {size}"] = stack.enter_context(_ours(Path(scratch) / str(size), size))
        say("bench: the API: a bare Starlette route, and minilake, an emulator from the Python registry")
        servers["bare"] = stack.enter_context(_bare())
        servers["minilake"] = stack.enter_context(_minilake(Path(scratch) / "minilake"))
        for _ in range(ROUNDS):
            for kind in KINDS:
                for count in CONNECTIONS:
                    for name, server in servers.items():
                        if kind in server.kinds:
                            load = generator.put(server.port, server.kinds[kind], count)
                            key = f"{name} {kind} {count}"
                            if key not in found or load.per_second > found[key].per_second:
                                found[key] = load
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(json.dumps({name: vars(load) for name, load in found.items()}, indent=1))
    for name, load in found.items():
        say(f"bench: {name:32} {load.per_second:7.0f}/s  p50 {load.p50:6.2f} ms  p99 {load.p99:7.2f} ms")
    return _rows(found)


def _rows(found: dict[str, Load]) -> list[Row]:
    own = found[f"headway 10 jobs/get {MIDDLE}"]
    peer, bare = found[f"minilake jobs/get {MIDDLE}"], found[f"bare jobs/get {MIDDLE}"]
    full = found[f"headway 10000 jobs/get {MIDDLE}"]
    few, many = found["headway 10 jobs/list 1"], found["headway 100000 jobs/list 1"]
    errors = sum(load.errors for name, load in found.items() if name.startswith("headway"))
    against = f"minilake: {peer.per_second:.0f} requests/s"
    return [
        Row("api_rps_vs_minilake", own.per_second, "requests/s", against, own.per_second / peer.per_second,
            "at least as many", own.per_second >= peer.per_second),
        Row("api_rps_vs_bare_route", own.per_second, "requests/s", f"bare Starlette: {bare.per_second:.0f} requests/s",
            own.per_second / bare.per_second, "at least a quarter of them", own.per_second >= bare.per_second / 4),
        Row("api_p99_ms", full.p99, "ms", f"its median, {full.p50:.1f} ms", full.p99 / full.p50,
            f"jobs/get of 10,000 at {MIDDLE} connections: under 100 ms, no errors", full.p99 < 100 and errors == 0),
        Row("list_latency_100k_vs_10", many.p50, "ms", f"jobs/list of 10 jobs: {few.p50:.2f} ms", many.p50 / few.p50,
            "flat: at most 1.5", many.p50 <= few.p50 * 1.5),
    ]  # fmt: skip


def fill(folder: Path, size: int) -> int:
    """A database with so many jobs, and a run that has ended with its tasks; return the run's id."""
    engine = open_database(folder / "workspace.db")
    common = {
        "creator": "bench", "parameters": {}, "trigger": "ONE_TIME", "life_cycle_state": "TERMINATED",
        "result_state": "SUCCESS", "state_message": "", "output": {},
        "job_id": 1, "details": {}, **dict.fromkeys(("created_ms", "started_ms", "ended_ms"), int(time.time() * 1000)),
    }  # fmt: skip
    names = ("job_id", "name", "creator", "created_ms", "settings")
    columns = f"({', '.join(names)}) values (?, ?, ?, ?, ?)"
    with engine.begin() as connection:
        rows = ((n, f"job-{n}", "bench", 1, json.dumps(settings(n))) for n in range(1, size + 1))
        connection.connection.executemany(f"insert into jobs {columns}", rows)
        run_id = int(
            connection.execute(
                insert(runs).values({**common, "name": "r", "settings": settings(1)})
            ).inserted_primary_key[0]  # type: ignore[index]
        )
        for task in settings(1)["tasks"]:
            about = {"parent_id": run_id, "root_id": run_id, "task_key": task["task_key"], "name": task["task_key"]}
            connection.execute(insert(runs).values({**common, **about, "settings": task}))
    engine.dispose()
    return run_id


@contextmanager
def _ours(folder: Path, size: int) -> Iterator[Server]:
    folder.mkdir()
    run_id = fill(folder, size)
    ids = [1 + number * 7919 % size for number in range(200)]
    files = "/api/2.0/workspace-files/import-file/Shared"
    with serving_apart(folder) as place:
        token = place.token
        yield Server(
            int(place.url.rpartition(":")[2]),
            {
                "jobs/get": [request("GET", f"/api/2.2/jobs/get?job_id={n}", token) for n in ids],
                "jobs/list": [request("GET", "/api/2.2/jobs/list?limit=10", token)],
                "jobs/reset": [
                    request("POST", "/api/2.2/jobs/reset", token, {"job_id": n, "new_settings": settings(n)})
                    for n in ids
                ],
                "runs/get": [request("GET", f"/api/2.2/jobs/runs/get?run_id={run_id}", token)],
                "import-file": [
                    request("POST", f"{files}/f{n}.txt?overwrite=true", token, "x" * 100) for n in range(50)
                ],
            },
        )


@contextmanager
def _bare() -> Iterator[Server]:
    with _served([sys.executable, "-c", BARE]) as port:
        yield Server(port, {"jobs/get": [request("GET", "/")]})


def request_of(token: str, path: str, body: object) -> urllib.request.Request:
    """A request for the standard library's client."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return urllib.request.Request(f"http://127.0.0.1{path}", json.dumps(body).encode(), headers)


def _ask(port: int, asked: urllib.request.Request) -> bytes:
    asked.full_url = asked.full_url.replace("127.0.0.1", f"127.0.0.1:{port}", 1)
    with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310  (our own server)
        return bytes(answer.read())


@contextmanager
def _minilake(folder: Path) -> Iterator[Server]:
    folder.mkdir()
    token, program = "dapi-bench", str(environment("minilake") / "minilake")
    with _served([program, "--port"], cwd=folder) as port:
        made = [
            json.loads(_ask(port, request_of(token, "/api/2.2/jobs/create", settings(number))))["job_id"]
            for number in range(1, 11)
        ]
        yield Server(
            port,
            {
                "jobs/get": [request("GET", f"/api/2.2/jobs/get?job_id={n}", token) for n in made],
                "jobs/list": [request("GET", "/api/2.2/jobs/list?limit=10", token)],
            },
        )


@contextmanager
def _served(command: list[str], cwd: Path | None = None) -> Iterator[int]:
    """A server that is given a free port as its last argument, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"PATH": os.environ["PATH"], "HOME": str(cwd or Path.cwd())}
    process = subprocess.Popen([*command, str(port)], cwd=cwd, env=variables, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
        if cwd is not None:
            shutil.rmtree(cwd, ignore_errors=True)
