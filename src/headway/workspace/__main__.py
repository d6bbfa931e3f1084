"""The workspace's own process: `python -m headway.workspace SETTINGS.json`. Started by `process.start`."""

import contextlib
import fcntl
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from headway.core.errors import HeadwayError
from headway.workspace.application import create_app
from headway.workspace.auth import ensure_admin_token
from headway.workspace.catalogue import NODE_TYPES, Catalogue
from headway.workspace.node_types import read_node_types
from headway.workspace.process import announce
from headway.workspace.runtime.fleet import DriverFleet
from headway.workspace.runtime.history import HistoryServer
from headway.workspace.runtime.hostjar import prepare
from headway.workspace.runtime.runtimes import Runtimes, default_runtime
from headway.workspace.runtime.tasks import FileRoots
from headway.workspace.server import Workspace
from headway.workspace.settings import WorkspaceSettings
from headway.workspace.tls import Certificate, self_signed
from headway.workspace.tls import given as given_certificate


def main() -> None:
    """Serve until SIGTERM or SIGINT; then end runs and drivers."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = WorkspaceSettings.from_json(json.loads(Path(sys.argv[1]).read_text()))
    with _alone(settings.data):
        _serve(settings)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """No other process serves this folder. Raise HeadwayError WORKSPACE_RUNS; a lock of a killed one is nobody's."""
    with (data / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeadwayError("WORKSPACE_RUNS", data=data, url="an address that it has not told yet") from None
        yield


def _serve(settings: WorkspaceSettings) -> None:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    certificate = _certificate(settings)
    scheme = "https" if certificate else "http"
    url = f"{scheme}://{settings.host}:{listener.getsockname()[1]}"
    runtime = default_runtime(settings.cache)
    prepare(runtime, settings.cache, lambda message: print(message, flush=True))  # noqa: T201  (start-up progress)
    roots = FileRoots(settings.dbfs, settings.files, settings.volumes)
    fleet = DriverFleet(runtime, roots, settings.cache, settings.data / "clusters", settings.standby)
    file = settings.node_type_file
    node_types = read_node_types(file) if file else {size.node_type_id: size for size in NODE_TYPES}
    catalogue = Catalogue(Runtimes(runtime, settings.cache), node_types)
    history = HistoryServer(runtime, settings.cache, settings.data / "history")
    workspace = Workspace(settings, catalogue, fleet, url, history=history)
    token_file = ensure_admin_token(workspace.tokens, settings.data)
    trust = certificate.cert if certificate and settings.tls_self_signed else None
    app = create_app(workspace, lambda: announce(settings.data, url, os.getpid(), token_file, trust))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=10,
        ssl_certfile=certificate.cert if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _certificate(settings: WorkspaceSettings) -> Certificate | None:
    if settings.tls_cert is not None:
        return given_certificate(settings.tls_cert, settings.tls_key)
    if settings.tls_self_signed:
        return self_signed(settings.data / "tls", settings.host, datetime.now(UTC))
    return None


if __name__ == "__main__":
    try:
        main()
    except (HeadwayError, OSError) as error:
        # The last line of the log is what `process.start` tells.
        sys.exit(f"{error}")
