"""`${…}` references of job settings: what they mean for a release in an environment.

`$${` stands for `${` where no reference is meant. `${resources.jobs.KEY.id}` is the number of another job in the same
environment; it stays as it is until that job's number is known (`with_job_ids`).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headway.core.application import Application, Environment, Json
from headway.core.release import Artifact, Release

_REFERENCE = re.compile(r"(?<!\$)\$\{([^}]*)\}")
_JOB_ID = re.compile(r"(?<!\$)\$\{resources\.(jobs|cluster_policies)\.([^}.]+)\.id\}")
POLICY = "policy:"  # before the key of a cluster policy, where keys of jobs stand too
FIXED = ("release.version", "release.commit", "release.spark_version", "environment.name", "app.name")
ARTIFACT_FIELDS = ("path", "version", "sha256")


@dataclass(frozen=True)
class Found:
    """A reference in job settings: the dotted path of the field, and what stands in the braces."""

    path: str
    name: str


def found_in(value: Json, path: str = "") -> Iterator[Found]:
    """Every reference in `value`, in order."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            yield Found(path, match.group(1))
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from found_in(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from found_in(entry, f"{path}.{number}")


def escaped(text: str) -> str:
    """Text in which nothing is a reference."""
    return text.replace("${", "$${")


def job_references(value: Json) -> tuple[str, ...]:
    """The keys of the jobs whose numbers `value` refers to; those of cluster policies as `policy:KEY`."""
    names = (_JOB_ID.fullmatch(f"${{{found.name}}}") for found in found_in(value))
    return tuple(dict.fromkeys(_key(match) for match in names if match))


def _key(match: re.Match[str]) -> str:
    return match.group(2) if match.group(1) == "jobs" else f"{POLICY}{match.group(2)}"


def with_job_ids(value: Json, ids: Mapping[str, int | str]) -> Json:
    """`value` with the numbers of the jobs, and of the cluster policies, that are known; the others stay references."""
    if isinstance(value, str):
        whole = _JOB_ID.fullmatch(value)
        if whole:
            return ids.get(_key(whole), value)
        return _JOB_ID.sub(lambda match: str(ids.get(_key(match), match.group(0))), value)
    if isinstance(value, Mapping):
        return {key: with_job_ids(entry, ids) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_job_ids(entry, ids) for entry in value]
    return value


def problem(
    name: str,
    artifacts: Mapping[str, Any],
    environments: Mapping[str, Environment],
    jobs: Collection[str] = (),
    policies: Collection[str] = (),
) -> str | None:
    """Why a reference means nothing; None where it is good in every environment."""
    if name in FIXED:
        return None
    parts = name.split(".")
    if parts[:2] == ["resources", "jobs"] and len(parts) == 4 and parts[3] == "id":
        return None if parts[2] in jobs else f"there is no job {parts[2]}"
    if parts[:2] == ["resources", "cluster_policies"] and len(parts) == 4 and parts[3] == "id":
        return None if parts[2] in policies else f"there is no cluster policy {parts[2]}"
    if parts[0] == "artifact" and len(parts) == 3:
        if parts[1] not in artifacts:
            return f"there is no artifact {parts[1]}; headway.toml has {', '.join(artifacts) or 'none'}"
        if parts[2] not in ARTIFACT_FIELDS:
            return f"an artifact has {', '.join(ARTIFACT_FIELDS)}, not {parts[2]}"
        return None
    if parts[0] == "var" and len(parts) == 2:
        without = [environment.name for environment in environments.values() if parts[1] not in environment.values]
        if without:
            return f"`values` of environment {', '.join(without)} has no {parts[1]}"
        return None
    known = (
        f"artifact.NAME.path, var.NAME, resources.jobs.KEY.id, resources.cluster_policies.KEY.id, {', '.join(FIXED)}"
    )
    return f"unknown reference; there are {known} (write $${{ where none is meant)"


def artifact_path(app: Application, version: str, artifact: Artifact) -> str:
    """Where jobs read an artifact in a workspace: a file for a JAR or wheel, a folder for notebooks."""
    if artifact.kind == "notebooks":
        return f"{app.deploy.notebook_folder.rstrip('/')}/{app.name}/{version}/{artifact.name}"
    return f"{app.deploy.target.rstrip('/')}/{app.name}/{artifact.file_name}"


def library_path(app: Application, artifact: Artifact) -> str:
    """The workspace library of a JAR or wheel."""
    return f"{app.deploy.library_folder.rstrip('/')}/{app.name}/{artifact.file_name}"


def meanings(app: Application, release: Release, environment: Environment) -> dict[str, Json]:
    """What every reference means here."""
    version = str(release.version)
    known: dict[str, Json] = {
        "release.version": version,
        "release.commit": release.commit,
        "release.spark_version": release.spark_version_key,
        "environment.name": environment.name,
        "app.name": app.name,
    }
    known |= {f"resources.jobs.{key}.id": f"${{resources.jobs.{key}.id}}" for key in app.jobs_in(environment)}
    policies = (f"resources.cluster_policies.{key}.id" for key in app.policies)
    known |= {name: f"${{{name}}}" for name in policies}
    for name, value in environment.values.items():
        known[f"var.{name}"] = value
    for name, artifact in release.artifacts.items():
        known[f"artifact.{name}.path"] = artifact_path(app, version, artifact)
        known[f"artifact.{name}.version"] = version
        known[f"artifact.{name}.sha256"] = artifact.sha256
    return known


def resolve(value: Json, known: Mapping[str, Json]) -> Json:
    """`value` with every reference replaced. A string that is one whole reference takes the value's own type.

    Raise KeyError for a reference without meaning (configuration is checked before, so none is left).
    """
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return known[whole.group(1)]
        return _REFERENCE.sub(lambda match: str(known[match.group(1)]), value).replace("$${", "${")
    if isinstance(value, Mapping):
        return {key: resolve(entry, known) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolve(entry, known) for entry in value]
    return value
