"""The plan: the exact steps that bring an environment's jobs to what is wanted. Pure and total."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headway.core.application import Application, Environment, Json
from headway.core.fields import comparable
from headway.core.references import meanings, resolve
from headway.core.release import Release

SCHEMA = "headway.plan/1"
TAG_APP, TAG_ENVIRONMENT, TAG_JOB = "headway_app", "headway_environment", "headway_job"

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class ObservedJob:
    """A job as it stands in the workspace. `key` is that of its definition, read from its tag."""

    key: str
    job_id: int
    settings: Settings


@dataclass(frozen=True)
class Change:
    """One field that differs. `before` is None where it was absent, `after` where it will be."""

    path: str
    before: Json
    after: Json


@dataclass(frozen=True)
class CreateJob:
    """A job that is not there."""

    key: str
    after: Settings
    action: Literal["create"] = "create"


@dataclass(frozen=True)
class ResetJob:
    """A job whose settings differ."""

    key: str
    job_id: int
    before: Settings
    after: Settings
    changes: tuple[Change, ...]
    action: Literal["reset"] = "reset"


@dataclass(frozen=True)
class DeleteJob:
    """A job of this application and environment that is not wanted any more."""

    key: str
    job_id: int
    before: Settings
    action: Literal["delete"] = "delete"


Step = CreateJob | ResetJob | DeleteJob


@dataclass(frozen=True)
class Plan:
    """What would be done. `serial` is that of the environment's state when it was made: it holds only for that.

    `version` is None where the environment is to be emptied.
    """

    app: str
    environment: str
    version: str | None
    current: str | None
    serial: int
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    @property
    def digest(self) -> str:
        """What an approval names: SHA-256 of the plan's content."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The plan as data."""
        return {
            "schema": SCHEMA,
            "app": self.app,
            "environment": self.environment,
            "version": self.version,
            "current": self.current,
            "serial": self.serial,
            "steps": [_step_json(step) for step in self.steps],
            "unchanged": list(self.unchanged),
        }


def _step_json(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"action": step.action, "key": step.key}
    if not isinstance(step, CreateJob):
        data |= {"job_id": step.job_id, "before": step.before}
    if not isinstance(step, DeleteJob):
        data["after"] = step.after
    if isinstance(step, ResetJob):
        data["changes"] = [{"path": c.path, "before": c.before, "after": c.after} for c in step.changes]
    return data


def desired(app: Application, release: Release, environment: Environment) -> dict[str, Settings]:
    """The settings that each job should have: references resolved, prefix and tags added."""
    known = meanings(app, release, environment)
    result: dict[str, Settings] = {}
    for key, job in app.jobs.items():
        settings = resolve(dict(job.settings), known)
        own = {TAG_APP: app.name, TAG_ENVIRONMENT: environment.name, TAG_JOB: key}
        result[key] = {
            **settings,
            "name": f"{environment.prefix}{settings['name']}",
            "tags": {**settings.get("tags", {}), **own},
        }
    return result


def plan_steps(
    wanted: Mapping[str, Settings], observed: tuple[ObservedJob, ...]
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The steps from `observed` to `wanted`, and the keys of the jobs that stay as they are.

    Where several observed jobs have one key (somebody copied one), the oldest is the one.
    """
    there: dict[str, ObservedJob] = {}
    for job in sorted(observed, key=lambda found: found.job_id):
        there.setdefault(job.key, job)
    steps: list[Step] = []
    unchanged: list[str] = []
    for key, settings in wanted.items():
        current = there.get(key)
        if current is None:
            steps.append(CreateJob(key, settings))
            continue
        changes = differences(current.settings, settings)
        if changes:
            steps.append(ResetJob(key, current.job_id, current.settings, settings, changes))
        else:
            unchanged.append(key)
    steps.extend(DeleteJob(key, job.job_id, job.settings) for key, job in there.items() if key not in wanted)
    return tuple(steps), tuple(unchanged)


def differences(before: Settings, after: Settings) -> tuple[Change, ...]:
    """The fields that differ, by path."""
    old, new = comparable(before), comparable(after)
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return tuple(Change(path, old.get(path), new.get(path)) for path in paths)
