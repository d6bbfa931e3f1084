"""The server put together: engine, triggers, telling, and the HTTP application over them. Also the worker, which is
the same without a door."""

import contextlib
import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import anyio
from sqlalchemy import make_url
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from headway import __version__
from headway.adapters.identity import started
from headway.core.errors import HeadwayError
from headway.delivery.toolchain import secrets_of
from headway.pipeline import metrics
from headway.pipeline.access import KEY_FILE, TOKEN_FILE, Access, ensure_secret
from headway.pipeline.api import Api, TooLarge, answer_error, problem, read_body
from headway.pipeline.database import Database, lock_for_one, now_ms, open_database
from headway.pipeline.drift import DriftWatch
from headway.pipeline.engine import Engine
from headway.pipeline.execution import Executor
from headway.pipeline.hooks import HOOKED
from headway.pipeline.logs import mask_with
from headway.pipeline.model import App, Provider, Run
from headway.pipeline.polling import Polling
from headway.pipeline.recording import Mask
from headway.pipeline.report import Reporter, load_prices
from headway.pipeline.service import PipelineService
from headway.pipeline.settings import ServerSettings
from headway.pipeline.telling import Teller
from headway.pipeline.triggering import Triggers
from headway.pipeline.work import Hands
from headway.pipeline.workers import Workers
from headway.pipeline.workplace import Workplace
from headway.pipeline.workspaces import Workspaces

logger = logging.getLogger(__name__)
# A worker's own patience with a database that is away; the server's door answers 503 at once.
PATIENCE_SECONDS = 900.0
STOP_SECONDS = 20.0
KEEPING_SECONDS = 6 * 3600.0
# Programs that follow the events wait in threads of their own: however many there are, calls and webhooks get theirs.
MOST_FOLLOWERS = 200


class Server:
    """Everything behind the door. `variables` hold the tokens of workspaces, providers and channels."""

    def __init__(self, settings: ServerSettings, variables: Mapping[str, str], workspace: str | None = None) -> None:
        self.settings = settings
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock: IO[str] | None = lock_for_one(settings.database_url, settings.folder)
        self.database: Database = open_database(settings.database_url)
        self.stopping = threading.Event()
        self.url = settings.external_url or f"http://{settings.host}:{settings.port}"
        place = Workplace(settings, variables)
        self.place = place
        waiting = self.database.patient(PATIENCE_SECONDS, self.stopping)
        common = (self._dispatch, place.mirror, variables)
        self.service = PipelineService(self.database, *common, told=self._told)
        patient = PipelineService(waiting, *common, told=self._told)
        self.workers = Workers(self.database, settings.worker_timeout_seconds)
        self.teller = Teller(patient, settings, variables, lambda: self.url)
        key = variables.get("HEADWAY_SERVER_KEY") or ensure_secret(settings.folder / KEY_FILE)
        self.admin_token_file = settings.folder / TOKEN_FILE
        admin_token = ensure_secret(self.admin_token_file)
        mask = Mask([*own_secrets(settings, variables), key, admin_token])
        mask_with(mask)
        hands = Hands(patient, place, self.workers.id, self._dispatch, self.teller.told, mask)
        self.executor = Executor(hands, self.stopping)
        self.engine = Engine(self.database, patient, self.executor, self.workers, settings)
        self.triggers = Triggers(self.service, key.encode())
        self.polling = Polling(patient, Triggers(patient, key.encode()), place.mirror)
        self.access = Access(admin_token, settings, workspace)
        self.workspaces = Workspaces(workspace, variables)
        self.keeping = threading.Thread(target=self._keep, name="keeping", daemon=True)
        self.drift = DriftWatch(self.service, settings.drift_minutes)
        self.reporter = Reporter(self.service.deployments, self.workspaces, load_prices(settings.prices), now_ms)
        self.key = key.encode()

    def _dispatch(self, run: Run) -> None:
        self.engine.dispatch(run)

    def _works(self, run: int) -> bool:
        try:
            return not self.service.run(run).ended
        except HeadwayError as error:
            return error.code != "RUN_UNKNOWN"

    def _told(self, run: Run, app: App) -> None:
        self.teller.told(run, app)

    def start(self, *, door: bool = True) -> None:
        """Begin to work; with a `door` also to poll and to tell, which only one process does."""
        self.workers.join()
        self.place.clean(self._works)
        self.engine.start()
        if door:
            self.polling.start()
            self.teller.start()
            self.drift.start()
            self.keeping.start()

    def stop(self, *, door: bool = True) -> bool:
        """Stop: commands of applications are ended, what talks to a workspace ends its step. Return whether all of it
        did; what did not is taken up at the next start."""
        self.stopping.set()
        if door:
            self.polling.stop()
            self.teller.stop()
            self.drift.stop()
            self.keeping.join()
        idle = self.executor.wait_until_idle(STOP_SECONDS)
        self.engine.stop(parked=self.executor.parked)
        self.database.engine.dispose()
        if self._lock is not None:
            self._lock.close()
        return idle and not self.executor.parked

    def _keep(self) -> None:
        """Forget what is too old, now and every few hours."""
        while True:
            before = now_ms() - self.settings.keep_days * 86_400_000
            try:
                self.service.events.forget(before)
                self.service.runs.forget_logs(before)
            except HeadwayError as error:
                logger.warning("old logs are not forgotten now: %s", error.message)
            if self.stopping.wait(KEEPING_SECONDS):
                return

    def announce(self, url: str) -> None:
        """Tell others of this machine where this process serves."""
        self.url = self.settings.external_url or url
        pid = os.getpid()
        said = {"url": url, "pid": pid, "started": started(pid), "token_file": str(self.admin_token_file)}
        draft = self.settings.folder / f"server.{pid}.json"
        draft.write_text(json.dumps({**said, "version": __version__}))
        draft.replace(self.settings.folder / "server.json")


