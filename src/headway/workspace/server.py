"""Puts the workspace together: services over one database, the jobs engine, the HTTP application."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headway.workspace.auth import Tokens
from headway.workspace.catalogue import Catalogue
from headway.workspace.database import open_database
from headway.workspace.engine.engine import Engine
from headway.workspace.engine.job_clusters import Fleet, RunClusters
from headway.workspace.engine.preparation import Files
from headway.workspace.errors import ApiError, invalid, not_implemented
from headway.workspace.http import answer_error, routes
from headway.workspace.paths import dbfs_path
from headway.workspace.runtime.leftovers import end_leftovers
from headway.workspace.runtime.tasks import FileRoots
from headway.workspace.services.clusters.planning import Planning
from headway.workspace.services.clusters.routes import ClusterRoutes
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.clusters.supervisor import ClusterSupervisor, Watcher
from headway.workspace.services.dbfs.routes import DbfsRoutes
from headway.workspace.services.dbfs.store import DbfsStore
from headway.workspace.services.files.routes import FilesRoutes
from headway.workspace.services.files.store import FilesStore
from headway.workspace.services.identity.routes import ORGANISATION, IdentityRoutes
from headway.workspace.services.jobs.routes import JobRoutes
from headway.workspace.services.jobs.store import JobStore
from headway.workspace.services.libraries.routes import LibraryRoutes
from headway.workspace.services.libraries.store import LibraryStore
from headway.workspace.services.mlflow.routes import TrackingRoutes
from headway.workspace.services.mlflow.store import TrackingStore
from headway.workspace.settings import WorkspaceSettings


class Workspace:
    """Everything behind the HTTP application. `fleet` gives the drivers."""

    def __init__(self, settings: WorkspaceSettings, catalogue: Catalogue, fleet: Fleet, base_url: str) -> None:
        self.settings = settings
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        drafts = settings.data / "drafts"
        shutil.rmtree(drafts, ignore_errors=True)
        settings.volumes.mkdir(parents=True, exist_ok=True)
        database = open_database(settings.data / "workspace.db")
        self.tokens = Tokens(database)
        self.dbfs = DbfsStore(settings.dbfs, drafts)
        self.files = FilesStore(database, settings.files, drafts)
        for folder in ("/Shared", "/Users"):
            self.files.mkdirs(folder)
        self.jobs = JobStore(database)
        roots = FileRoots(settings.dbfs, settings.files, settings.volumes)
        self.fleet = fleet
        clusters = ClusterStore(database)
        plan = Planning(catalogue, roots, settings.data / "clusters")
        self.clusters = ClusterSupervisor(clusters, fleet, plan, settings.data / "cluster-logs")
        self.watcher = Watcher(self.clusters)
        self.engine = Engine(
            self.jobs,
            lambda run, folder: RunClusters(
                self.clusters, run.run_id, run.creator, run.settings.get("job_clusters") or [], folder
            ),
            Files(self._local_file, self._notebook),
            settings.data / "runs",
            base_url,
        )
        services = (
            DbfsRoutes(self.dbfs),
            FilesRoutes(self.files),
            ClusterRoutes(clusters, self.clusters, catalogue),
            JobRoutes(self.jobs, self.engine, catalogue),
            LibraryRoutes(
                LibraryStore(database), drafts, settings.allow_download, self._place_in_dbfs, self._remove_from_dbfs
            ),
            IdentityRoutes(),
            TrackingRoutes(TrackingStore(database), self._list_dbfs),
        )
        self.endpoints = [endpoint for service in services for endpoint in service.endpoints()]

    def recover(self) -> None:
        """Take up what an earlier process left: drivers that live, runs on them, runs that wait. End the rest."""
        adopted = self.clusters.adopt()
        end_leftovers(self.settings.data / "clusters", adopted)
        self.fleet.open()
        self.engine.recover()
        self.clusters.abandoned(lambda run_id: self.jobs.run(run_id).active)
        self.watcher.start()

    def close(self) -> None:
        """End every run and every driver."""
        self.watcher.close()
        self.engine.close()
        self.clusters.close()
        self.fleet.close()

    def _local_file(self, path: str) -> Path:
        """The local file that a task's path means. Raise ApiError."""
        if path.startswith("dbfs:/"):
            return self.dbfs.local(path)
        if path.startswith("/dbfs/"):
            return self.dbfs.local(path.removeprefix("/dbfs"))
        if path.startswith("/Workspace/"):
            found = self.files.get(path)
            return self.files.local(found)
        raise invalid(f"{path} is not a path of this workspace: use dbfs:/… or /Workspace/…")

    def _notebook(self, path: str) -> tuple[str, str, str]:
        found = self.files.find(path)
        if found is None or found.object_type != "NOTEBOOK":
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Unable to access the notebook {path}: it does not exist.")
        return found.path, found.language or "PYTHON", self.files.read(found).decode("utf-8", "replace")

    def _list_dbfs(self, path: str) -> list[tuple[str, bool, int]]:
        return [(found.path, found.is_dir, found.size) for found in self.dbfs.list(path)]

    def _place_in_dbfs(self, source: Path, path: str) -> None:
        with self.dbfs.writing(path, overwrite=False) as target, source.open("rb") as origin:
            shutil.copyfileobj(origin, target)

    def _remove_from_dbfs(self, path: str) -> None:
        self.dbfs.delete(dbfs_path(path), recursive=False)


def create_app(workspace: Workspace, on_start: Callable[[], None] = lambda: None) -> Starlette:
    """The HTTP application. It takes up what was left behind at its start, and ends runs and drivers at its end."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        workspace.recover()
        on_start()
        yield
        workspace.close()

    return Starlette(
        routes=[
            *routes(workspace.endpoints, workspace.tokens),
            Route("/.well-known/databricks-config", _configuration),
        ],
        lifespan=lifespan,
        exception_handlers={404: _not_served, 405: _not_served},
    )


def _configuration(request: Request) -> Response:
    return JSONResponse({"account_id": "headway", "workspace_id": ORGANISATION, "host_type": "workspace"})


def _not_served(request: Request, _: Exception) -> Response:
    path = request.url.path
    return answer_error(not_implemented(f"{request.method} {path} is not implemented by this workspace"), request)
