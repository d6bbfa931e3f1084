"""What a release must be before anything of an environment is touched: genuine, byte by byte, and fit for its jobs."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headway.adapters.databricks import Connection, missing, translated
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application, Environment
from headway.core.compatibility import Mismatch, Named, Use, mismatches, uses_of
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress
from headway.core.plan import desired
from headway.core.references import artifact_path
from headway.core.release import Release
from headway.core.runtimes import Runtime, runtime_of
from headway.delivery.calling import read
from headway.delivery.inspecting import inspect
from headway.delivery.releasing import download_artifact, require_kept
from headway.delivery.steps import step


@dataclass(frozen=True)
class Examination:
    """What the compatibility gate saw: every task, and what does not fit."""

    environment: str
    version: str
    uses: tuple[Use, ...]
    runtimes: Mapping[str, Runtime | None]
    mismatches: tuple[Mismatch, ...]

    @property
    def refused(self) -> tuple[Mismatch, ...]:
        """Those that headway.toml does not allow."""
        return tuple(found for found in self.mismatches if not found.allowed)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "environment": self.environment,
            "version": self.version,
            "tasks": [{"job": use.job, "task": use.task, "spark_version": use.spark_version} for use in self.uses],
            "runtimes": {key: vars(runtime) if runtime else None for key, runtime in self.runtimes.items()},
            "mismatches": [found.to_json() for found in self.mismatches],
        }


def examine(
    store: ObjectStore,
    app: Application,
    environment: Environment,
    connection: Connection,
    release: Release,
    emit: Emit,
) -> None:
    """Raise HeadwayError RELEASE_NOT_GENUINE, INCOMPATIBLE. Reads only."""
    from headway.delivery.verifying import require_genuine  # slow to import

    require_kept(store, release)
    with step(emit, "verify", str(release.version), environment.name) as note:
        found = require_genuine(store, release, app.signing)
        note.detail = f"signed by {found.signer[:12]}" if found.signer else "digests; not signed"
    with step(emit, "compatibility", f"{len(app.jobs_in(environment))} jobs", environment.name) as note:
        examination = compatibility(store, app, environment, connection, release)
        for allowed in examination.mismatches:
            if allowed.allowed:
                emit(Progress(f"allowed ({allowed.allowed}): {allowed}"))
        if examination.refused:
            problems = "; ".join(str(found) for found in examination.refused)
            raise HeadwayError(
                "INCOMPATIBLE", app=app.name, version=release.version, environment=environment.name, problems=problems
            )
        note.detail = f"{len(examination.uses)} tasks on {', '.join(examination.runtimes) or 'no clusters'}"


def compatibility(
    store: ObjectStore, app: Application, environment: Environment, connection: Connection, release: Release
) -> Examination:
    """Whether each artifact fits each task that uses it. Raise HeadwayError where that cannot be told."""
    uses = tuple(
        _on_cluster(connection, use)
        for key, settings in desired(app, release, environment).items()
        for use in uses_of(key, settings)
    )
    listed = read(connection, "/api/2.1/clusters/spark-versions", {}, "clusters/spark-versions").get("versions") or ()
    names = {str(version["key"]): str(version.get("name", "")) for version in listed}
    keys = sorted({use.spark_version for use in uses if use.spark_version})
    runtimes = {key: runtime_of(key, names) for key in keys}
    found = mismatches(uses, _facts(store, app, release), runtimes, app.allowed_mismatches)
    return Examination(environment.name, str(release.version), uses, runtimes, tuple(found))


def _facts(store: ObjectStore, app: Application, release: Release) -> dict[str, Named]:
    """The facts of each artifact, by the path by which jobs name it."""
    known = {}
    with tempfile.TemporaryDirectory() as scratch:
        for artifact in release.artifacts.values():
            if artifact.kind == "notebooks":
                continue
            facts = inspect(download_artifact(store, artifact, Path(scratch)), artifact.kind)
            if facts is not None:
                path = artifact_path(app, str(release.version), artifact)
                known[path] = Named(artifact.name, artifact.file_name, facts)
    return known


def _on_cluster(connection: Connection, use: Use) -> Use:
    """The same use, with the runtime of the all-purpose cluster that it names."""
    if not use.cluster_id:
        return use
    with translated(connection, f"clusters/get {use.cluster_id}"):
        try:
            cluster = connection.client.clusters.get(use.cluster_id)
        except missing():
            return use  # the workspace itself refuses the job
    return replace(use, spark_version=cluster.spark_version or "", variables=cluster.spark_env_vars or {})
