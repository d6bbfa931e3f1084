"""Puts the workspace together: services over one database, the jobs engine."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from headway.workspace.auth import ADMIN, ContextAccess, Tokens
from headway.workspace.catalogue import Catalogue
from headway.workspace.database import open_database
from headway.workspace.engine.engine import Engine
from headway.workspace.engine.job_clusters import Fleet, RunClusters
from headway.workspace.engine.notifier import Notifier
from headway.workspace.engine.preparation import Files
from headway.workspace.engine.retention import Retention
from headway.workspace.engine.scheduler import Scheduler
from headway.workspace.engine.sending import Sender
from headway.workspace.engine.timers import Timers
from headway.workspace.engine.watching import files_at
from headway.workspace.errors import ApiError, invalid
from headway.workspace.gitsources import GitSources
from headway.workspace.governing import Governor
from headway.workspace.guards import guarded
from headway.workspace.http import Door
from headway.workspace.init_scripts import InitScripts
from headway.workspace.keys import Vault, key
from headway.workspace.mailing import mail_server
from headway.workspace.observed import LiveDrivers, cluster_places, task_places
from headway.workspace.outgoing import check_url
from headway.workspace.ownership import object_sources
from headway.workspace.paths import confined, dbfs_path
from headway.workspace.pruning import prune_workspace
from headway.workspace.remotes import Remotes
from headway.workspace.runtime.history import HistoryServer
from headway.workspace.runtime.leftovers import end_leftovers
from headway.workspace.runtime.tasks import ApiAccess, FileRoots
from headway.workspace.services.clusters.log_delivery import LogDelivery
from headway.workspace.services.clusters.model import Cluster
from headway.workspace.services.clusters.planning import Planning
from headway.workspace.services.clusters.routes import ClusterRoutes
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.clusters.supervisor import ClusterSupervisor, Watcher
from headway.workspace.services.commands.routes import CommandRoutes
from headway.workspace.services.commands.store import Contexts
from headway.workspace.services.dbfs.routes import DbfsRoutes
from headway.workspace.services.dbfs.store import DbfsStore
from headway.workspace.services.files.routes import FilesRoutes
from headway.workspace.services.files.trees import Trees
from headway.workspace.services.fs.routes import FsRoutes
from headway.workspace.services.fs.store import VolumeFiles
from headway.workspace.services.global_init_scripts.routes import GlobalScriptRoutes
from headway.workspace.services.global_init_scripts.store import GlobalScriptStore
from headway.workspace.services.identity.oauth import OAuthRoutes
from headway.workspace.services.identity.routes import ORGANISATION, IdentityRoutes
from headway.workspace.services.identity.store import IdentityStore
from headway.workspace.services.instance_pools.keeping import PoolDrivers
from headway.workspace.services.instance_pools.routes import PoolRoutes
from headway.workspace.services.instance_pools.store import PoolStore
from headway.workspace.services.jobs.launching import Launcher
from headway.workspace.services.jobs.repairs import RepairStore
from headway.workspace.services.jobs.routes import JobRoutes
from headway.workspace.services.jobs.run_routes import RunRoutes
from headway.workspace.services.jobs.run_store import RunStore
from headway.workspace.services.jobs.store import JobStore
from headway.workspace.services.libraries.cluster_routes import ClusterLibraryRoutes
from headway.workspace.services.libraries.cluster_store import ClusterLibraryStore
from headway.workspace.services.libraries.installing import ClusterLibraries
from headway.workspace.services.libraries.routes import LibraryRoutes
from headway.workspace.services.libraries.store import LibraryStore
from headway.workspace.services.mlflow.logged_routes import LoggedModelRoutes
from headway.workspace.services.mlflow.logged_store import LoggedModelStore
from headway.workspace.services.mlflow.routes import TrackingRoutes
from headway.workspace.services.mlflow.store import TrackingStore
from headway.workspace.services.monitoring.keeping import KeptMetrics
from headway.workspace.services.monitoring.routes import MonitoringRoutes
from headway.workspace.services.monitoring.uis import SparkUis
from headway.workspace.services.notification_destinations.routes import DestinationRoutes
from headway.workspace.services.notification_destinations.store import DestinationStore
from headway.workspace.services.permissions.routes import PermissionRoutes
from headway.workspace.services.permissions.store import Permissions
from headway.workspace.services.policies.routes import PolicyRoutes
from headway.workspace.services.policies.store import PolicyStore
from headway.workspace.services.repos.credentials import CredentialRoutes
from headway.workspace.services.repos.routes import Checkouts, RepoRoutes
from headway.workspace.services.repos.store import CredentialStore, RepoStore
from headway.workspace.services.secrets.routes import SecretRoutes
from headway.workspace.services.secrets.store import SecretStore
from headway.workspace.services.sql.routes import SqlRoutes
from headway.workspace.services.sql.statements import Statements
from headway.workspace.services.sql.store import WarehouseStore
from headway.workspace.services.tokens.routes import TokenRoutes
from headway.workspace.services.unity.grants import Grants
from headway.workspace.services.unity.routes import UnityRoutes
from headway.workspace.services.unity.store import Metastore
from headway.workspace.services.workspace_conf.routes import ConfRoutes
from headway.workspace.services.workspace_conf.store import ConfStore
from headway.workspace.settings import WorkspaceSettings
from headway.workspace.warehouse_clusters import WarehouseClusters
from headway.workspace.writing import Writer


class Workspace:
    """Everything behind the HTTP application. `fleet` gives the drivers, `history` the UIs of those that have ended."""

    def __init__(
        self,
        settings: WorkspaceSettings,
        catalogue: Catalogue,
        fleet: Fleet,
        base_url: str,
        timers: Timers | None = None,
        history: HistoryServer | None = None,
    ) -> None:
        self.settings = settings
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        drafts = settings.data / "drafts"
        shutil.rmtree(drafts, ignore_errors=True)
        settings.volumes.mkdir(parents=True, exist_ok=True)
        database = open_database(settings.data / "workspace.db")
        self.identity = IdentityStore(database)
        self.identity.ensure("user", ADMIN, admin=True)
        self.tokens = Tokens(database, self.identity, key(settings.keys, "signing"))
        self.identity.changed, self.identity.gone = self.tokens.forget, self.tokens.revoke_all
        self.secrets = SecretStore(database, Vault(key(settings.keys, "secrets")), self.identity)
        self.permissions = Permissions(database, self.identity)
        self.door = Door(self.tokens, self.permissions, drafts)
        self.dbfs = DbfsStore(settings.dbfs, drafts)
        writer = Writer(database)
        self.files = Trees(database, settings.files, drafts, writer)
        for folder in ("/Shared", "/Users", f"/Users/{ADMIN}"):
            self.files.mkdirs(folder)
        self.identity.came = lambda name: self.files.mkdirs(f"/Users/{name}", name)
        self.jobs, self.runs = JobStore(database, writer), RunStore(database, writer)
        launcher = Launcher(self.jobs.job, self.runs)
        roots = FileRoots(settings.dbfs, settings.files, settings.volumes)
        self.fleet = fleet
        self._pools = PoolStore(database)
        catalogue = dataclasses.replace(catalogue, pool=lambda pool_id: self._pools.get(pool_id).node_type_id)
        self.pools = PoolDrivers(fleet, catalogue, roots, settings.data / "clusters")
        clusters = ClusterStore(database)
        scripts = GlobalScriptStore(database)
        init_scripts = InitScripts(scripts, self._script)
        plan = Planning(catalogue, roots, settings.data / "clusters", self.secrets.reveal, init_scripts)
        self.clusters = ClusterSupervisor(clusters, self.pools, plan, settings.data / "cluster-logs")
        self.watcher, self.history, self.metrics = Watcher(self.clusters), history, KeptMetrics(database)
        self.contexts = Contexts(self.clusters, ContextAccess(self.tokens, base_url))
        self.clusters.on_ended(self.contexts.driver_ended)
        self.libraries = ClusterLibraries(
            ClusterLibraryStore(database),
            self.clusters,
            self._local_file,
            lambda cluster_id: self._variables(clusters.get(cluster_id)),
            lambda cluster_id: catalogue.runtime(self.clusters.spec(cluster_id).get("spark_version")).scala,
        )
        self.clusters.on_started(self.libraries.driver_started)
        self.warehouses, self.statements = WarehouseStore(database), Statements(self.clusters)
        place = cluster_places(clusters, settings.data / "cluster-logs")
        self.log_delivery = LogDelivery(clusters, self._folder)
        self.clusters.on_kept(self.log_delivery.ended)
        drivers = LiveDrivers(self.clusters)
        uis = SparkUis(place, drivers, history)
        self.clusters.on_kept(self.metrics.ended)
        credentials = CredentialStore(database, Vault(key(settings.keys, "git")))
        checkouts = Checkouts(Remotes(settings.data / "git", settings.allow_git), credentials, drafts)
        git_sources = GitSources(self.files, checkouts)
        policies = PolicyStore(database)
        governor = Governor(
            policies,
            clusters,
            self.identity.principal,
            self.permissions.allows,
            self.identity.entitled,
            settings.restrict_clusters,
        )
        self.engine = Engine(
            self.runs,
            lambda run, folder: RunClusters(
                self.clusters,
                run.run_id,
                run.creator,
                run.settings.get("job_clusters") or [],
                folder,
                int(run.details.get("repair_count", 0)),
                lambda warehouse_id: self._cluster_of_warehouse(run.creator, warehouse_id),
                lambda kind, object_id, level: self._check(run.creator, kind, object_id, level),
                governor.of_run,
            ),
            Files(
                self._local_file,
                self._notebook,
                self.secrets.redactor,
                lambda user, run_id: ApiAccess(base_url, self.tokens.mint_for_run(user, run_id)),
                self.tokens.end_run,
                git_sources.checkout,
            ),
            settings.data / "runs",
            base_url,
            launch=launcher.launch,
            timers=timers,
        )
        self.scheduler = Scheduler(
            self.jobs, self.engine, self.engine.timers, self.engine.events, lambda url: files_at(self._folder(url))
        )
        destinations = DestinationStore(database, Vault(key(settings.keys, "notifications")))
        mail = mail_server(settings.smtp_url, settings.smtp_password_file, settings.mail_from)
        sender = Sender(destinations.find, self._check_webhook, mail)
        self.notifier = Notifier(self.runs, self.engine.events, self.engine.timers, sender, ORGANISATION)
        self.retention = Retention(
            lambda before_ms: prune_workspace(database, self.runs, clusters, settings.data, before_ms),
            self.engine.timers,
            settings.keep_runs_days,
        )
        job_routes = JobRoutes(
            self.jobs,
            lambda spec, user: catalogue.check(governor.of_job(spec, user)),
            self.scheduler.changed,
            lambda named: destinations.find(named) is not None,
        )
        libraries, tracking, models = LibraryStore(database), TrackingStore(database), LoggedModelStore(database)
        conf = ConfStore(database)
        self.permissions.sources.update(
            object_sources(
                self.jobs,
                self.runs,
                clusters,
                self.files,
                libraries,
                self.warehouses,
                self._pools,
                policies,
                tracking,
                models,
            )
        )
        metastore = Metastore(settings.metastore, settings.volumes, self.dbfs.local)
        privileges = Grants(database, metastore, self.identity)
        self.permissions.rules.update(privileges.rules())
        services = (
            PermissionRoutes(self.permissions),
            FsRoutes(VolumeFiles(settings.volumes, (settings.dbfs,), drafts)),
            SecretRoutes(self.secrets, self.identity.named),
            DbfsRoutes(self.dbfs),
            FilesRoutes(self.files, conf.notebooks_leave),
            ClusterRoutes(clusters, self.clusters, catalogue, governor.of_cluster, drivers),
            PolicyRoutes(policies),
            GlobalScriptRoutes(scripts),
            RepoRoutes(RepoStore(database), self.files, checkouts),
            CredentialRoutes(credentials),
            PoolRoutes(self._pools, self.pools, catalogue),
            CommandRoutes(self.contexts),
            SqlRoutes(
                self.warehouses, self.statements, WarehouseClusters(self.clusters, next(iter(catalogue.runtimes), ""))
            ),
            job_routes,
            RunRoutes(
                self.jobs,
                self.runs,
                RepairStore(database, writer),
                self.engine,
                launcher,
                job_routes.checked,
                self.secrets.redactor,
            ),
            LibraryRoutes(
                libraries,
                drafts,
                settings.allow_download,
                self._place_in_dbfs,
                self._remove_from_dbfs,
                self.libraries,
            ),
            ClusterLibraryRoutes(self.libraries),
            IdentityRoutes(self.identity),
            OAuthRoutes(self.identity, self.tokens),
            DestinationRoutes(destinations, self._check_webhook),
            TokenRoutes(self.tokens, self.identity.named, conf.token_days),
            ConfRoutes(conf),
            TrackingRoutes(tracking, models, self._list_dbfs),
            LoggedModelRoutes(tracking, models),
            MonitoringRoutes(
                task_places(self.runs, self.engine.run_folder), place, uis, self.secrets.redactor, self.metrics
            ),
            UnityRoutes(metastore, privileges),
        )
        self.endpoints = guarded([endpoint for service in services for endpoint in service.endpoints()])

    def recover(self) -> None:
        """Take up what an earlier process left: drivers that live, runs on them, runs that wait. End the rest."""
        self.clusters.on_started(self.contexts.driver_taken_over)
        for pool in self._pools.list():
            self.pools.put(pool)
        adopted = self.clusters.adopt()
        end_leftovers(self.settings.data / "clusters", adopted)
        self.fleet.open()
        self.pools.start()
        going = [task for run in self.runs.active_runs() for task in self.runs.tasks(run.run_id)]
        self.tokens.end_runs_except({str(task.run_id) for task in going})
        self.engine.recover()
        self.clusters.abandoned(lambda run_id: bool(self.runs.run(run_id).active))
        self.watcher.start()
        self.retention.start()
        self.log_delivery.start()

    def close(self) -> None:
        """End every run and every driver."""
        self.scheduler.close()
        self.retention.close()
        self.watcher.close()
        self.log_delivery.close()
        self.engine.close()
        self.notifier.close()
        self.statements.close()
        self.contexts.close()
        self.clusters.close()
        self.pools.close()
        if self.history is not None:
            self.history.close()
        self.fleet.close()
        self.metrics.close()
        self.dbfs.close()

    def _variables(self, cluster: Cluster) -> Mapping[str, str]:
        """A cluster's environment variables, with the secrets that they name. Raise ApiError."""
        return self.secrets.reveal(cluster.spec.get("spark_env_vars") or {}, cluster.creator, None)[0]

    def _check_webhook(self, url: str) -> None:
        check_url(url, self.settings.allow_webhook, "--allow-webhook")

    def _local_file(self, path: str) -> Path:
        """The local file that a task's path means. Raise ApiError."""
        named = path.removeprefix("dbfs:") if path.startswith("dbfs:/Volumes/") else path
        if named.startswith("/Volumes/"):
            return confined(self.settings.volumes, named.removeprefix("/Volumes"))
        if named.startswith("dbfs:/"):
            return self.dbfs.local(named)
        if named.startswith("/dbfs/"):
            return self.dbfs.local(named.removeprefix("/dbfs"))
        if named.startswith("file:/Workspace/"):
            named = named.removeprefix("file:")
        if named.startswith("/"):
            return self.files.local(self.files.get(named))
        raise invalid(f"{path} is not a path of this workspace: use dbfs:/…, /Volumes/… or /Workspace/…")

    def _script(self, path: str, user: str) -> Path:
        """The local file of an init script that a user may read. Raise ApiError."""
        if path.startswith("/Volumes/"):
            self._check(user, "volume-files", path, "READ_VOLUME")
        elif not path.startswith("dbfs:/"):
            self._check(user, "paths", path, "CAN_READ")
        return self._local_file(path)

    def _folder(self, url: str) -> Path:
        """The local folder that a file-arrival trigger looks at. Raise ApiError."""
        if url.startswith("/Volumes/"):
            return confined(self.settings.volumes, url.removeprefix("/Volumes"))
        return self.dbfs.local(url.removeprefix("/dbfs") if url.startswith("/dbfs/") else url)

    def _notebook(self, path: str) -> tuple[str, str, str]:
        found = self.files.find(path)
        if found is None or found.object_type != "NOTEBOOK":
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Unable to access the notebook {path}: it does not exist.")
        return found.path, found.language or "PYTHON", self.files.read(found).decode("utf-8", "replace")

    def _cluster_of_warehouse(self, user: str, warehouse_id: str) -> str:
        """The cluster of a warehouse that this user may use. Raise ApiError."""
        found = self.warehouses.get(warehouse_id)
        self._check(user, "warehouses", warehouse_id, "CAN_USE")
        return found.cluster_id

    def _check(self, user: str, kind: str, object_id: str, level: str) -> None:
        """Raise ApiError where a user does not hold that level on an object."""
        principal = self.identity.principal(user)
        if principal is None:
            raise ApiError("PERMISSION_DENIED", f"{user} is not a user of this workspace any more", 403)
        self.permissions.check(principal, kind, object_id, level)

    def _list_dbfs(self, path: str) -> list[tuple[str, bool, int]]:
        return [(found.path, found.is_dir, found.size) for found in self.dbfs.list(path)]

    def _place_in_dbfs(self, source: Path, path: str) -> None:
        with self.dbfs.writing(path, overwrite=False) as target, source.open("rb") as origin:
            shutil.copyfileobj(origin, target)

    def _remove_from_dbfs(self, path: str) -> None:
        self.dbfs.delete(dbfs_path(path), recursive=False)
