"""`jobs/*.yml`: job settings in the Jobs API's own schema, in a Databricks bundle's form (`resources.jobs`). Pure."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from headway.core.application import Application, JobDefinition
from headway.core.diagnostics import Diagnostic, Location
from headway.core.references import found_in, job_references, problem
from headway.core.sources import Source, read_yaml

_JOBS = "resources.jobs."
PRINCIPALS = ("user_name", "group_name", "service_principal_name")


@dataclass(frozen=True)
class KnownFields:
    """The field names of the Jobs API: of a job's settings and of a task."""

    job: frozenset[str]
    task: frozenset[str]


def read_jobs(texts: Mapping[str, str], known: KnownFields) -> tuple[dict[str, JobDefinition], list[Diagnostic]]:
    """The jobs of all files by key, and what is wrong with them."""
    jobs: dict[str, JobDefinition] = {}
    problems: list[Diagnostic] = []
    for file, text in sorted(texts.items()):
        source = _source(file, text)
        if isinstance(source, Diagnostic):
            problems.append(source)
            continue
        resources = source.data.get("resources")
        found = resources.get("jobs") if isinstance(resources, dict) else None
        if found is None and isinstance(resources, dict) and "cluster_policies" in resources:
            found = {}  # a file of policies only
        if not isinstance(found, dict) or (not found and "cluster_policies" not in (resources or {})):
            problems.append(
                Diagnostic(source.at("resources.jobs"), "resources.jobs", "expected a mapping of jobs by key")
            )
            continue
        for name in [key for key in source.data if key != "resources"]:
            problems.append(Diagnostic(source.at(name), name, "only `resources` is read from a job file"))
        for name in [key for key in resources if key not in ("jobs", "cluster_policies")]:  # type: ignore[union-attr]
            problems.append(
                Diagnostic(
                    source.at(f"resources.{name}"), f"resources.{name}", "only jobs and cluster_policies are read here"
                )
            )
        by_job = _lines_by_job(source.lines, found)
        for key, settings in found.items():
            path = f"resources.jobs.{key}"
            if not isinstance(settings, dict):
                problems.append(Diagnostic(source.at(path), path, "expected the job's settings"))
                continue
            if key in jobs:
                message = f"the job {key} is defined in {jobs[key].location} as well"
                problems.append(Diagnostic(source.at(path), path, message))
                continue
            job = JobDefinition(str(key), settings, source.at(path), by_job[str(key)])
            problems.extend(check_definition(job, known))
            jobs[str(key)] = job
    return jobs, problems


# A command reads the folder's files and the release's, which mostly are the same.
@lru_cache(maxsize=4)
def _source(file: str, text: str) -> Source | Diagnostic:
    return read_yaml(file, text)


