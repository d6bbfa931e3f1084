"""Steps of one shape: what many jobs have in common, so that a plan for a thousand jobs is read in a screen. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from headway.core.application import Json
from headway.core.fields import is_secret, redacted
from headway.core.steps import (
    AdoptJob,
    Change,
    CreateJob,
    DeleteJob,
    DeletePolicy,
    Plan,
    ResetJob,
    RestartJob,
    SetPermissions,
    SetPolicy,
    Step,
)

SIGNS = {
    "create": "+",
    "reset": "~",
    "adopt": "&",
    "permissions": "~",
    "restart": "↻",
    "delete": "-",
    "set policy": "§",
    "delete policy": "§",
}


@dataclass(frozen=True)
class Group:
    """Jobs that the plan treats alike. `lines` tell what changes, without what differs from job to job."""

    action: str
    reason: str
    lines: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def sign(self) -> str:
        """One character that says what happens."""
        return SIGNS[self.action]


def groups(plan: Plan) -> tuple[Group, ...]:
    """The steps by shape, in the order in which each shape comes first."""
    found: dict[tuple[str, str, tuple[str, ...]], list[Step]] = {}
    for step in plan.steps:
        found.setdefault((step.action, _reason(step), tuple(lines(step, plan))), []).append(step)
    return tuple(Group(action, reason, told, tuple(steps)) for (action, reason, told), steps in found.items())


def _reason(step: Step) -> str:
    """A reason without the job's own number, which would keep alike steps apart."""
    match step:
        case AdoptJob():
            return "the ledger knows it; its tags were removed by hand"
        case CreateJob() | SetPermissions() if step.reason.endswith("is gone from the workspace"):
            return "its job is gone from the workspace"
    return step.reason


def lines(step: Step, plan: Plan) -> Iterable[str]:
    """What a step changes, a line per field."""
    match step:
        case ResetJob():
            for change in step.changes:
                note = "  (was changed by hand)" if change.origin == "hand" else ""
                yield f"{change.path}: {difference(change, plan)}{note}"
        case SetPolicy():
            for change in step.changes:
                yield f"{change.path}: {difference(change, plan)}"
        case SetPermissions():
            yield f"permissions: {_list(list(step.before), list(step.after))}"
        case CreateJob() | DeleteJob() | RestartJob() | DeletePolicy():
            pass


def name(step: Step) -> str:
    """The job's name in the workspace, and its number where it has one."""
    match step:
        case CreateJob():
            return str(step.after.get("name", step.key))
        case ResetJob():
            return f"{step.after.get('name', step.key)}, job {step.job_id}"
        case DeleteJob():
            return f"{step.before.get('name', step.key)}, job {step.job_id}"
        case SetPolicy():
            return f"{step.after.get('name', step.key)}, {'a new policy' if step.before is None else 'a policy'}"
        case DeletePolicy():
            return f"{step.before.get('name', step.key)}, a policy"
        case SetPermissions() | RestartJob():
            return "a new job" if step.job_id is None else f"job {step.job_id}"


def difference(change: Change, plan: Plan) -> str:
    """A change in one line, as short as it can be told: a path of a new version is told as the version."""
    if is_secret(change.path, change.before) or is_secret(change.path, change.after):
        return "a secret value (not shown)"
    before, after = redacted(change.before, change.path), redacted(change.after, change.path)
    if _only_version(before, after, plan):
        return f"{plan.current} → {plan.version}"
    if isinstance(before, list) and isinstance(after, list):
        return _list(before, after)
    if before is None:
        return f"{text(after)} (new)"
    if after is None:
        return f"{text(before)} (removed)"
    return f"{text(before)} → {text(after)}"


def _only_version(before: Json, after: Json, plan: Plan) -> bool:
    if not plan.current or not plan.version or before is None or after is None:
        return False
    return bool(_replaced(before, plan.current, plan.version) == after and before != after)


def _replaced(value: Json, old: str, new: str) -> Json:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [_replaced(entry, old, new) for entry in value]
    if isinstance(value, dict):
        return {key: _replaced(entry, old, new) for key, entry in value.items()}
    return value


def _list(before: list[Json], after: list[Json]) -> str:
    gone = [entry for entry in before if entry not in after]
    new = [entry for entry in after if entry not in before]
    if not gone and not new:
        return f"{text(before)} → {text(after)}"
    return ", ".join([*(f"-{text(entry)}" for entry in gone), *(f"+{text(entry)}" for entry in new)])


def text(value: Json) -> str:
    """A value in one line."""
    if isinstance(value, dict):
        return " ".join(f"{key}={text(entry)}" for key, entry in value.items()) or "{}"
    if isinstance(value, list):
        return "[" + ", ".join(text(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
