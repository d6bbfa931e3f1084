"""What jobs and tasks may ask to be told of, and what is refused. Pure.

Source: Databricks REST API, Jobs 2.2 (create: `webhook_notifications`, `email_notifications`, `health`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from headway.workspace.engine.notices import EVENTS
from headway.workspace.errors import ApiError, invalid, malformed, not_implemented

MOST_DESTINATIONS = 3
_STREAMING = ("STREAMING_BACKLOG_BYTES", "STREAMING_BACKLOG_RECORDS", "STREAMING_BACKLOG_SECONDS",
              "STREAMING_BACKLOG_FILES")  # fmt: skip
_NOT_EVENTS = ("no_alert_for_skipped_runs",)


def check_notifications(settings: Mapping[str, Any]) -> None:
    """Raise ApiError where notifications or health rules of a job or task cannot be."""
    for event, entries in _entries(settings, "webhook_notifications"):
        if not all(isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"] for entry in entries):
            raise invalid(f"webhook_notifications.{event} must be a list of objects that have an id")
        if len(entries) > MOST_DESTINATIONS:
            raise invalid(f"webhook_notifications.{event} has {len(entries)} destinations; at most 3 are allowed")
    for event, entries in _entries(settings, "email_notifications"):
        if not all(isinstance(entry, str) and "@" in entry and entry.isprintable() for entry in entries):
            raise invalid(f"email_notifications.{event} must be a list of addresses")
    if not isinstance(settings.get("notification_settings") or {}, dict):
        raise malformed("Could not parse request object: Expected object for field notification_settings")
    for rule in _rules(settings.get("health") or {}):
        value = rule.get("value") if isinstance(rule, dict) else None
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0 or rule.get("op") != "GREATER_THAN":
            raise invalid("each of health.rules must have a metric, the op GREATER_THAN and a value above 0")
        metric = str(rule.get("metric"))
        if metric in _STREAMING:
            raise _backlog()
        if metric != "RUN_DURATION_SECONDS":
            raise invalid(f"the metric of a health rule must be one of RUN_DURATION_SECONDS, {', '.join(_STREAMING)}")


def destinations(settings: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the destinations that a job and its tasks name."""
    for _, entries in _entries(settings, "webhook_notifications"):
        yield from (entry["id"] for entry in entries)
    for task in settings.get("tasks") or []:
        yield from destinations(task)
        if isinstance(task.get("for_each_task"), dict):
            yield from destinations(task["for_each_task"].get("task") or {})


def _entries(settings: Mapping[str, Any], field: str) -> Iterator[tuple[str, list[Any]]]:
    given = settings.get(field) or {}
    if not isinstance(given, dict):
        raise malformed(f"Could not parse request object: Expected object for field {field}")
    for event, entries in given.items():
        if event in _NOT_EVENTS or not entries:
            continue
        if event == "on_streaming_backlog_exceeded":
            raise _backlog()
        if event not in EVENTS:
            raise invalid(f"{field}.{event} is not an event that is told of; there are {', '.join(EVENTS)}")
        if not isinstance(entries, list):
            raise malformed(f"Could not parse request object: Expected array for field {field}.{event}")
        yield event, entries


def _rules(health: object) -> list[Any]:
    rules = health.get("rules") or [] if isinstance(health, dict) else None
    if not isinstance(rules, list):
        raise malformed("Could not parse request object: Expected an object with an array rules for field health")
    return rules


def _backlog() -> ApiError:
    return not_implemented(
        "The backlog of streams is not measured by this workspace: no health rule STREAMING_BACKLOG_… and no "
        "on_streaming_backlog_exceeded"
    )