def _lines_by_job(lines: Mapping[str, int], jobs: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """The lines of each job's fields, by the paths below it: each line is looked at once, however many jobs there
    are. Keys may have dots in them."""
    found: dict[str, dict[str, int]] = {str(key): {} for key in jobs}
    for path, line in lines.items():
        if not path.startswith(_JOBS):
            continue
        end = path.find(".", len(_JOBS))
        while end != -1:
            own = found.get(path[len(_JOBS) : end])
            if own is not None:
                own[path[end + 1 :]] = line
            end = path.find(".", end + 1)
    return found


def _where(job: JobDefinition, path: str) -> Location:
    while path and path not in job.lines:
        path = path.rpartition(".")[0]
    return Location(job.files.get(path, job.location.file), job.lines.get(path, job.location.line))


def _problem(job: JobDefinition, path: str, message: str, hint: str = "") -> Diagnostic:
    return Diagnostic(_where(job, path), f"{job.key}.{path}" if path else job.key, message, hint)


def _unknown(job: JobDefinition, keys: Mapping[str, Any], known: frozenset[str], base: str) -> Iterator[Diagnostic]:
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(str(key), sorted(known), 1)
            hint = f"did you mean {close[0]}?" if close else "see the Jobs API"
            yield _problem(job, f"{base}{key}", "unknown key", hint)


def check_definition(job: JobDefinition, known: KnownFields) -> Iterator[Diagnostic]:
    """What is wrong with a job by itself."""
    yield from _unknown(job, job.settings, known.job, "")
    name = job.settings.get("name")
    if not isinstance(name, str) or not name:
        yield _problem(job, "name", "a job needs a name")
    tags = job.settings.get("tags", {})
    if not isinstance(tags, dict):
        yield _problem(job, "tags", "expected a mapping")
    yield from _check_permissions(job)
    clusters = job.settings.get("job_clusters", [])
    shared: set[str] = set()
    if not isinstance(clusters, list):
        yield _problem(job, "job_clusters", "expected a list")
    else:
        for number, cluster in enumerate(clusters):
            if not isinstance(cluster, dict) or not isinstance(cluster.get("job_cluster_key"), str):
                yield _problem(job, f"job_clusters.{number}", "needs a job_cluster_key")
            else:
                shared.add(cluster["job_cluster_key"])
                if not isinstance(cluster.get("new_cluster"), dict):
                    yield _problem(job, f"job_clusters.{number}", "needs a new_cluster")
    tasks = job.settings.get("tasks")
    if not isinstance(tasks, list) or not tasks:
        yield _problem(job, "tasks", "a job needs at least one task, in a list")
        return
    keys = [task.get("task_key") for task in tasks if isinstance(task, dict)]
    for number, task in enumerate(tasks):
        yield from _check_task(job, number, task, keys, shared, known)


def _check_permissions(job: JobDefinition) -> Iterator[Diagnostic]:
    """A bundle's form: a `level` and one principal each."""
    given = job.settings.get("permissions")
    if given is None:
        return
    if not isinstance(given, list):
        yield _problem(job, "permissions", "expected a list")
        return
    for number, entry in enumerate(given):
        who = [name for name in PRINCIPALS if isinstance(entry, dict) and isinstance(entry.get(name), str)]
        if len(who) != 1 or set(entry) != {"level", who[0]} or not isinstance(entry["level"], str):
            yield _problem(job, f"permissions.{number}", f"needs a level and one of {', '.join(PRINCIPALS)}")


def _check_task(
    job: JobDefinition, number: int, task: Any, keys: list[Any], shared: set[str], known: KnownFields
) -> Iterator[Diagnostic]:
    base = f"tasks.{number}"
    if not isinstance(task, dict):
        yield _problem(job, base, "expected a task's settings")
        return
    yield from _unknown(job, task, known.task, f"{base}.")
    key = task.get("task_key")
    if not isinstance(key, str) or not key:
        yield _problem(job, base, "a task needs a task_key")
    elif keys.count(key) > 1 and keys.index(key) == number:
        yield _problem(job, f"{base}.task_key", f"the task_key {key} stands {keys.count(key)} times")
    if not any(name.endswith("_task") for name in task):
        yield _problem(job, base, "says not what to run (spark_jar_task, python_wheel_task, notebook_task, …)")
    cluster = task.get("job_cluster_key")
    if cluster is not None and cluster not in shared:
        names = ", ".join(sorted(shared)) or "none"
        yield _problem(
            job, f"{base}.job_cluster_key", f"there is no job cluster {cluster}", f"job_clusters has {names}"
        )
    for place, upstream in enumerate(task.get("depends_on") or []):
        other = upstream.get("task_key") if isinstance(upstream, dict) else None
        if other not in keys:
            yield _problem(job, f"{base}.depends_on.{place}", f"there is no task {other} in this job")
        elif other == key:
            yield _problem(job, f"{base}.depends_on.{place}", "a task cannot depend on itself")


def check_jobs(app: Application) -> Iterator[Diagnostic]:
    """What only the whole application shows: references without meaning, names that two jobs share."""
    told: dict[Diagnostic, None] = {}
    own = [environment for environment in app.environments.values() if environment.jobs is not None]
    for environment in own:
        here = replace(app, jobs=environment.jobs or {}, environments={environment.name: environment})
        told |= dict.fromkeys(_check_together(here))
    yield from told if own else _check_together(app)


def _check_together(app: Application) -> Iterator[Diagnostic]:
    artifacts = {artifact.name: artifact for artifact in app.artifacts}
    names: dict[str, str] = {}
    references = {key: job_references(job.settings) for key, job in app.jobs.items()}
    for job in app.jobs.values():
        for found in found_in(job.settings):
            message = problem(found.name, artifacts, app.environments, app.jobs, app.policies)
            if message:
                yield _problem(job, found.path, f"${{{found.name}}}: {message}")
        if job.key in _reachable(job.key, references):
            yield _problem(job, "", "it needs its own number, by itself or by the jobs that it refers to")
        name = str(job.settings.get("name"))
        if name in names:
            yield _problem(job, "name", f"the job {names[name]} has the same name")
        names[name] = job.key


def _reachable(start: str, references: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The jobs whose numbers are needed before that of `start` is known."""
    found: set[str] = set()
    waiting = list(references.get(start, ()))
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting.extend(references.get(key, ()))
    return found
