"""`headway serve` and `headway worker`: the CI engine as a process. Its options are made of the settings' table."""

import inspect
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from headway.adapters.seclusion import seclude
from headway.cli.output import progress_console
from headway.core.events import Event, Progress
from headway.pipeline.settings import PREFIX, ServerSettings, load_settings

PANEL = "The CI engine"
_FILE = "settings"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("serve", rich_help_panel=PANEL)(_with_settings(serve))
    app.command("worker", rich_help_panel=PANEL)(_with_settings(worker))


def _with_settings(command: Callable[[ServerSettings], None]) -> Callable[..., None]:
    """A command whose options are the settings."""

    def run(**given: Any) -> None:
        file = given.pop(_FILE)
        command(load_settings(file, os.environ, given))

    file_help = "Settings file (TOML). A flag counts more than the environment, that more than the file."
    parameters = [_option(_FILE, Path | None, typer.Option("--settings", help=file_help, envvar=f"{PREFIX}SETTINGS"))]
    for entry in fields(ServerSettings):
        kind = type(entry.default)
        flag = f"--{entry.name.replace('_', '-')}"
        shown = entry.default if entry.default not in ("", ()) else "none"
        shown = ", ".join(shown) if isinstance(shown, tuple) else str(shown)
        text = f"{entry.metadata['help']} [{PREFIX}{entry.name.upper()}; default: {shown}]"
        names = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
        wanted: Any = list[str] | None if kind is tuple else kind | None
        parameters.append(_option(entry.name, wanted, typer.Option(names, help=text.replace("[", r"\["))))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = command.__doc__
    return run


def _option(name: str, kind: Any, option: Any) -> inspect.Parameter:
    annotation = Annotated[kind, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def serve(settings: ServerSettings) -> None:
    """Serve the CI engine: webhooks, polling, runs, approvals, an HTTP API; the embedded workspace too.

    SIGTERM stops it: what a run was doing is taken up at the next start.
    """
    import uvicorn

    from headway.pipeline.logs import set_up_logging
    from headway.pipeline.server import Server, create_app
    from headway.web import routes

    seclude()
    set_up_logging(settings.log_format)
    listener = _listen(settings)
    url = f"http://{settings.host}:{listener.getsockname()[1]}"
    variables, workspace = _variables(settings, embedded=settings.workspace)
    server = Server(settings, variables, workspace)
    app = create_app(server, routes(server))
    server.announce(url)
    progress_console.print(f"headway serves on {url}  (token in {server.admin_token_file})", markup=False)

    class Door(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            server.stopping.set()  # commands end, and so does what follows the server's events
            super().handle_exit(sig, frame)

    # uvicorn raises the signal once more when it has ended; by then it means nothing.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    Door(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)).run(sockets=[listener])
    _leave(server)


def worker(settings: ServerSettings) -> None:
    """Execute runs beside a server: several workers, on one machine or on many, share a PostgreSQL database."""
    from headway.core.errors import HeadwayError
    from headway.pipeline.logs import set_up_logging
    from headway.pipeline.server import Server

    if settings.database_url.startswith("sqlite"):
        raise HeadwayError("WORKER_NEEDS_POSTGRESQL", url=settings.database_url)
    seclude()
    set_up_logging(settings.log_format)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    variables, workspace = _variables(settings, embedded=False)
    server = Server(settings, variables, workspace)
    server.start(door=False)
    progress_console.print(f"headway works as {server.workers.id}", markup=False)
    ended.wait()
    server.stop(door=False)
    _leave(server)


def _leave(server: Any) -> None:
    """End the process, also where a step never ends: its thread would keep it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if server.executor.parked or not server.executor.wait_until_idle(0):
        os._exit(0)


def _listen(settings: ServerSettings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    return listener


def _variables(settings: ServerSettings, *, embedded: bool) -> tuple[Mapping[str, str], str | None]:
    """This process's environment and the workspace whose users may come. With the embedded workspace, what `headway
    init` writes into headway.toml means that one, where nothing else was set."""
    variables = dict(os.environ)
    if not embedded:
        return variables, variables.get("HEADWAY_WORKSPACE_HOST") or variables.get("DATABRICKS_HOST")
    from headway.workspace.process import start, status
    from headway.workspace.settings import WorkspaceSettings

    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            progress_console.print(event.message, markup=False)

    found = status(Path(settings.workspace_data).resolve())
    if not found.running:
        given = WorkspaceSettings(
            data=Path(settings.workspace_data).resolve(),
            port=settings.workspace_port,
            allow_download=("127.0.0.1",),
        )
        found = start(given, tell)
    token = found.token_file.read_text().strip() if found.token_file else ""
    ours = {"HEADWAY_WORKSPACE": (found.url or "", token)}
    ours |= dict.fromkeys(("HEADWAY_STAGE", "HEADWAY_PRODUCTION", "DATABRICKS"), ours["HEADWAY_WORKSPACE"])
    for name, (host, secret) in ours.items():
        if f"{name}_HOST" not in variables:
            variables |= {f"{name}_HOST": host, f"{name}_TOKEN": secret}
    variables.setdefault("HEADWAY_STORE", (settings.folder / "store").as_uri())
    return variables, found.url
