"""The `deployJar` job: the workspace itself copies artifacts to where jobs read them. Source: the seed, steps 1–3."""

import base64
import contextlib
import json
from importlib import resources
from typing import Any

from headway.adapters.clock import Clock
from headway.adapters.databricks import Connection, missing, translated
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress
from headway.core.plan import differences
from headway.core.references import artifact_path
from headway.core.release import Artifact, Release
from headway.delivery.publishing import import_notebook
from headway.delivery.watching import EndedRun, watch

JOB = "deployJar"
EXPIRES_SECONDS = 900
TIMEOUT_SECONDS = 900


def copy_to_jobs(
    connection: Connection, app: Application, release: Release, store: ObjectStore, clock: Clock, emit: Emit
) -> EndedRun | None:
    """Bring every JAR and wheel of the release to its place. None where all of them are there: then nothing runs.

    Raise HeadwayError COPY_FAILED, DIGEST_MISMATCH.
    """
    version = str(release.version)
    wanted = [artifact for artifact in release.artifacts.values() if artifact.kind != "notebooks"]
    absent = [
        artifact for artifact in wanted if not _is_there(connection, artifact_path(app, version, artifact), artifact)
    ]
    if not absent:
        emit(Progress("every artifact is in its place already"))
        return None
    notebook = import_notebook(
        connection,
        f"{app.deploy.notebook_folder}/{JOB}.py",
        (resources.files("headway.delivery") / "notebooks" / "deployJar.py").read_bytes(),
    )
    job_id = _ensure_job(connection, notebook, app, release)
    with contextlib.ExitStack() as shared:
        files = [
            {
                "source": shared.enter_context(store.share(artifact.key, expires_seconds=EXPIRES_SECONDS)),
                "target": artifact_path(app, version, artifact),
                "sha256": artifact.sha256,
            }
            for artifact in absent
        ]
        with translated(connection, f"jobs/run-now {JOB}"):
            started = connection.client.jobs.run_now(job_id, notebook_params={"files": json.dumps(files)})
        run = watch(connection, started.run_id, clock, TIMEOUT_SECONDS)
    _check(connection, run, absent)
    return run


def _is_there(connection: Connection, path: str, artifact: Artifact) -> bool:
    """Whether `path` has the artifact's size and the digest that deployJar wrote beside it."""
    client = connection.client
    with translated(connection, f"dbfs/get-status {path}"):
        try:
            if client.dbfs.get_status(path).file_size != artifact.size:
                return False
            answer = client.dbfs.read(f"{path}.sha256", length=64)
        except missing():
            return False
    return base64.b64decode(answer.data or "").decode("ascii", "replace") == artifact.sha256


def _ensure_job(connection: Connection, notebook: str, app: Application, release: Release) -> int:
    """The job, created or brought up to date; untouched where it is as it should be."""
    name = f"{app.name}-{JOB}"
    settings: dict[str, Any] = {
        "name": name,
        "tags": {"headway_app": app.name, "headway_role": JOB},
        "max_concurrent_runs": 10,
        "tasks": [
            {"task_key": JOB, "job_cluster_key": "copy", "notebook_task": {"notebook_path": notebook}},
        ],
        "job_clusters": [
            {
                "job_cluster_key": "copy",
                "new_cluster": {
                    "spark_version": release.spark_version_key,
                    "node_type_id": app.deploy.node_type_id,
                    "num_workers": 0,
                },
            }
        ],
    }
    api = connection.client.api_client
    with translated(connection, f"jobs/list {name}"):
        found = [job.job_id for job in connection.client.jobs.list(name=name) if job.job_id is not None]
    if not found:
        with translated(connection, f"jobs/create {name}"):
            return int(api.do("POST", "/api/2.2/jobs/create", body=settings)["job_id"])
    job_id = min(found)
    with translated(connection, f"jobs/get {job_id}"):
        current = api.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})
    if differences(current["settings"], settings):
        with translated(connection, f"jobs/reset {job_id}"):
            api.do("POST", "/api/2.2/jobs/reset", body={"job_id": job_id, "new_settings": settings})
    return job_id


def _check(connection: Connection, run: EndedRun, artifacts: list[Artifact]) -> None:
    tasks = run.raw.get("tasks") or [{}]
    output: dict[str, Any] = {}
    with translated(connection, f"jobs/runs/get-output {run.run_id}"):
        task_id = tasks[0].get("run_id", run.run_id)
        found = connection.client.api_client.do("GET", "/api/2.2/jobs/runs/get-output", query={"run_id": task_id})
        output = dict(found) if isinstance(found, dict) else {}
    if not run.good:
        reason = output.get("error") or run.message
        raise HeadwayError(
            "COPY_FAILED", job=JOB, run_id=run.run_id, host=connection.host, state=run.state, reason=reason
        )
    copied = json.loads(output["notebook_output"]["result"])
    for artifact, entry in zip(artifacts, copied, strict=True):
        if entry["sha256"] != artifact.sha256:
            raise HeadwayError(
                "DIGEST_MISMATCH", what=entry["target"], actual=entry["sha256"], expected=artifact.sha256
            )
