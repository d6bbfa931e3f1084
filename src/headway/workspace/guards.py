"""The table of what a caller must hold to enter each endpoint: one place, to be read and tested as a whole.

Services do not know of permissions. What is not in this table, not public and not in OPEN is served to administrators
only: a new route is closed until somebody decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headway.workspace.http import Endpoint, Grants, Need, Shows

_RUN_VIEW, _RUN_MANAGE = Need("runs", "run_id", "CAN_VIEW"), Need("runs", "run_id", "CAN_MANAGE_RUN")
_JOB_MANAGE = Need("jobs", "job_id", "CAN_MANAGE")
_ATTACH, _RESTART, _CLUSTER = (
    Need("clusters", "cluster_id", level) for level in ("CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE")
)
_CONTEXT = Need("clusters", "clusterId", "CAN_ATTACH_TO")
_POOL_USE, _POOL = (Need("instance-pools", "instance_pool_id", level) for level in ("CAN_ATTACH_TO", "CAN_MANAGE"))
_WAREHOUSE = Need("warehouses", "id", "CAN_MANAGE")
_STATEMENT = Need("warehouses", "warehouse_id", "CAN_USE")
_EXPERIMENT_READ, _EXPERIMENT_EDIT, _EXPERIMENT_MANAGE = (
    Need("experiments", "experiment_id", level) for level in ("CAN_READ", "CAN_EDIT", "CAN_MANAGE")
)
_TRACKED_READ, _TRACKED_EDIT = (
    Need("mlflow-runs", "run_id", level, or_name="run_uuid") for level in ("CAN_READ", "CAN_EDIT")
)
_READ, _MANAGE = (Need("paths", "path", level) for level in ("CAN_READ", "CAN_MANAGE"))
_WRITE = Need("new-paths", "path", "CAN_EDIT")

NEEDS: Mapping[str, Need] = {
    "GET /jobs/get": Need("jobs", "job_id", "CAN_VIEW"),
    "POST /jobs/reset": _JOB_MANAGE,
    "POST /jobs/update": _JOB_MANAGE,
    "POST /jobs/delete": _JOB_MANAGE,
    "POST /jobs/run-now": Need("jobs", "job_id", "CAN_MANAGE_RUN"),
    "POST /jobs/runs/cancel-all": Need("jobs", "job_id", "CAN_MANAGE_RUN"),
    "GET /jobs/runs/list": Need("jobs", "job_id", "CAN_VIEW", optional=True),
    "GET /jobs/runs/get": _RUN_VIEW,
    "GET /jobs/runs/get-output": _RUN_VIEW,
    "GET /jobs/runs/export": _RUN_VIEW,
    "POST /jobs/runs/cancel": _RUN_MANAGE,
    "POST /jobs/runs/repair": _RUN_MANAGE,
    "POST /jobs/runs/delete": Need("runs", "run_id", "CAN_MANAGE"),
    "GET /clusters/get": _ATTACH,
    "GET /headway/runs/metrics": _RUN_VIEW,
    "GET /headway/runs/logs": _RUN_VIEW,
    "GET /headway/clusters/logs": _ATTACH,
    "GET /sparkui/{cluster_id}": _ATTACH,
    "GET /sparkui/{cluster_id}/{path:path}": _ATTACH,
    "POST /clusters/events": _ATTACH,
    "POST /clusters/start": _RESTART,
    "POST /clusters/restart": _RESTART,
    "POST /clusters/delete": _RESTART,
    "POST /clusters/edit": _CLUSTER,
    "POST /clusters/update": _CLUSTER,
    "POST /clusters/resize": _CLUSTER,
    "POST /clusters/permanent-delete": _CLUSTER,
    "POST /clusters/pin": _CLUSTER,
    "POST /clusters/unpin": _CLUSTER,
    "POST /libraries/install": _CLUSTER,
    "POST /libraries/uninstall": _CLUSTER,
    "GET /libraries/cluster-status": _ATTACH,
    "POST /libraries/attach": Need("clusters", "clusterId", "CAN_MANAGE"),
    "POST /libraries/create": Need("new-paths", "path", "CAN_EDIT"),
    "POST /libraries/upload": Need("new-paths", "folder", "CAN_EDIT", default="/"),
    "POST /libraries/delete": Need("workspace-libraries", "libraryId", "CAN_EDIT"),
    "POST /contexts/create": _CONTEXT,
    "GET /contexts/status": _CONTEXT,
    "POST /contexts/destroy": _CONTEXT,
    "POST /commands/execute": _CONTEXT,
    "GET /commands/status": _CONTEXT,
    "POST /commands/cancel": _CONTEXT,
    "GET /instance-pools/get": _POOL_USE,
    "POST /instance-pools/edit": _POOL,
    "POST /instance-pools/delete": _POOL,
    "GET /sql/warehouses/{id}": Need("warehouses", "id", "CAN_VIEW"),
    "POST /sql/warehouses/{id}/start": Need("warehouses", "id", "CAN_USE"),
    "POST /sql/warehouses/{id}/stop": _WAREHOUSE,
    "POST /sql/warehouses/{id}/edit": _WAREHOUSE,
    "DELETE /sql/warehouses/{id}": _WAREHOUSE,
    "POST /sql/statements": _STATEMENT,
    "POST /sql/statements/": _STATEMENT,
    "POST /mlflow/experiments/create": Need("new-paths", "name", "CAN_EDIT"),
    "GET /mlflow/experiments/get": _EXPERIMENT_READ,
    "GET /mlflow/experiments/get-by-name": Need("experiment-names", "experiment_name", "CAN_READ"),
    "POST /mlflow/experiments/update": _EXPERIMENT_MANAGE,
    "POST /mlflow/experiments/delete": _EXPERIMENT_MANAGE,
    "POST /mlflow/experiments/restore": _EXPERIMENT_MANAGE,
    "POST /mlflow/experiments/set-experiment-tag": _EXPERIMENT_EDIT,
    "POST /mlflow/runs/create": _EXPERIMENT_EDIT,
    "GET /mlflow/runs/get": _TRACKED_READ,
    "GET /mlflow/metrics/get-history": _TRACKED_READ,
    "GET /mlflow/artifacts/list": _TRACKED_READ,
    **{
        f"POST /mlflow/runs/{name}": _TRACKED_EDIT
        for name in (
            "update",
            "delete",
            "restore",
            "log-metric",
            "log-parameter",
            "set-tag",
            "delete-tag",
            "log-batch",
            "log-inputs",
            "outputs",
            "log-model",
        )
    },
    "POST /mlflow/logged-models": _EXPERIMENT_EDIT,
    "GET /mlflow/logged-models/{model_id}": Need("logged-models", "model_id", "CAN_READ"),
    **{
        f"{method} /mlflow/logged-models/{{model_id}}{below}": Need("logged-models", "model_id", "CAN_EDIT")
        for method, below in (
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/params"),
            ("PATCH", "/tags"),
            ("DELETE", "/tags/{tag_key}"),
        )
    },
    "GET /policies/clusters/get": Need("cluster-policies", "policy_id", "CAN_USE"),
    "GET /unity-catalog/catalogs/{name}": Need("catalogs", "name", "USE_CATALOG"),
    "PATCH /unity-catalog/catalogs/{name}": Need("catalogs", "name", "MANAGE"),
    "DELETE /unity-catalog/catalogs/{name}": Need("catalogs", "name", "MANAGE"),
    "POST /unity-catalog/schemas": Need("catalogs", "catalog_name", "CREATE_SCHEMA"),
    "GET /unity-catalog/schemas/{full_name}": Need("schemas", "full_name", "USE_SCHEMA"),
    "PATCH /unity-catalog/schemas/{full_name}": Need("schemas", "full_name", "MANAGE"),
    "DELETE /unity-catalog/schemas/{full_name}": Need("schemas", "full_name", "MANAGE"),
    "GET /unity-catalog/volumes/{full_name}": Need("volumes", "full_name", "READ_VOLUME"),
    "PATCH /unity-catalog/volumes/{full_name}": Need("volumes", "full_name", "MANAGE"),
    "DELETE /unity-catalog/volumes/{full_name}": Need("volumes", "full_name", "MANAGE"),
    "GET /unity-catalog/tables/{full_name}": Need("tables", "full_name", "SELECT"),
    "DELETE /unity-catalog/tables/{full_name}": Need("tables", "full_name", "MANAGE"),
    **{
        f"{method} /fs/{what}/{{path:path}}": Need(
            "volume-files", "path", "READ_VOLUME" if method in ("GET", "HEAD") else "WRITE_VOLUME"
        )
        for what in ("files", "directories")
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE")
    },
    "GET /repos/{repo_id}": Need("repos", "repo_id", "CAN_READ"),
    **{f"PATCH {path}": Need("repos", "repo_id", "CAN_EDIT") for path in ("/repos/{repo_id}", "/repos//{repo_id}")},
    **{f"DELETE {path}": Need("repos", "repo_id", "CAN_MANAGE") for path in ("/repos/{repo_id}", "/repos//{repo_id}")},
    "GET /workspace/get-status": _READ,
    "GET /workspace/export": _READ,
    "GET /workspace/list": _READ,
    "POST /workspace/import": _WRITE,
    "POST /workspace/mkdirs": _WRITE,
    "POST /workspace/delete": _MANAGE,
    "GET /workspace-files/{path:path}": _READ,
    "POST /workspace-files/import-file/{path:path}": _WRITE,
}
# The elements of an answer that a caller may not see are left out of it.
SHOWS: Mapping[str, Shows] = {
    "GET /jobs/list": Shows("jobs", "jobs", "job_id", "CAN_VIEW"),
    "GET /jobs/runs/list": Shows("runs", "runs", "run_id", "CAN_VIEW"),
    "GET /clusters/list": Shows("clusters", "clusters", "cluster_id", "CAN_ATTACH_TO"),
    "GET /libraries/all-cluster-statuses": Shows("statuses", "clusters", "cluster_id", "CAN_ATTACH_TO"),
    "GET /instance-pools/list": Shows("instance_pools", "instance-pools", "instance_pool_id", "CAN_ATTACH_TO"),
    "GET /sql/warehouses": Shows("warehouses", "warehouses", "id", "CAN_VIEW"),
    "GET /policies/clusters/list": Shows("policies", "cluster-policies", "policy_id", "CAN_USE"),
    "GET /unity-catalog/catalogs": Shows("catalogs", "catalogs", "full_name", "USE_CATALOG"),
    "GET /unity-catalog/schemas": Shows("schemas", "schemas", "full_name", "USE_SCHEMA"),
    "GET /unity-catalog/volumes": Shows("volumes", "volumes", "full_name", "READ_VOLUME"),
    "GET /unity-catalog/tables": Shows("tables", "tables", "full_name", "SELECT"),
    "GET /unity-catalog/table-summaries": Shows("tables", "tables", "full_name", "SELECT"),
    "GET /workspace/list": Shows("objects", "paths", "path", "CAN_READ"),
}
# `access_control_list` that is sent with an object is granted on it.
GRANTS: Mapping[str, Grants] = {
    "POST /jobs/create": Grants("jobs", "job_id"),
    "POST /jobs/reset": Grants("jobs", "job_id", "new_settings"),
    "POST /jobs/update": Grants("jobs", "job_id", "new_settings"),
    "POST /jobs/runs/submit": Grants("runs", "run_id"),
    "POST /instance-pools/create": Grants("instance-pools", "instance_pool_id"),
}
ADMIN = (
    "POST /clusters/change-owner",
    "POST /policies/clusters/create",
    "POST /policies/clusters/edit",
    "POST /policies/clusters/delete",
)
# What every user may do, or what the endpoint itself decides (tokens, secrets, permissions, principals).
OPEN = (
    "POST /jobs/create", "POST /jobs/runs/submit",
    "POST /clusters/create", "POST /instance-pools/create",
    "GET /clusters/spark-versions", "GET /clusters/list-node-types", "GET /clusters/list-zones",
    "GET /libraries/list", "GET /libraries/status",
    "POST /sql/warehouses",
    "GET /unity-catalog/current-metastore-assignment", "GET /unity-catalog/metastore_summary",
    "POST /unity-catalog/catalogs", "POST /unity-catalog/volumes", "GET /unity-catalog/tables/{full_name}/exists",
    "POST /repos", "GET /repos",
    "GET /mlflow/experiments/list", "POST /mlflow/experiments/search", "POST /mlflow/runs/search",
    "POST /mlflow/logged-models/search",
    "POST /telemetry-ext",
)  # fmt: skip
OPEN_BELOW = (
    "/preview/scim/", "/token/", "/secrets/", "/permissions/", "/dbfs/", "/fs/create-",
    "/mlflow-artifacts/", "/unity-catalog/permissions/", "/unity-catalog/effective-permissions/", "/sql/statements/",
    "/notification-destinations", "/git-credentials",
)  # fmt: skip


def guarded(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """The endpoints, each with what this table says of it, else with what it says of itself."""
    return [_guarded(endpoint) for endpoint in endpoints]


def decided(endpoint: Endpoint) -> bool:
    """Whether somebody has decided who may enter an endpoint."""
    name = f"{endpoint.method} {endpoint.path}"
    return (
        endpoint.admin
        or endpoint.public
        or endpoint.needs is not None
        or endpoint.shows is not None
        or name in NEEDS
        or name in SHOWS
        or name in ADMIN
        or name in OPEN
        or endpoint.path.startswith(OPEN_BELOW)
    )


def _guarded(endpoint: Endpoint) -> Endpoint:
    name = f"{endpoint.method} {endpoint.path}"
    return replace(
        endpoint,
        needs=NEEDS.get(name) or endpoint.needs,
        shows=SHOWS.get(name) or endpoint.shows,
        grants=GRANTS.get(name) or endpoint.grants,
        admin=endpoint.admin or name in ADMIN or not decided(endpoint),
    )
