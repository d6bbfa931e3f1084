"""Routes of the Databricks API that this workspace does not serve, by choice. Pure.

A request to one of them answers 501 with the reason; whatever else is not served answers 501 too, and may come.
"""

import re

# The beginning of the path after `/api/<version>`, and why. The first that fits counts.
REFUSED: tuple[tuple[str, str], ...] = (
    ("/unity-catalog/bindings", "there is one workspace, so nothing to bind catalogs to"),
    ("/unity-catalog/workspace-bindings", "there is one workspace, so nothing to bind catalogs to"),
    ("/unity-catalog/metastores", "there is one metastore, made with the workspace"),
    ("/unity-catalog/workspaces", "there is one metastore, made with the workspace"),
    ("/unity-catalog/external-locations", "external volumes and tables lie in dbfs:/, which needs no location"),
    ("/unity-catalog/storage-credentials", "Spark takes credentials of object stores from the cluster's settings"),
    ("/unity-catalog/credentials", "Spark takes credentials of object stores from the cluster's settings"),
    ("/unity-catalog/temporary-", "files are reached directly; no credentials are handed out"),
    ("/unity-catalog/connections", "no federation with other databases"),
    ("/unity-catalog/models", "model serving and registries are outside of delivery of Spark applications"),
    ("/unity-catalog/functions", "functions live in a session; permanent ones are not kept"),
    ("/unity-catalog/", "governance of Unity Catalog is not what this workspace is for"),
    ("/mlflow/registered-models", "model registries are outside of delivery of Spark applications"),
    ("/mlflow/model-versions", "model registries are outside of delivery of Spark applications"),
    ("/mlflow/databricks", "model registries are outside of delivery of Spark applications"),
    ("/mlflow/transition-requests", "model registries are outside of delivery of Spark applications"),
    ("/mlflow/comments", "model registries are outside of delivery of Spark applications"),
    ("/mlflow/registry-webhooks", "model registries are outside of delivery of Spark applications"),
    ("/mlflow/logged-models", "the files of a logged model lie in dbfs:/, where clients read them"),
    ("/sql/alerts", "alerts and dashboards are not served: SQL runs by statements and by jobs"),
    ("/alerts", "alerts and dashboards are not served: SQL runs by statements and by jobs"),
    ("/sql/history", "the history of statements is not kept: what they gave is, for an hour"),
    ("/sql/config/warehouses", "warehouses have no settings beyond their own"),
    ("/sql/queries", "stored queries are not served: SQL lies in files, with the application"),
    ("/queries", "stored queries are not served: SQL lies in files, with the application"),
    ("/preview/sql/", "the older SQL API (stored queries, dashboards) is not served"),
    ("/sql/visualizations", "alerts and dashboards are not served: SQL runs by statements and by jobs"),
    ("/sql/dashboards", "alerts and dashboards are not served: SQL runs by statements and by jobs"),
    ("/redash-v3/", "alerts and dashboards are not served: SQL runs by statements and by jobs"),
    ("/lakeview/", "dashboards are not served"),
    ("/instance-profiles", "there are no cloud machines that could have a profile"),
    ("/accounts/", "there is one workspace and no account above it"),
    ("/ip-access-lists", "the workspace listens on loopback unless told; a proxy in front limits who reaches it"),
    ("/policies/clusters/list-compliance", "a policy is enforced when a cluster is made; nothing drifts from it"),
    ("/policies/clusters/get-compliance", "a policy is enforced when a cluster is made; nothing drifts from it"),
    ("/policies/clusters/enforce-compliance", "a policy is enforced when a cluster is made; nothing drifts from it"),
    ("/policies/clusters:cancelPendingClusterEnforcement", "there is no enforcement of compliance to be canceled"),
    ("/policy-families", "policies are written here: there are no families of them"),
    ("/policies/jobs/", "a policy is enforced when a job is made or runs; nothing drifts from it"),
    ("/serving-endpoints", "model serving is outside of delivery of Spark applications"),
    ("/pipelines", "Delta Live Tables are a service of Databricks, not of Apache Spark"),
    ("/vector-search", "not a part of Apache Spark"),
    ("/genie", "not a part of Apache Spark"),
)


# The same for paths that have something of the user's in their middle. `{}` is how the SDK's own source has it.
BELOW: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"/mlflow/(\{\}|experiments/[^/]+/issues).*"),
        "issues are found in traces of language models: traces are not kept here, experiments and runs are",
    ),
)
# The same for paths outside of `/api/<version>`.
ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("/sql/1.0/", "Thrift (JDBC, ODBC, databricks-sql-connector) is not served: SQL runs by statements"),
    ("/sql/protocolv1/", "Thrift (JDBC, ODBC, databricks-sql-connector) is not served: SQL runs by statements"),
    ("/api/warehouses/v1/", "every statement names its warehouse: there is none by default"),
)


def why_refused(path: str) -> str | None:
    """Why a route is not served by choice; None where it is not that. `path` begins with `/api/<version>/`."""
    elsewhere = next((reason for start, reason in ELSEWHERE if path.startswith(start)), None)
    if elsewhere is not None:
        return elsewhere
    pieces = path.split("/", 3)
    if len(pieces) < 4 or pieces[1] != "api":
        return None
    rest = f"/{pieces[3]}"
    if rest.startswith("/accounts/servicePrincipals/"):  # the workspace's own, by an old path
        return None
    for shape, reason in BELOW:
        if shape.fullmatch(rest):
            return reason
    return next((reason for start, reason in REFUSED if rest.startswith(start)), None)
