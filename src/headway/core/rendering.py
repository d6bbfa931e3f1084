"""A plan as text for a person. Reads the very steps that are applied."""

from collections.abc import Iterator

from headway.core.application import Json
from headway.core.plan import Change, CreateJob, DeleteJob, Plan, ResetJob

_SIGNS = {"create": "+", "reset": "~", "delete": "-"}


def as_text(plan: Plan) -> str:
    """The plan, a line per job and per changed field."""
    return "\n".join(_lines(plan))


def summary(plan: Plan) -> str:
    """One line: how many jobs are created, changed, deleted, unchanged."""
    if plan.empty:
        return f"nothing to do: {len(plan.unchanged)} jobs are as they should be"
    counts = {action: sum(step.action == action for step in plan.steps) for action in _SIGNS}
    words = {"create": "to create", "reset": "to change", "delete": "to delete"}
    parts = [f"{count} {words[action]}" for action, count in counts.items() if count]
    return ", ".join([*parts, f"{len(plan.unchanged)} unchanged"])


def _lines(plan: Plan) -> Iterator[str]:
    yield f"{plan.app} {plan.current or '(nothing)'} → {plan.version or '(nothing)'} in {plan.environment}"
    for step in plan.steps:
        match step:
            case CreateJob(key, after):
                yield f"  + {key}  ({after['name']}): a new job"
            case DeleteJob(key, job_id, before):
                yield f"  - {key}  ({before.get('name')}, job {job_id}): not wanted any more"
            case ResetJob(key, job_id, _, after, changes):
                yield f"  ~ {key}  ({after['name']}, job {job_id})"
                for change in changes:
                    yield f"      {change.path}: {_change(change)}"
    yield summary(plan)


def _change(change: Change) -> str:
    if change.before is None:
        return f"{_value(change.after)} (new)"
    if change.after is None:
        return f"{_value(change.before)} (removed)"
    return f"{_value(change.before)} → {_value(change.after)}"


def _value(value: Json) -> str:
    return value if isinstance(value, str) else str(value)
