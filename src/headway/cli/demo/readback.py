"""Read the demo's workspace back: jobs, bytes, counts, scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.cli.demo.data import download, download_folder
from headway.core.application import Application
from headway.core.plan import TAG_ENVIRONMENT, TAG_JOB
from headway.core.references import artifact_path
from headway.core.release import Release

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def settings(client: WorkspaceClient) -> dict[str, dict[str, Any]]:
    """The settings of every job, by environment and key."""
    found: dict[str, dict[str, Any]] = {"stage": {}, "production": {}}
    for job_id, tags in _tagged(client):
        answer: Any = client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})
        found.setdefault(tags[TAG_ENVIRONMENT], {})[tags[TAG_JOB]] = answer["settings"]
    return found


def job_ids(client: WorkspaceClient, environment: str) -> dict[str, int]:
    """The jobs of an environment by key."""
    return {tags[TAG_JOB]: job_id for job_id, tags in _tagged(client) if tags[TAG_ENVIRONMENT] == environment}


def _tagged(client: WorkspaceClient) -> Iterator[tuple[int, Mapping[str, str]]]:
    for job in client.jobs.list():
        tags = (job.settings.tags if job.settings else None) or {}
        if TAG_ENVIRONMENT in tags and job.job_id is not None:
            yield job.job_id, tags


def run_seconds(client: WorkspaceClient, after: int) -> tuple[float, int]:
    """The wall seconds of all runs with ids above `after`, as the workspace tells them; and the newest id."""
    total, newest = 0.0, after
    for run in client.jobs.list_runs(limit=25):
        if run.run_id is None or run.run_id <= after:
            break
        newest = max(newest, run.run_id)
        total += max(0, (run.end_time or 0) - (run.start_time or 0)) / 1000
    return total, newest


def artifact_paths(client: WorkspaceClient, environments: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """The paths of the JARs, wheels and notebooks of each job."""
    found = settings(client)
    return {name: {key: sorted(set(_paths(job))) for key, job in found[name].items()} for name in environments}


def _paths(job: Mapping[str, Any]) -> Iterator[str]:
    for task in job.get("tasks", []):
        for library in task.get("libraries", []):
            yield from (str(value) for key, value in library.items() if key in ("jar", "whl"))
        if "notebook_task" in task:
            yield task["notebook_task"]["notebook_path"]


def pointing_elsewhere(client: WorkspaceClient, environments: Sequence[str], version: str) -> list[str]:
    """Every job that has a path of another version."""
    problems = []
    for environment, jobs in artifact_paths(client, environments).items():
        if not jobs:
            problems.append(f"{environment} has no jobs")
        problems += [
            f"{environment} {key}: {path}" for key, paths in jobs.items() for path in paths if version not in path
        ]
    return problems


def wrong_bytes(client: WorkspaceClient, app: Application, release: Release) -> list[str]:
    """Every artifact whose bytes in the workspace have another digest than the release says."""
    problems = []
    for artifact in release.artifacts.values():
        if artifact.kind != "notebooks":
            path = artifact_path(app, str(release.version), artifact)
            digest = hashlib.sha256(download(client, path)).hexdigest()
            if digest != artifact.sha256:
                problems.append(f"{path} has digest {digest}, built was {artifact.sha256}")
    return problems


def counts(client: WorkspaceClient, root: str, scratch: Path) -> dict[str, int]:
    """What became of every line, summed over the batches."""
    total: dict[str, int] = {}
    for path in download_folder(client, f"{root}/live/counts", scratch / "counts"):
        if path.suffix == ".json":
            for line in path.read_text().splitlines():
                for key, value in json.loads(line).items():
                    total[key] = total.get(key, 0) + value
    return total


def scores(client: WorkspaceClient, root: str, scratch: Path) -> dict[str, int]:
    """The rubric level of each session, by registration."""
    import pyarrow.parquet

    found: dict[str, int] = {}
    for path in download_folder(client, f"{root}/live/scores", scratch / "scores"):
        if path.suffix == ".parquet":
            table = pyarrow.parquet.read_table(path, columns=["registration", "rubric_level"])
            found |= {row["registration"]: row["rubric_level"] for row in table.to_pylist()}
    return found
