"""The jobs of an environment as they stand in its workspace."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headway.adapters.databricks import Connection
from headway.core.application import Application, Environment
from headway.core.jobfiles import PRINCIPALS
from headway.core.plan import PERMISSIONS, TAG_APP, TAG_ENVIRONMENT, TAG_JOB, ObservedJob, Settings
from headway.delivery.calling import read

AT_ONCE = 8
OWNER = "IS_OWNER"
_PAGE = 100
# While fewer than one job in so many is ours, a page with all settings costs more than one `get` for each of ours.
_SPARSE = 10


def observe(
    connection: Connection,
    app: Application,
    environment: Environment,
    known: Mapping[str, int] | None = None,
    permissions: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
) -> tuple[ObservedJob, ...]:
    """Every job that carries the tags of this application and environment, with all settings that the server has.

    `known` job ids by key find those too whose tags somebody removed. `permissions` are wanted ones by key: the
    permissions of these jobs are read as well. The list gives all settings, so that a job costs a call of its own only
    where it has more tasks than a page of the list, or where few jobs of the workspace are ours.
    """
    by_id = {job_id: key for key, job_id in (known or {}).items()}
    found: dict[int, tuple[dict[str, Any], bool]] = {}
    for job, whole in _listed(connection, app, environment, by_id):
        found[job["job_id"]] = (job["settings"], whole)
    partial = [job_id for job_id, (_, whole) in found.items() if not whole]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for job_id, given in zip(partial, pool.map(lambda id_: job_settings(connection, id_), partial), strict=True):
            found[job_id] = (given, True)
        jobs = [_observed(job_id, settings, app, environment, by_id) for job_id, (settings, _) in found.items()]
        asked = [job for job in jobs if job.key in (permissions or {})]
        rights = dict(
            zip(
                (job.job_id for job in asked),
                pool.map(lambda job: read_permissions(connection, job.job_id, (permissions or {})[job.key]), asked),
                strict=True,
            )
        )
    return tuple(_with_permissions(job, rights) for job in jobs)


def _listed(
    connection: Connection, app: Application, environment: Environment, known: Collection[int]
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Our jobs among all, each with whether its settings are whole."""
    seen = ours = 0
    token: str | None = None
    while True:
        expand = ours * _SPARSE >= seen
        query: dict[str, Any] = {"limit": _PAGE, "expand_tasks": expand}
        if token:
            query["page_token"] = token
        answer = read(connection, "/api/2.2/jobs/list", query, "jobs/list")
        for job in answer.get("jobs") or ():
            seen += 1
            settings = job.setdefault("settings", {})
            if job["job_id"] in known or _ours(settings.get("tags") or {}, app, environment):
                ours += 1
                yield job, expand and not job.get("has_more")
        token = answer.get("next_page_token")
        if not token:
            return


def _ours(tags: Mapping[str, str], app: Application, environment: Environment) -> bool:
    return tags.get(TAG_APP) == app.name and tags.get(TAG_ENVIRONMENT) == environment.name and TAG_JOB in tags


def _observed(
    job_id: int, settings: Settings, app: Application, environment: Environment, known: Mapping[int, str]
) -> ObservedJob:
    tags = settings.get("tags") or {}
    if _ours(tags, app, environment):
        return ObservedJob(str(tags[TAG_JOB]), job_id, settings)
    return ObservedJob(known[job_id], job_id, settings, "ledger")


def _with_permissions(job: ObservedJob, rights: Mapping[int, list[dict[str, str]]]) -> ObservedJob:
    if job.job_id not in rights:
        return job
    settings = {**job.settings, PERMISSIONS: rights[job.job_id]}
    return ObservedJob(job.key, job.job_id, settings, job.found_by)


def list_jobs(connection: Connection) -> list[tuple[int, dict[str, Any]]]:
    """Every job of a workspace that we may see, by number, with all its settings."""
    found: list[tuple[int, dict[str, Any]]] = []
    query: dict[str, Any] = {"limit": _PAGE, "expand_tasks": True}
    while True:
        answer = read(connection, "/api/2.2/jobs/list", query, "jobs/list")
        for job in answer.get("jobs") or ():
            settings = job_settings(connection, job["job_id"]) if job.get("has_more") else job["settings"]
            found.append((int(job["job_id"]), settings))
        if not answer.get("next_page_token"):
            return sorted(found)
        query["page_token"] = answer["next_page_token"]


def job_settings(connection: Connection, job_id: int) -> dict[str, Any]:
    """A job's settings, every page of its tasks, with fields that the SDK does not know."""
    query: dict[str, Any] = {"job_id": job_id}
    answer = read(connection, "/api/2.2/jobs/get", query, f"jobs/get {job_id}")
    settings: dict[str, Any] = answer["settings"]
    while answer.get("next_page_token"):
        query["page_token"] = answer["next_page_token"]
        answer = read(connection, "/api/2.2/jobs/get", query, f"jobs/get {job_id}")
        for name in ("tasks", "job_clusters", "parameters", "environments"):
            if name in answer["settings"]:
                there = settings.get(name, [])
                settings[name] = [*there, *(entry for entry in answer["settings"][name] if entry not in there)]
    return settings


def read_permissions(
    connection: Connection, job_id: int, wanted: Sequence[Mapping[str, str]] = ()
) -> list[dict[str, str]]:
    """The permissions that were given to a job itself, in a bundle's form. The owner counts only where `wanted` names
    one: every job has one."""
    answer = read(connection, f"/api/2.0/permissions/jobs/{job_id}", {}, f"permissions/jobs/{job_id}")
    owners = any(entry.get("level") == OWNER for entry in wanted)
    found = []
    for entry in answer.get("access_control_list") or ():
        who = next(((name, str(entry[name])) for name in PRINCIPALS if entry.get(name)), None)
        for right in entry.get("all_permissions") or ():
            if who is None or right.get("inherited") or (right["permission_level"] == OWNER and not owners):
                continue
            found.append({"level": str(right["permission_level"]), who[0]: who[1]})
    return found
