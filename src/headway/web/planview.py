"""A plan as a page shows it: jobs that change alike together, each field as it was and as it will be. Pure.

Secrets are never in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.core import planfile
from headway.core.fields import is_secret, redacted
from headway.core.rendering import summary
from headway.core.shapes import Group, groups, name
from headway.core.shapes import text as one_line
from headway.core.steps import (
    ArtifactChange,
    CreateJob,
    DeleteJob,
    DeletePolicy,
    Orphan,
    Plan,
    ResetJob,
    RestartJob,
    SetPermissions,
    SetPolicy,
)
from headway.core.steps import Step as PlanStep

WORDS = {
    "create": "Create",
    "reset": "Change",
    "adopt": "Adopt",
    "permissions": "Permit anew",
    "restart": "Restart",
    "delete": "Delete",
    "set policy": "Set policy",
    "delete policy": "Delete policy",
}
HIDDEN = "a secret value (not shown)"


@dataclass(frozen=True)
class Field:
    """A field that changes; None where it was not there, or will not be. `hand`: somebody changed it by hand."""

    path: str
    before: str | None
    after: str | None
    hand: bool


@dataclass(frozen=True)
class JobChange:
    """What happens to one job. `settings` are those of a job that is created or deleted."""

    key: str
    name: str
    fields: tuple[Field, ...]
    settings: Mapping[str, Any] | None


@dataclass(frozen=True)
class Together:
    """Jobs that change alike."""

    action: str
    sign: str
    word: str
    reason: str
    lines: tuple[str, ...]
    jobs: tuple[JobChange, ...]


@dataclass(frozen=True)
class PlanView:
    """The whole plan."""

    environment: str
    current: str | None
    version: str | None
    digest: str
    serial: int
    summary: str
    artifacts: tuple[ArtifactChange, ...]
    changes: tuple[Together, ...]
    unchanged: tuple[str, ...]
    orphans: tuple[Orphan, ...]


def view_of(data: object) -> PlanView | None:
    """The view of a plan's data; None where it is none, or one of a Headway whose plans this one does not read."""
    try:
        plan = planfile.from_json(data)
    except ValueError:
        return None
    return PlanView(
        environment=plan.environment,
        current=plan.current,
        version=plan.version,
        digest=plan.digest,
        serial=plan.serial,
        summary=summary(plan),
        artifacts=plan.artifacts,
        changes=tuple(_together(group, plan) for group in groups(plan)),
        unchanged=plan.unchanged,
        orphans=plan.orphans,
    )


def _together(group: Group, plan: Plan) -> Together:
    jobs = tuple(JobChange(step.key, name(step), _fields(step), _settings(step)) for step in group.steps)
    return Together(group.action, group.sign, WORDS[group.action], group.reason, group.lines, jobs)


def _fields(step: PlanStep) -> tuple[Field, ...]:
    if isinstance(step, ResetJob | SetPolicy):
        return tuple(
            Field(
                change.path,
                _shown(change.path, change.before),
                _shown(change.path, change.after),
                change.origin == "hand",
            )
            for change in step.changes
        )
    if isinstance(step, SetPermissions):
        return (Field("permissions", one_line(list(step.before)), one_line(list(step.after)), False),)
    return ()


def _settings(step: PlanStep) -> Mapping[str, Any] | None:
    match step:
        case CreateJob():
            return _hidden(step.after)
        case SetPolicy() if step.before is None:
            return _hidden(step.after)
        case DeleteJob() | DeletePolicy():
            return _hidden(step.before)
        case ResetJob() | SetPermissions() | RestartJob() | SetPolicy():
            return None


def _hidden(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = redacted(dict(settings))
    return found


def _shown(path: str, value: Any) -> str | None:
    if value is None:
        return None
    return HIDDEN if is_secret(path, value) else one_line(redacted(value, path))
