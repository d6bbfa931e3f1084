"""Compare an environment with its ledger. Reads only."""

from collections.abc import Iterator

from headway.adapters.databricks import missing, translated
from headway.core.drift import Deviation, Drift, deviations
from headway.core.errors import HeadwayError
from headway.core.policies import jobs_only
from headway.core.references import artifact_path
from headway.core.release import Artifact, Release
from headway.delivery.deploying import make_plan
from headway.delivery.releasing import load_release
from headway.delivery.target import Target


def drift(target: Target) -> Drift:
    """What does not stand as the last deployment left it: jobs, their settings and permissions, artifacts that jobs
    read. Raise HeadwayError where the workspace or the store cannot be asked."""
    state, app, name = target.ledger.state(), target.app.name, target.environment.name
    if state.deployment is None:
        return Drift(app, name, None, None, 0, ())
    release = load_release(target.store, app, state.version) if state.version else None
    left = target.ledger.deployment(state.deployment).settings
    found = deviations(make_plan(target, release, left))
    broken = tuple(_artifacts(target, release)) if release else ()
    return Drift(app, name, state.version, state.deployment, len(jobs_only(left)), found + broken)


def _artifacts(target: Target, release: Release) -> Iterator[Deviation]:
    for artifact in release.artifacts.values():
        path = artifact_path(target.app, str(release.version), artifact)
        wrong = _wrong(target, path, artifact)
        if wrong:
            yield Deviation("artifact", artifact.name, note=f"{path} {wrong}")


def _wrong(target: Target, path: str, artifact: Artifact) -> str:
    """What is wrong with what jobs read; empty where nothing is. Sizes are compared, not bytes."""
    client = target.connection.client
    try:
        if artifact.kind == "notebooks":
            with translated(target.connection, f"workspace/get-status {path}"):
                try:
                    client.workspace.get_status(path)
                except missing():
                    return "is gone"
            return ""
        if not path.startswith("dbfs:/"):
            with translated(target.connection, f"files {path}"):
                try:
                    size = client.files.get_metadata(path).content_length
                except missing():
                    return "is gone"
        else:
            with translated(target.connection, f"dbfs/get-status {path}"):
                try:
                    size = client.dbfs.get_status(path).file_size
                except missing():
                    return "is gone"
    except HeadwayError as error:
        return f"cannot be looked at: {error.message}"
    return "" if size == artifact.size else f"has {size} bytes, the release has {artifact.size}"
