"""Publish a release to a workspace: libraries by presigned URL, notebooks by import. Doing it twice changes nothing."""

import io
import json
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from headway.adapters.databricks import Connection, translated
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress
from headway.core.references import artifact_path, library_path
from headway.core.release import Artifact, Release
from headway.delivery.builders.notebooks import JUPYTER, LANGUAGES
from headway.delivery.releasing import download_artifact

if TYPE_CHECKING:
    import requests

EXPIRES_SECONDS = 300
TIMEOUT_SECONDS = 120


def publish(connection: Connection, app: Application, release: Release, store: ObjectStore, emit: Emit) -> list[str]:
    """Publish every artifact of the release; return the paths in the workspace. Raise HeadwayError PUBLISH_FAILED."""
    paths = []
    for artifact in release.artifacts.values():
        if artifact.kind == "notebooks":
            paths.append(_import_notebooks(connection, app, release, artifact, store))
        else:
            paths.append(_create_library(connection, app, artifact, store, emit))
    return paths


def _create_library(
    connection: Connection, app: Application, artifact: Artifact, store: ObjectStore, emit: Emit
) -> str:
    """`libraries/create` (API 1.2), as the seed does it. Source: the seed, "Using Deployed Libraries", step 2."""
    import requests

    path = library_path(app, artifact)
    with store.share(artifact.key, expires_seconds=EXPIRES_SECONDS) as url:
        try:
            answer = requests.post(
                f"{connection.host}/api/1.2/libraries/create",
                json={"path": path, "jar_specification": {"uri": url}},
                headers={"Authorization": f"Bearer {connection.token}"},
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException as error:
            reason = type(error).__name__
            raise HeadwayError("WORKSPACE_UNREACHABLE", host=connection.host, reason=reason) from None
    if answer.status_code == 200:
        return path
    reason = _reason(answer)
    if "NameConflictException" in reason:
        emit(Progress(f"{path} is published already"))
        return path
    if answer.status_code in (401, 403) and "download" not in reason:
        raise HeadwayError("WORKSPACE_REFUSED_TOKEN", host=connection.host, token_env=connection.token_env)
    raise HeadwayError("PUBLISH_FAILED", path=path, host=connection.host, reason=reason)


def _reason(answer: "requests.Response") -> str:
    try:
        data = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    return str(data.get("error") or data.get("message") or f"HTTP {answer.status_code}")


def _import_notebooks(
    connection: Connection, app: Application, release: Release, artifact: Artifact, store: ObjectStore
) -> str:
    target = artifact_path(app, str(release.version), artifact)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = download_artifact(store, artifact, Path(scratch))
        with zipfile.ZipFile(bundle) as archive:
            for name in archive.namelist():
                import_notebook(connection, f"{target}/{name}", archive.read(name))
    return target


def import_notebook(connection: Connection, file: str, source: bytes) -> str:
    """Import a notebook's source at the path of `file` without its ending, unless it stands there already."""
    from databricks.sdk.errors.platform import NotFound
    from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language

    path = PurePosixPath(file)
    target = str(path.with_suffix(""))
    client = connection.client.workspace
    jupyter = path.suffix.lower() == JUPYTER
    with translated(connection, f"workspace/import {target}"):
        try:
            with client.download(target, format=ExportFormat.JUPYTER if jupyter else ExportFormat.SOURCE) as current:
                there = current.read()
                if there == source or (jupyter and _cells(there) == _cells(source)):
                    return target
        except NotFound:
            client.mkdirs(str(path.parent))
        client.upload(
            target,
            io.BytesIO(source),
            format=ImportFormat.JUPYTER if jupyter else ImportFormat.SOURCE,
            language=None if jupyter else Language(LANGUAGES[path.suffix.lower()]),
            overwrite=True,
        )
    return target


def _cells(notebook: bytes) -> list[tuple[str, str]] | None:
    """What a Jupyter notebook says, without what a workspace may add to it on its way; None where it is none."""
    try:
        found = json.loads(notebook)["cells"]
        return [(str(cell["cell_type"]), "".join(cell["source"])) for cell in found]
    except (ValueError, KeyError, TypeError):
        return None
