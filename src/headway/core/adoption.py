"""Taking over jobs that a workspace has already: which are meant, what would define them, and what cannot be carried.

Pure. The rule: what is written is read again as any job file, and what it would deploy must be the job as it stands.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from headway.core.application import Application, Environment, JobDefinition, Json
from headway.core.fields import essential, is_masked, is_secret
from headway.core.jobfiles import KnownFields
from headway.core.references import escaped
from headway.core.steps import PERMISSIONS, TAG_APP, TAG_ENVIRONMENT, TAG_JOB, Settings

_SHORTEST = 4  # a shorter value of the environment is found in too much to mean anything
_CLUSTER_OUTPUT = ("effective_spark_version", "cluster_source", "cluster_id")
_SAME_AS = {"driver_node_type_id": "node_type_id", "driver_instance_pool_id": "instance_pool_id"}


@dataclass(frozen=True)
class Selection:
    """Which jobs are meant: `names` are patterns (`etl-*`), `tags` are `name` or `name=value`, `ids` numbers. Of each
    kind that is given, one must fit. `everything`: all."""

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    without: tuple[str, ...] = ()
    everything: bool = False

    @property
    def chosen(self) -> bool:
        """Whether anything was named."""
        return bool(self.names or self.tags or self.ids or self.everything)

    def takes(self, job_id: int, settings: Settings) -> bool:
        """Whether a job is meant."""
        name, tags = str(settings.get("name", "")), settings.get("tags") or {}
        if any(fnmatchcase(name, pattern) for pattern in self.without):
            return False
        named = not self.names or any(fnmatchcase(name, pattern) for pattern in self.names)
        tagged = not self.tags or any(_tagged(tags, wanted) for wanted in self.tags)
        return named and tagged and (not self.ids or job_id in self.ids)


def _tagged(tags: Mapping[str, Any], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in tags and (not equals or str(tags[name]) == value)


@dataclass(frozen=True)
class Candidate:
    """A job that is meant, and what would become of it.

    `definition` is what would be written to `file`; None where the application defines the job `key` already.
    `problems` say why it cannot be taken over; `notes` what a person should know of it.
    """

    job_id: int
    name: str
    key: str
    settings: Settings
    file: str = ""
    definition: Settings | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Circumstances:
    """What adoption goes by: the application as its folder says now, the environment, the fields of the Jobs API.
    `managed` are the environment's jobs that we know, their keys by number."""

    app: Application
    environment: Environment
    known: KnownFields
    managed: Mapping[int, str] = field(default_factory=dict)
    from_bundle: bool = False


def candidates(found: Sequence[tuple[int, Settings]], around: Circumstances) -> tuple[Candidate, ...]:
    """What would become of each of these jobs (id, whole settings)."""
    defined = {_deployed_name(job, around.environment): key for key, job in _defined(around).items()}
    names = [str(settings.get("name", "")) for _, settings in found]
    taken = set(_defined(around))
    keys: dict[int, str] = {}
    for job_id, settings in found:
        name = str(settings.get("name", ""))
        keys[job_id] = defined.get(name) or _free_key(name.removeprefix(around.environment.prefix), taken)
        taken.add(keys[job_id])
    numbers = {**around.managed, **keys}
    made = []
    for job_id, settings in found:
        name, key = str(settings.get("name", "")), keys[job_id]
        problems = list(_refusals(settings, around))
        if names.count(name) > 1:
            problems.append(
                f"name: {names.count(name)} of the jobs that are meant are called {name!r}; rename all but one"
            )
        if name in defined:
            made.append(Candidate(job_id, name, key, settings, problems=tuple(problems)))
            continue
        definition = definition_of(settings, around, numbers)
        problems.extend(_secrets(definition))
        file = job_file(around.app.deploy.jobs, key) if around.environment.jobs is None else ""
        if not file:
            problems.append(
                f"no job of the bundle is called {name!r}: define it there"
                if around.environment.jobs is not None
                else f"deploy.jobs is {around.app.deploy.jobs!r}, which leaves no place for a file of its own"
            )
        notes = tuple(_notes(definition, around))
        made.append(Candidate(job_id, name, key, settings, file, definition, tuple(problems), notes))
    return tuple(made)


def _defined(around: Circumstances) -> Mapping[str, JobDefinition]:
    return around.app.jobs_in(around.environment)


def _deployed_name(job: JobDefinition, environment: Environment) -> str:
    name = str(job.settings.get("name", ""))
    for variable, value in environment.values.items():
        name = name.replace(f"${{var.{variable}}}", str(value))
    return environment.prefix + name.replace("${environment.name}", environment.name)


