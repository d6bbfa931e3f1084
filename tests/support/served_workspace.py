"""A workspace served in this process, whose drivers run Python functions instead of Spark: for its API and engine."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from headway.workspace.application import create_app
from headway.workspace.auth import Tokens, ensure_admin_token
from headway.workspace.catalogue import NODE_TYPES, Catalogue
from headway.workspace.engine.timers import Timers
from headway.workspace.http import Endpoint
from headway.workspace.runtime.libraries import library_name
from headway.workspace.runtime.tasks import (
    ApiAccess,
    CommandOutcome,
    ContextLanguage,
    DriverFailed,
    DriverSpec,
    Library,
    NotebookTask,
    Runtime,
    TaskOutcome,
    TaskRequest,
)
from headway.workspace.server import Workspace
from headway.workspace.services.secrets.store import SecretStore
from headway.workspace.settings import WorkspaceSettings

RUNTIME = Runtime("4.3.x-scala2.13", "4.3", "4.3.0", "2.13", Path("python"), Path("spark"), Path("java"))
KEY = RUNTIME.key

Act = Callable[["FunctionDriver", TaskRequest, threading.Event], str | TaskOutcome | None]
"""What a task does; a TaskOutcome is how it ended, a text its notebook's result."""

Command = Callable[[ContextLanguage, str, threading.Event], CommandOutcome]
"""What a command in a context does; the event says that it is canceled."""


