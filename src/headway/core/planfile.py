"""A plan as a file: JSON with a schema, read back into the very same steps. Pure."""

from collections.abc import Mapping
from typing import Any

from headway.core.fields import redacted
from headway.core.steps import (
    AdoptJob,
    ArtifactChange,
    Change,
    CreateJob,
    DeleteJob,
    DeletePolicy,
    Orphan,
    Plan,
    ResetJob,
    RestartJob,
    SetPermissions,
    SetPolicy,
    Step,
)

SCHEMA = "headway.plan/2"


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as data."""
    return {
        "schema": SCHEMA,
        "app": plan.app,
        "environment": plan.environment,
        "version": plan.version,
        "current": plan.current,
        "serial": plan.serial,
        "artifacts": [{"name": a.name, "before": a.before, "after": a.after} for a in plan.artifacts],
        "steps": [_step(step) for step in plan.steps],
        "unchanged": list(plan.unchanged),
        "orphans": [{"key": o.key, "job_id": o.job_id, "name": o.name, "reason": o.reason} for o in plan.orphans],
        "settings": dict(plan.settings),
    }


def shown(plan: Plan) -> dict[str, Any]:
    """The same for people and logs: without secrets."""
    data: dict[str, Any] = redacted(to_json(plan))
    for step, made in zip(data["steps"], plan.steps, strict=True):
        if isinstance(made, ResetJob | SetPolicy):
            step["changes"] = [_change(change, hide=True) for change in made.changes]
    return data


def _change(change: Change, hide: bool = False) -> dict[str, Any]:
    def value(given: Any) -> Any:
        return redacted(given, change.path) if hide else given

    return {
        "path": change.path,
        "before": value(change.before),
        "after": value(change.after),
        "origin": change.origin,
    }


def _step(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"action": step.action, "key": step.key, "reason": step.reason}
    match step:
        case CreateJob():
            data |= {"after": step.after}
        case ResetJob():
            changes = [_change(change) for change in step.changes]
            data |= {"job_id": step.job_id, "before": step.before, "after": step.after, "changes": changes}
        case DeleteJob():
            data |= {"job_id": step.job_id, "before": step.before}
        case SetPermissions():
            data |= {"job_id": step.job_id, "before": list(step.before), "after": list(step.after)}
        case SetPolicy():
            changes = [_change(change) for change in step.changes]
            data |= {"before": step.before, "after": step.after, "changes": changes}
        case DeletePolicy():
            data |= {"before": step.before}
        case RestartJob():
            data |= {"job_id": step.job_id}
    return data


def from_json(data: Any) -> Plan:
    """The plan that `to_json` made. Raise ValueError where it is not one, or of a schema that this Headway does not
    read; the message says which."""
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        schema = data.get("schema") if isinstance(data, Mapping) else None
        raise ValueError(f"its schema is {schema!r}; this Headway reads {SCHEMA}")
    try:
        return Plan(
            app=_text(data["app"]),
            environment=_text(data["environment"]),
            version=None if data["version"] is None else _text(data["version"]),
            current=None if data["current"] is None else _text(data["current"]),
            serial=_number(data["serial"]),
            steps=tuple(_read_step(step) for step in data["steps"]),
            unchanged=tuple(_text(key) for key in data["unchanged"]),
            orphans=tuple(Orphan(**entry) for entry in data["orphans"]),
            artifacts=tuple(ArtifactChange(**entry) for entry in data["artifacts"]),
            settings={_text(key): dict(value) for key, value in data["settings"].items()},
        )
    except KeyError as error:
        raise ValueError(f"it has no {error.args[0]}") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(f"it is not a plan: {error}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {value!r}")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number, found {value!r}")
    return value


def _read_step(data: Mapping[str, Any]) -> Step:
    key, reason = _text(data["key"]), _text(data["reason"])
    match data["action"]:
        case "create":
            return CreateJob(key, dict(data["after"]), reason)
        case "reset" | "adopt":
            kind = AdoptJob if data["action"] == "adopt" else ResetJob
            changes = tuple(Change(**change) for change in data["changes"])
            return kind(key, _number(data["job_id"]), dict(data["before"]), dict(data["after"]), changes, reason)
        case "delete":
            return DeleteJob(key, _number(data["job_id"]), dict(data["before"]), reason)
        case "permissions":
            job_id = None if data["job_id"] is None else _number(data["job_id"])
            return SetPermissions(key, job_id, tuple(data["before"]), tuple(data["after"]), reason)
        case "set policy":
            before = None if data["before"] is None else dict(data["before"])
            changes = tuple(Change(**change) for change in data["changes"])
            return SetPolicy(key, before, dict(data["after"]), changes, reason)
        case "delete policy":
            return DeletePolicy(key, dict(data["before"]), reason)
        case "restart":
            return RestartJob(key, None if data["job_id"] is None else _number(data["job_id"]), reason)
    raise ValueError(f"unknown action {data['action']!r}")
