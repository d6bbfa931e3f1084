"""Writes `docs/workspace-api.md`: every route of the SDK's services that users touch, and whether it is served.

The routes are read from the SDK's own source, those served from the workspace's own table. Run by hand after a change
(`PYTHONPATH=tests python -m tools.workspace_api`); `tests/api/test_coverage.py` fails while the page is not true.
"""

import ast
import importlib.util
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.workspace.http import Endpoint
from headway.workspace.refused import why_refused

PAGE = Path(__file__).resolve().parent.parent / "docs" / "workspace-api.md"
# The SDK's modules, and the classes in them that users of jobs, clusters, files, SQL and catalogs call.
SERVICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Jobs", "jobs", ("JobsAPI", "PolicyComplianceForJobsAPI")),
    ("Clusters", "compute", ("ClustersAPI",)),
    ("Libraries", "compute", ("LibrariesAPI",)),
    ("Cluster policies", "compute", ("ClusterPoliciesAPI", "PolicyFamiliesAPI", "PolicyComplianceForClustersAPI")),
    ("Instance pools", "compute", ("InstancePoolsAPI",)),
    ("Init scripts, instance profiles", "compute", ("GlobalInitScriptsAPI", "InstanceProfilesAPI")),
    ("Command execution", "compute", ("CommandExecutionAPI",)),
    ("DBFS", "files", ("DbfsAPI",)),
    ("Files", "files", ("FilesAPI",)),
    ("Workspace", "workspace", ("WorkspaceAPI",)),
    ("Repos, git credentials", "workspace", ("ReposAPI", "GitCredentialsAPI")),
    ("Secrets", "workspace", ("SecretsAPI",)),
    ("Tokens", "settings", ("TokensAPI", "TokenManagementAPI")),
    ("Notification destinations", "settings", ("NotificationDestinationsAPI",)),
    ("Workspace settings", "settings", ("WorkspaceConfAPI", "IpAccessListsAPI")),
    ("Permissions", "iam", ("PermissionsAPI",)),
    ("SCIM", "iam", ("CurrentUserAPI", "UsersV2API", "GroupsV2API", "ServicePrincipalsV2API")),
    ("OAuth secrets", "oauth2", ("ServicePrincipalSecretsProxyAPI",)),
    ("SQL", "sql", ("WarehousesAPI", "StatementExecutionAPI", "QueryHistoryAPI", "DataSourcesAPI")),
    ("Stored SQL", "sql", ("QueriesAPI", "AlertsAPI", "AlertsV2API")),
    ("Unity Catalog", "catalog", ("CatalogsAPI", "SchemasAPI", "VolumesAPI", "TablesAPI", "MetastoresAPI")),
    ("Unity Catalog, governance", "catalog", ("GrantsAPI", "ExternalLocationsAPI", "StorageCredentialsAPI",
                                              "FunctionsAPI", "ConnectionsAPI", "RegisteredModelsAPI")),
    ("MLflow", "ml", ("ExperimentsAPI", "ModelRegistryAPI")),
)  # fmt: skip


OWN = ("/api/2.1/headway/", "/sparkui/")


@dataclass(frozen=True, order=True)
class SdkRoute:
    """A route as the SDK calls it; `{}` stands for what it fills in."""

    path: str
    method: str


def sdk_routes(module: str, classes: Sequence[str]) -> list[SdkRoute]:
    """The routes that these classes of the installed SDK call."""
    spec = importlib.util.find_spec("databricks.sdk")
    if spec is None or spec.origin is None:
        raise ImportError("databricks-sdk is not installed")
    source = (Path(spec.origin).parent / "service" / f"{module}.py").read_text(encoding="utf-8")
    nodes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    return sorted({route for name in classes if name in nodes for route in _calls(nodes[name])})


def _calls(node: ast.ClassDef) -> Iterator[SdkRoute]:
    for call in ast.walk(node):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "do"):
            continue
        method, path = (_text(argument) for argument in call.args[:2])
        if method and path:
            yield SdkRoute(path, method)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def served(route: SdkRoute, endpoints: Sequence[Endpoint]) -> bool:
    """Whether an endpoint answers what the SDK calls. What it fills in is tried as one part of a path; where no slash
    goes before (`/fs/files{}`) it is a path itself."""
    wanted = re.sub(r"(?<!/)\{\}", "/x", route.path).replace("{}", "x")
    for endpoint in endpoints:
        if endpoint.method != route.method:
            continue
        shapes = [re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\w+:path\}", ".+", path)) for path, _ in endpoint.paths]
        if any(re.fullmatch(shape, wanted) for shape in shapes):
            return True
    return False


def page(endpoints: Sequence[Endpoint]) -> str:
    """The page's text."""
    rows: list[str] = []
    total = good = chosen = 0
    for title, module, classes in SERVICES:
        routes = sdk_routes(module, classes)
        lines = []
        for route in routes:
            reason = why_refused(route.path)
            if served(route, endpoints):
                state, good = "served", good + 1
            elif reason:
                state, chosen = f"refused by choice: {reason}", chosen + 1
            else:
                state = "not yet"
            total += 1
            lines.append(f"| {route.method} | `{route.path}` | {state} |")
        rows += [f"## {title}", "", "| method | path | state |", "| --- | --- | --- |", *lines, ""]
    rows += ["## Headway's own", "", "| method | path |", "| --- | --- |"]
    own = {(endpoint.method, path) for endpoint in endpoints for path, _ in endpoint.paths if path.startswith(OWN)}
    rows += [f"| {method} | `{path}` |" for method, path in sorted(own, key=lambda one: (one[1], one[0]))]
    head = [
        "# The workspace's API",
        "",
        "Written by `PYTHONPATH=tests python -m tools.workspace_api` from the routes that the workspace serves and",
        "those that the official `databricks-sdk` calls; a test keeps it true. What is not served answers 501.",
        "",
        f"Of {total} routes, {good} are served, {chosen} refused by choice, {total - good - chosen} not served yet.",
        "",
    ]
    return "\n".join([*head, *rows]).rstrip() + "\n"


def endpoints() -> list[Endpoint]:
    """Everything that a workspace serves: one is put together in a scratch folder, and closed again."""
    from support.served_workspace import assembled

    with tempfile.TemporaryDirectory() as folder, assembled(Path(folder)) as workspace:
        return list(workspace.endpoints)


if __name__ == "__main__":
    PAGE.write_text(page(endpoints()), encoding="utf-8")
