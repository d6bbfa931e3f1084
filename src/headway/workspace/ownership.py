"""What the permissions service is told of the other services' objects: who made them, what they inherit from."""

import re
from collections.abc import Callable, Mapping

from headway.workspace.errors import ApiError, missing
from headway.workspace.principals import USERS
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.files.model import WorkspaceObject
from headway.workspace.services.files.store import FilesStore
from headway.workspace.services.instance_pools.store import PoolStore
from headway.workspace.services.jobs.run_store import RunStore
from headway.workspace.services.jobs.store import JobStore
from headway.workspace.services.libraries.store import LibraryStore
from headway.workspace.services.mlflow.logged_store import LoggedModelStore
from headway.workspace.services.mlflow.model import Experiment
from headway.workspace.services.mlflow.store import TrackingStore
from headway.workspace.services.permissions.model import Known
from headway.workspace.services.policies.store import PolicyStore
from headway.workspace.services.sql.store import WarehouseStore

Source = Callable[[str], Known]
TREE_KINDS = {"DIRECTORY": "directories", "NOTEBOOK": "notebooks", "FILE": "files", "REPO": "repos"}
_HOME = re.compile(r"/(?:Users|Repos)/([^/]+)")
_LISTED = ("/", "/Users", "/Repos", "/Shared")


def object_sources(
    jobs: JobStore,
    runs: RunStore,
    clusters: ClusterStore,
    files: FilesStore,
    libraries: LibraryStore,
    warehouses: WarehouseStore,
    pools: PoolStore,
    policies: PolicyStore,
    tracking: TrackingStore,
    models: LoggedModelStore,
) -> Mapping[str, Source]:
    """Sources by kind. `runs` stands for a run's job, or for the run where it has none; `paths` for what lies at a path
    of the workspace tree; `new-paths` for that or the nearest folder above it."""

    def job(object_id: str) -> Known:
        return Known("jobs", object_id, jobs.job(_number(object_id, "Job")).creator)

    def run(object_id: str) -> Known:
        found = runs.run(_number(object_id, "Run"))
        if found.job_id is not None:
            try:
                return job(str(found.job_id))
            except ApiError:  # the job is gone: its run is left to who started it
                pass
        return Known("jobs", f"run-{found.run_id}", found.creator)

    def cluster(object_id: str) -> Known:
        return Known("clusters", object_id, clusters.get(object_id).creator)

    def warehouse(object_id: str) -> Known:
        return Known("warehouses", object_id, warehouses.get(object_id).creator)

    def pool(object_id: str) -> Known:
        return Known("instance-pools", object_id, pools.get(object_id).creator)

    def in_tree(object_id: str) -> Known:
        return _known(files, files.by_id(_number(object_id, "Workspace object")))

    def path(name: str) -> Known:
        return _known(files, files.get(name))

    def new_path(name: str) -> Known:
        place = files.name(name)
        while True:
            found = files.find(place)
            if found is not None:
                return _known(files, found)
            place = place.rpartition("/")[0] or "/"

    def experiment(found: Experiment) -> Known:
        """Its name is a path: it inherits from the folder that it is in."""
        parent = None
        try:
            folder = new_path(found.name.rpartition("/")[0] or "/")
            parent = (folder.kind, folder.object_id)
        except ApiError:  # no path of the tree
            pass
        return Known("experiments", str(found.experiment_id), found.creator, parent)

    def tracked_run(run_id: str) -> Known:
        return experiment(tracking.experiment(tracking.run(run_id).experiment_id))

    def logged_model(model_id: str) -> Known:
        return experiment(tracking.experiment(models.get(model_id, deleted=True).experiment_id))

    def library(object_id: str) -> Known:
        return new_path(libraries.get(_number(object_id, "Library")).folder)

    def policy(object_id: str) -> Known:
        return Known("cluster-policies", policies.get(object_id).policy_id)

    def tokens(object_id: str) -> Known:
        if object_id != "tokens":
            raise missing(f"authorization/{object_id[:50]} does not exist.")
        return Known("authorization", object_id, open={USERS: "CAN_USE"})

    return {
        "jobs": job,
        "runs": run,
        "clusters": cluster,
        "warehouses": warehouse,
        "instance-pools": pool,
        **dict.fromkeys(TREE_KINDS.values(), in_tree),
        "paths": path,
        "new-paths": new_path,
        "workspace-libraries": library,
        "experiments": lambda object_id: experiment(tracking.experiment(_number(object_id, "Experiment"))),
        "experiment-names": lambda name: experiment(tracking.experiment_by_name(name)),
        "mlflow-runs": tracked_run,
        "logged-models": logged_model,
        "authorization": tokens,
        "cluster-policies": policy,
    }


def _known(files: FilesStore, found: WorkspaceObject) -> Known:
    parent = None
    if found.path != "/":
        above = files.get(found.path.rpartition("/")[0] or "/")
        parent = (TREE_KINDS[above.object_type], str(above.object_id))
    home = _HOME.fullmatch(found.path)
    return Known(
        TREE_KINDS[found.object_type],
        str(found.object_id),
        home.group(1) if home else found.creator,
        parent,
        {USERS: "CAN_MANAGE"} if found.path == "/Shared" else {},
        found.path in _LISTED,
    )


def _number(text: str, what: str) -> int:
    try:
        found = int(text)
    except ValueError:
        raise missing(f"{what} {text[:50]} does not exist.") from None
    if not 0 <= found < 2**63:
        raise missing(f"{what} {text[:50]} does not exist.")
    return found
