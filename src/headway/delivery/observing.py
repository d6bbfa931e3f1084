"""The jobs of an environment as they stand in its workspace."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headway.adapters.databricks import Connection, translated
from headway.core.application import Application, Environment
from headway.core.plan import TAG_APP, TAG_ENVIRONMENT, TAG_JOB, ObservedJob

AT_ONCE = 8


def observe(connection: Connection, app: Application, environment: Environment) -> tuple[ObservedJob, ...]:
    """Every job that carries the tags of this application and environment, with all settings that the server has."""
    with translated(connection, "jobs/list"):
        found = [
            job.job_id
            for job in connection.client.jobs.list(limit=100)
            if job.job_id is not None and job.settings is not None and _ours(job.settings.tags or {}, app, environment)
        ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        settings = list(pool.map(lambda job_id: job_settings(connection, job_id), found))
    return tuple(
        ObservedJob(given["tags"][TAG_JOB], job_id, given) for job_id, given in zip(found, settings, strict=True)
    )


def _ours(tags: Mapping[str, str], app: Application, environment: Environment) -> bool:
    return tags.get(TAG_APP) == app.name and tags.get(TAG_ENVIRONMENT) == environment.name and TAG_JOB in tags


def job_settings(connection: Connection, job_id: int) -> dict[str, Any]:
    """A job's settings, every page of its tasks, with fields that the SDK does not know."""
    query: dict[str, Any] = {"job_id": job_id}
    with translated(connection, f"jobs/get {job_id}"):
        answer: Any = connection.client.api_client.do("GET", "/api/2.2/jobs/get", query=query)
        settings: dict[str, Any] = answer["settings"]
        while answer.get("next_page_token"):
            query["page_token"] = answer["next_page_token"]
            answer = connection.client.api_client.do("GET", "/api/2.2/jobs/get", query=query)
            settings["tasks"] = [*settings.get("tasks", []), *answer["settings"].get("tasks", [])]
    return settings