class FunctionDriver:
    """Runs the function that is registered for a task's key. It may print to the log, wait for its cancel, raise."""

    spark_version = "4.3.0"
    application_id = "local-1"

    def __init__(self, fleet: "FunctionFleet", folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.fleet, self.folder, self.env = fleet, folder, env or {}
        self.alive = True
        self.tainted = False
        self.libraries: tuple[Library, ...] = ()
        self.outcomes: dict[str, TaskOutcome] = {}
        self._cancels: dict[str, threading.Event] = {}
        self._contexts: dict[str, threading.Event] = {}
        (folder / "logs").mkdir(parents=True)
        self.host, self.ready_ms = "10.0.0.1", 1_700_000_000_000
        self.workers: list[dict[str, Any]] = []

    def executors(self) -> list[dict[str, Any]]:
        """Those that the test says."""
        return self.workers

    def run(self, request: TaskRequest) -> TaskOutcome:
        """Run it to its end. Without a task key (a SQL statement) the act is named by the task's class."""
        key = request.context.get("task_key", type(request.task).__name__)
        canceled = self._cancels.setdefault(request.run_id, threading.Event())
        request.log.parent.mkdir(parents=True, exist_ok=True)
        self.fleet.requests.append(request)
        try:
            act = self.fleet.acts.get(key)
            result = act(self, request, canceled) if act else None
        except DriverFailed:
            raise
        except Exception as error:  # noqa: BLE001  (as a driver tells of user code)
            return TaskOutcome("FAILED", f"{type(error).__name__}: {error}", "the trace")
        if canceled.is_set():
            return TaskOutcome("CANCELED")
        if isinstance(result, TaskOutcome):
            return result
        return TaskOutcome("SUCCESS", notebook_result=result if isinstance(request.task, NotebookTask) else None)

    def resume(self, run_id: str) -> TaskOutcome | None:
        """What came of a run that began before."""
        return self.outcomes.get(run_id)

    def cancel(self, run_id: str) -> None:
        """End a run."""
        self._cancels.setdefault(run_id, threading.Event()).set()

    def install(self, libraries: Sequence[Library]) -> None:
        """For all that it runs, unless one of them is broken."""
        for library in libraries:
            if library_name(library) in self.fleet.broken:
                raise ValueError(self.fleet.broken[library_name(library)])
        self.libraries = tuple(dict.fromkeys((*self.libraries, *libraries)))

    def create_context(
        self,
        libraries: tuple[Library, ...] = (),
        context: Mapping[str, str] | None = None,
        api: ApiAccess | None = None,
    ) -> str:
        """A new one."""
        context_id = f"context-{len(self._contexts)}"
        self._contexts[context_id] = threading.Event()
        return context_id

    def execute(self, context_id: str, language: ContextLanguage, code: str) -> CommandOutcome:
        """Run a command by the fleet's function."""
        if context_id not in self._contexts:
            return CommandOutcome("ERROR", summary="The context is gone", cause="", lost=True)
        canceled = self._contexts[context_id] = threading.Event()
        outcome = self.fleet.command(language, code, canceled)
        return CommandOutcome("CANCELED") if canceled.is_set() else outcome

    def cancel_command(self, context_id: str) -> None:
        """End the present command."""
        self._contexts[context_id].set()

    def destroy_context(self, context_id: str) -> None:
        """End a context."""
        self._contexts.pop(context_id, threading.Event()).set()


def echo(language: ContextLanguage, code: str, canceled: threading.Event) -> CommandOutcome:
    """The command of a fleet that was given none."""
    return CommandOutcome("FINISHED", text=f"{language}: {code}")


@dataclass
class FunctionFleet:
    """Makes such drivers. `acts` are functions by task key; `broken` are libraries that do not install, and why."""

    acts: dict[str, Act] = field(default_factory=dict)
    command: Command = echo
    requests: list[TaskRequest] = field(default_factory=list)
    specs: list[DriverSpec] = field(default_factory=list)
    live: list[FunctionDriver] = field(default_factory=list)
    left: dict[Path, FunctionDriver] = field(default_factory=dict)
    refuse: DriverFailed | None = None
    broken: dict[str, str] = field(default_factory=dict)

    def open(self) -> None:
        """Nothing is kept warm."""

    def adopt(self, spec: DriverSpec, pool: str | None = None) -> FunctionDriver:
        """One of `left`, by its folder."""
        if spec.folder not in self.left:
            raise DriverFailed("DRIVER_UNREACHABLE", "the driver has ended")
        self.live.append(self.left[spec.folder])
        return self.live[-1]

    def acquire(self, spec: DriverSpec, pool: str | None = None) -> FunctionDriver:
        """A new one."""
        if self.refuse is not None:
            raise self.refuse
        self.specs.append(spec)
        driver = FunctionDriver(self, spec.folder, spec.env)
        self.live.append(driver)
        return driver

    def discard(self, driver: Any) -> None:
        """End it."""
        if driver in self.live:
            self.live.remove(driver)
        driver.alive = False

    def close(self) -> None:
        """End all."""
        self.live.clear()


@dataclass(frozen=True)
class Served:
    """A served workspace."""

    url: str
    token: str
    client: WorkspaceClient
    fleet: FunctionFleet
    data: Path
    tokens: Tokens
    secrets: SecretStore
    endpoints: Sequence[Endpoint]


def assemble(
    data: Path, fleet: FunctionFleet, allow: tuple[str, ...] = (), timers: Timers | None = None, **more: Any
) -> Workspace:
    """A workspace that is not served yet. `more` are other settings."""
    settings = WorkspaceSettings(
        data=data, port=0, **{"allow_download": allow, "allow_webhook": allow, "allow_git": allow, "standby": 0, **more}
    )
    catalogue = Catalogue({KEY: RUNTIME}, {size.node_type_id: size for size in NODE_TYPES})
    return Workspace(settings, catalogue, fleet, "http://127.0.0.1:0", timers)


@contextmanager
def assembled(data: Path) -> Iterator[Workspace]:
    """A workspace that nobody calls, closed at the end."""
    workspace = assemble(data, FunctionFleet())
    yield workspace
    workspace.close()


@contextmanager
def serving(
    data: Path,
    fleet: FunctionFleet | None = None,
    allow: tuple[str, ...] = (),
    timers: Timers | None = None,
    **more: Any,
) -> Iterator[Served]:
    """Serve a workspace on a free port until the block ends. `more` are other settings."""
    fleet = fleet or FunctionFleet()
    workspace = assemble(data, fleet, allow, timers, **more)
    token = ensure_admin_token(workspace.tokens, data).read_text()
    server = uvicorn.Server(uvicorn.Config(create_app(workspace), port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    config = Config(host=url, token=token, auth_type="pat", retry_timeout_seconds=5)
    try:
        yield Served(
            url,
            token,
            WorkspaceClient(config=config),
            fleet,
            data,
            workspace.tokens,
            workspace.secrets,
            workspace.endpoints,
        )
    finally:
        server.should_exit = True
        thread.join()


def as_user(served: Served, name: str) -> WorkspaceClient:
    """A client with a token of a user who is no administrator; the user is made where it is missing."""
    if not list(served.client.users.list(filter=f'userName eq "{name}"')):
        served.client.users.create(user_name=name)
    token = served.tokens.create(name, "test")
    return WorkspaceClient(config=Config(host=served.url, token=token, auth_type="pat", retry_timeout_seconds=5))


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come about"
        threading.Event().wait(0.01)