def _free_key(name: str, taken: Collection[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "job"
    key, number = base, 2
    while key in taken:
        key, number = f"{base}-{number}", number + 1
    return key


def job_file(pattern: str, key: str) -> str:
    """Where a job's file goes so that `deploy.jobs` finds it; empty where that names no such place."""
    *parts, name = pattern.split("/")
    folders = [part for part in parts if part not in ("**", ".")]
    if "*" not in name or any(sign in part for part in folders for sign in "*?["):
        return ""
    return "/".join([*folders, name.replace("*", key, 1).replace("*", "")])


def definition_of(settings: Settings, around: Circumstances, numbers: Mapping[int, str]) -> dict[str, Json]:
    """A job's settings as a person would write them: without defaults and what only the server says, with references
    to the environment's values and to other jobs that we know (`numbers`: their keys by number)."""
    found = _clusters({key: value for key, value in settings.items() if value is not None})
    result = essential(found)
    tags = {name: value for name, value in (result.get("tags") or {}).items() if not name.startswith("headway_")}
    result.pop("tags", None)
    if tags:
        result["tags"] = tags
    if PERMISSIONS in settings:
        result[PERMISSIONS] = list(settings[PERMISSIONS])
    _pauses(result, around.environment)
    named = _with_job_keys(result, numbers)
    written: dict[str, Json] = _with_values(named, around.environment)
    name = str(settings.get("name", "")).removeprefix(around.environment.prefix)
    return _ordered({**written, "name": _with_values(name, around.environment)})


def _clusters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a server says of a cluster only because of something else that stands there."""

    def walk(value: Json) -> Json:
        if isinstance(value, list):
            return [walk(entry) for entry in value]
        if not isinstance(value, Mapping):
            return value
        return {key: cluster(entry) if key == "new_cluster" else walk(entry) for key, entry in value.items()}

    def cluster(value: Json) -> Json:
        if not isinstance(value, Mapping):
            return value
        return {
            key: entry
            for key, entry in value.items()
            if key not in _CLUSTER_OUTPUT and not (key in _SAME_AS and entry == value.get(_SAME_AS[key]))
        }

    result: dict[str, Any] = walk(settings)
    return result


def _pauses(settings: dict[str, Json], environment: Environment) -> None:
    """Whether a trigger is paused is left to the environment, or to what stands, where these say the same."""
    for name in ("schedule", "trigger", "continuous"):
        section = settings.get(name)
        if isinstance(section, dict) and "pause_status" in section:
            implied = environment.trigger_pause_status or "UNPAUSED"
            if section["pause_status"] == implied:
                settings[name] = {key: value for key, value in section.items() if key != "pause_status"}


def _with_job_keys(value: Json, numbers: Mapping[int, str]) -> Json:
    if isinstance(value, Mapping):
        if isinstance(value.get("run_job_task"), Mapping):
            number = value["run_job_task"].get("job_id")
            if number in numbers:
                body = {**value["run_job_task"], "job_id": Reference(f"resources.jobs.{numbers[number]}.id")}
                return {**{key: _with_job_keys(entry, numbers) for key, entry in value.items()}, "run_job_task": body}
        return {key: _with_job_keys(entry, numbers) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_job_keys(entry, numbers) for entry in value]
    return value


@dataclass(frozen=True)
class Reference:
    """A reference that is put in; every other `${` that a job has means nothing to us, and is escaped."""

    name: str


def _with_values(value: Json, environment: Environment) -> Json:
    if isinstance(value, Reference):
        return f"${{{value.name}}}"
    if isinstance(value, Mapping):
        return {key: _with_values(entry, environment) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_values(entry, environment) for entry in value]
    if not isinstance(value, str):
        return value
    if value == environment.name and len(value) >= _SHORTEST:
        return "${environment.name}"
    values = [(name, given) for name, given in environment.values.items() if isinstance(given, str)]
    known = sorted(
        ((name, given) for name, given in values if len(given) >= _SHORTEST), key=lambda entry: -len(entry[1])
    )
    return "".join(_pieces(value, known))


def _pieces(text: str, known: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The text, with a reference where a value of the environment stands as a word of its own."""
    if not known:
        yield escaped(text)
        return
    pattern = "|".join(re.escape(given) for _, given in known)
    last = 0
    for match in re.finditer(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", text):
        yield escaped(text[last : match.start()])
        yield f"${{var.{next(name for name, given in known if given == match.group(0))}}}"
        last = match.end()
    yield escaped(text[last:])


_FIRST = ("name", "description", "tags", "schedule", "trigger", "continuous", "parameters")
_LAST = ("permissions", "tasks", "job_clusters", "environments")
_TASK_FIRST = ("task_key", "depends_on", "run_if", "job_cluster_key", "existing_cluster_id", "environment_key")
_TASK_LAST = ("libraries", "new_cluster")


def _ordered(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Settings in the order in which people write them."""
    result = _by(settings, _FIRST, _LAST)
    if isinstance(result.get("tasks"), list):
        result["tasks"] = [
            _by(task, _TASK_FIRST, _TASK_LAST) if isinstance(task, Mapping) else task for task in result["tasks"]
        ]
    return result


def _by(given: Mapping[str, Json], first: Sequence[str], last: Sequence[str]) -> dict[str, Json]:
    middle = [key for key in given if key not in first and key not in last]
    return {key: given[key] for key in (*first, *middle, *last) if key in given}


def _refusals(settings: Settings, around: Circumstances) -> Iterator[str]:
    environment, tags = around.environment, settings.get("tags") or {}
    if TAG_APP in tags and (tags.get(TAG_APP), tags.get(TAG_ENVIRONMENT)) != (around.app.name, environment.name):
        yield f"tags: it is {tags.get(TAG_JOB)} of {tags[TAG_APP]} in {tags.get(TAG_ENVIRONMENT)} already"
    if settings.get("deployment") and not around.from_bundle:
        yield (
            "deployment: a bundle deploys it; `--from-bundle` takes it from there, "
            "and `databricks bundle deploy` must not run for it any more"
        )
    if settings.get("format") == "SINGLE_TASK" or not settings.get("tasks"):
        yield "tasks: a job without tasks (or in the form of Jobs API 2.0) cannot be written as a job file"
    name = str(settings.get("name", ""))
    if not name.startswith(environment.prefix) or name == environment.prefix:
        yield (
            f"name: {name!r} does not begin with {environment.prefix!r}, the prefix of {environment.name}: "
            "its first deploy would rename it; rename it, or change the prefix"
        )
    for key in settings:
        if key not in around.known.job:
            yield f"{key}: a field that this Headway does not know; a deploy would drop it"
    for number, task in enumerate(settings.get("tasks") or ()):
        for key in task:
            if key not in around.known.task:
                yield f"tasks.{number}.{key}: a field that this Headway does not know; a deploy would drop it"
    yield from _masked(settings, "")


def _masked(value: Json, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _masked(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _masked(entry, f"{path}.{number}")
    elif is_masked(value):
        yield f"{path}: the workspace does not show its value; put {{{{secrets/SCOPE/KEY}}}} there"


def _secrets(value: Json, path: str = "") -> Iterator[str]:
    """What must not be written to a repository."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _secrets(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _secrets(entry, f"{path}.{number}")
    elif is_secret(path, value) and value and not re.fullmatch(r"(\$\{var\.[^}]+\})+", value) and not is_masked(value):
        yield (
            f"{path}: a secret in plain text, which is not written to a file; put {{{{secrets/SCOPE/KEY}}}} there, "
            "or give it to the environment's `values` as ${env.NAME}"
        )


def _notes(definition: Settings, around: Circumstances) -> Iterator[str]:
    for number, task in enumerate(definition.get("tasks") or ()):
        if not isinstance(task, Mapping):
            continue
        base = f"tasks.{number}"
        body = task.get("run_job_task")
        if isinstance(body, Mapping) and isinstance(body.get("job_id"), int):
            yield f"{base}.run_job_task.job_id: job {body['job_id']} is not one of ours; the number holds here only"
        if isinstance(task.get("existing_cluster_id"), str) and not task["existing_cluster_id"].startswith("$"):
            yield f"{base}.existing_cluster_id: holds in this workspace only"
        for place, library in enumerate(task.get("libraries") or ()):
            for kind in ("jar", "whl"):
                path = library.get(kind) if isinstance(library, Mapping) else None
                name = _artifact_like(path, around.app) if isinstance(path, str) else None
                if name:
                    yield (
                        f"{base}.libraries.{place}.{kind}: stays {path}; ${{artifact.{name}.path}} in its place "
                        "would bring each release's own"
                    )


def _artifact_like(path: str, app: Application) -> str | None:
    file = path.rpartition("/")[2].lower().replace("_", "-")
    for artifact in app.artifacts:
        if file.startswith(artifact.name.lower().replace("_", "-") + "-"):
            return artifact.name
    return None
