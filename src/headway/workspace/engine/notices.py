"""Which notifications an event of the engine calls for, and what they say. Pure.

Source: Databricks, "Add notifications on a job" (events, the payload of HTTP webhooks) and REST API, Jobs 2.2
(`notification_settings`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.workspace.engine.decisions import CANCELS, GOOD
from headway.workspace.engine.events import Event, RunEnded, RunLasts, RunStarted, TaskEnded, TaskLasts, TaskStarted
from headway.workspace.engine.records import RunRecord


@dataclass(frozen=True)
class Notice:
    """One notification: to the destination `to` (`webhook`), or to the address `to` (`email`)."""

    way: str
    to: str
    event_type: str
    payload: Mapping[str, Any] = field(hash=False)
    summary: str


EVENTS = ("on_start", "on_success", "on_failure", "on_duration_warning_threshold_exceeded")
# How a task ends that was never begun: nothing is told of it.
_NEVER_BEGUN = frozenset({"EXCLUDED", "DISABLED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED"})


def notices(event: Event, run: RunRecord, task: RunRecord | None, workspace_id: str) -> list[Notice]:
    """The notifications of an event of `run`, or of its `task`."""
    if isinstance(event, TaskStarted | TaskLasts | TaskEnded):
        if task is None:
            return []
        name, settings = _task_event(event, task.settings), task.settings
    else:
        name, settings = _job_event(event), run.settings
    if not name or _silenced(event, settings):
        return []
    payload, summary = _payload(name, run, task, workspace_id), _summary(name, run, task)
    return list(_of(name, event, settings, payload, summary))


def _job_event(event: Event) -> str:
    if isinstance(event, RunStarted):
        return "" if event.repair else "on_start"
    if isinstance(event, RunLasts):
        return "on_duration_warning_threshold_exceeded"
    return _end(event.result_state) if isinstance(event, RunEnded) else ""


def _task_event(event: TaskStarted | TaskLasts | TaskEnded, settings: Mapping[str, Any]) -> str:
    only_last = bool((settings.get("notification_settings") or {}).get("alert_on_last_attempt"))
    if isinstance(event, TaskLasts):
        return "on_duration_warning_threshold_exceeded"
    if isinstance(event, TaskStarted):
        return "" if only_last and event.attempt > 0 else "on_start"
    if only_last and not event.last:
        return ""
    return _end(event.result_state)


def _end(result: str) -> str:
    if result in GOOD:
        return "on_success"
    return "" if result in _NEVER_BEGUN else "on_failure"


def _silenced(event: Event, settings: Mapping[str, Any]) -> bool:
    told = settings.get("notification_settings") or {}
    if isinstance(event, RunEnded | TaskEnded) and event.result_state in CANCELS:
        return bool(told.get("no_alert_for_canceled_runs"))
    return _skipped(event) and bool(told.get("no_alert_for_skipped_runs"))


def _skipped(event: Event) -> bool:
    return isinstance(event, RunEnded) and event.life_cycle_state == "SKIPPED"


def _of(
    name: str, event: Event, settings: Mapping[str, Any], payload: Mapping[str, Any], summary: str
) -> Iterator[Notice]:
    event_type = f"jobs.{name}"
    for entry in (settings.get("webhook_notifications") or {}).get(name) or []:
        yield Notice("webhook", str(entry["id"]), event_type, payload, summary)
    email = settings.get("email_notifications") or {}
    if _skipped(event) and email.get("no_alert_for_skipped_runs"):  # the older place of that setting, for mail alone
        return
    for address in email.get(name) or []:
        yield Notice("email", str(address), event_type, payload, summary)


def _payload(name: str, run: RunRecord, task: RunRecord | None, workspace_id: str) -> dict[str, Any]:
    data: dict[str, Any] = {
        "event_type": f"jobs.{name}",
        "workspace_id": workspace_id,
        "run": {"run_id": str(run.run_id)},
        "job": {"job_id": str(run.job_id or 0), "name": run.name},
    }
    if task is not None:
        data["task"] = {"task_key": str(task.task_key)}
        data["run"] = {"run_id": str(task.run_id), "parent_run_id": str(run.run_id)}
    return data


_WORDS = {
    "on_start": "started",
    "on_success": "succeeded",
    "on_failure": "failed",
    "on_duration_warning_threshold_exceeded": "lasts longer than expected",
}


def _summary(name: str, run: RunRecord, task: RunRecord | None) -> str:
    what = f"Task {task.task_key} of job {run.name}" if task is not None else f"Job {run.name}"
    ended = task if task is not None else run
    reason = f": {ended.state_message}" if name == "on_failure" and ended.state_message else ""
    return f"{what} {_WORDS.get(name, name)} (run {run.run_id}){reason}"