def own_secrets(settings: ServerSettings, variables: Mapping[str, str]) -> list[str]:
    """What no log may show: variables that look like secrets, those that the settings name, the database's password."""
    named = [variables.get(name, "") for name in (settings.slack_env, settings.smtp_password_env) if name]
    password = make_url(settings.database_url).password
    return [*secrets_of(variables).values(), *named, *([str(password)] if password else [])]


def find_server(folder: Path) -> tuple[str, Path] | None:
    """URL and token file of the server that runs on a data folder; None where none does."""
    try:
        said = json.loads((folder / "server.json").read_text())
    except (OSError, ValueError):
        return None
    return (said["url"], Path(said["token_file"])) if started(said["pid"]) == said["started"] else None


def create_app(server: Server, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The HTTP application. `more` are the pages' routes."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.stopping = server.stopping
        app.state.followers = anyio.CapacityLimiter(MOST_FOLLOWERS)
        await run_in_threadpool(server.start)
        yield
        await run_in_threadpool(server.stop)

    door = _Door(server)
    return Starlette(
        routes=[
            Route("/hooks/{provider}/{app}", door.hook, methods=["POST"]),
            Route("/healthz", door.healthz),
            Route("/readyz", door.readyz),
            Route("/metrics", door.metrics),
            *Api(server.service, server.access, server.triggers, server.reporter).routes(),
            *more,
        ],
        lifespan=lifespan,
        exception_handlers={404: _not_served, 405: _not_served},
    )


class _Door:
    def __init__(self, server: Server) -> None:
        self._server = server

    async def hook(self, request: Request) -> Response:
        """A provider's webhook."""
        name = request.path_params["provider"]
        provider: Provider | None = next((known for known in HOOKED if known == name), None)
        if provider is None:
            return problem(404, "PROVIDER_UNKNOWN", f"there are webhooks of {', '.join(HOOKED)}")
        limit = int(self._server.settings.webhook_mib * 2**20)
        try:
            body = await read_body(request, limit)
        except TooLarge:
            logger.warning("a webhook of %s was refused: more than %d bytes", provider, limit)
            return problem(413, "TOO_LARGE", f"a webhook has at most {limit} bytes")
        headers = {key.lower(): value for key, value in request.headers.items()}
        try:
            receive = self._server.triggers.receive
            answer = await run_in_threadpool(receive, provider, request.path_params["app"], headers, body)
        except Exception as error:  # noqa: BLE001  (the edge)
            return answer_error(error, request)
        return JSONResponse({"message": answer.message, "run": answer.run}, status_code=answer.status)

    async def healthz(self, _: Request) -> Response:
        """The process lives."""
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """Runs can be taken: the database answers, and nobody stops this process."""
        if self._server.stopping.is_set():
            return PlainTextResponse("stopping\n", status_code=503)
        try:
            await run_in_threadpool(self._server.service.last_event)
        except HeadwayError as error:
            return PlainTextResponse(f"{error.message}\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def metrics(self, request: Request) -> Response:
        """The engine in figures."""
        try:
            text = await run_in_threadpool(metrics.exposition, self._server.service, self._server.drift)
        except Exception as error:  # noqa: BLE001  (the edge)
            return answer_error(error, request)
        return Response(text, media_type=metrics.CONTENT_TYPE)


def _not_served(request: Request, _: Exception) -> Response:
    return problem(501, "NOT_IMPLEMENTED", f"{request.method} {request.url.path} is not served here")
