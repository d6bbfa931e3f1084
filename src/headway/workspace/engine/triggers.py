"""What starts a job by itself, read from its settings. Pure.

Source: Databricks REST API, Jobs 2.2 (`schedule`, `continuous`, `trigger`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from headway.core import quartz
from headway.workspace.errors import invalid, malformed, not_implemented

SECTIONS = ("schedule", "continuous", "trigger")
UNITS = {"MINUTES": 60_000, "HOURS": 3_600_000, "DAYS": 86_400_000, "WEEKS": 604_800_000}
LEAST_SECONDS = 60
_GUIDE = "http://www.quartz-scheduler.org/documentation/quartz-2.1.x/tutorials/crontrigger.html"


@dataclass(frozen=True)
class Schedule:
    """A cron schedule in a time zone."""

    cron: quartz.CronExpression
    zone: ZoneInfo


@dataclass(frozen=True)
class Periodic:
    """Every so many milliseconds."""

    interval_ms: int


@dataclass(frozen=True)
class FileArrival:
    """When files come to `url`; not more often than `at_least_ms` apart, and not before the place was quiet for
    `quiet_ms`."""

    url: str
    at_least_ms: int
    quiet_ms: int


@dataclass(frozen=True)
class Continuous:
    """Always one run."""


Trigger = Schedule | Periodic | FileArrival | Continuous


def paused(settings: Mapping[str, Any]) -> bool:
    """Whether the job's trigger is told to wait."""
    return any((settings.get(section) or {}).get("pause_status") == "PAUSED" for section in SECTIONS)


def trigger_of(settings: Mapping[str, Any]) -> Trigger | None:
    """What starts the job, whether paused or not; None where nothing does. Raise ApiError where it cannot be."""
    given = [section for section in SECTIONS if settings.get(section)]
    if not given:
        return None
    if len(given) > 1:
        raise invalid(f"A job has only one of schedule, continuous and trigger; this one has {' and '.join(given)}")
    body = settings[given[0]]
    if not isinstance(body, Mapping):
        raise malformed(f"Could not parse request object: Expected object for field {given[0]}")
    if body.get("pause_status", "UNPAUSED") not in ("PAUSED", "UNPAUSED"):
        raise invalid(f"{given[0]}.pause_status must be PAUSED or UNPAUSED")
    return _READERS[given[0]](body)


def _schedule(body: Mapping[str, Any]) -> Schedule:
    text, zone = body.get("quartz_cron_expression"), body.get("timezone_id")
    if not isinstance(text, str):
        raise invalid("Missing required field: schedule.quartz_cron_expression")
    if not isinstance(zone, str):
        raise invalid("Missing required field: schedule.timezone_id")
    try:
        cron = quartz.parse(text)
    except ValueError:
        raise invalid(
            f"Invalid quartz_cron_expression: {text}. Databricks uses Quartz cron syntax, which is different from the "
            f"standard cron syntax. See {_GUIDE} for more details."
        ) from None
    if zone not in available_timezones():
        raise invalid(f"Invalid timezone_id: {zone}. It must be a Java time zone, as Europe/Berlin or UTC.")
    return Schedule(cron, ZoneInfo(zone))


def _continuous(body: Mapping[str, Any]) -> Continuous:
    if body.get("task_retry_mode", "NEVER") not in ("NEVER", "ON_FAILURE"):
        raise invalid("continuous.task_retry_mode must be NEVER or ON_FAILURE")
    return Continuous()


def _trigger(body: Mapping[str, Any]) -> Trigger:
    for unserved in ("table_update", "table", "model", "sql_condition"):
        if body.get(unserved):
            raise not_implemented(f"trigger.{unserved} is not served by this workspace; use a schedule or file_arrival")
    if body.get("periodic"):
        periodic = body["periodic"]
        unit = UNITS.get(str(periodic.get("unit")))
        if unit is None:
            raise invalid(f"trigger.periodic.unit must be one of {', '.join(UNITS)}")
        return Periodic(_whole(periodic, "periodic.interval", 1) * unit)
    if body.get("file_arrival"):
        arrival = body["file_arrival"]
        url = arrival.get("url")
        if not isinstance(url, str) or not url.startswith(("dbfs:/", "/Volumes/", "/dbfs/")):
            raise invalid(f"trigger.file_arrival.url must be a dbfs:/ or /Volumes/ path, not {url}")
        return FileArrival(
            url,
            _whole(arrival, "file_arrival.min_time_between_triggers_seconds", LEAST_SECONDS, 0) * 1000,
            _whole(arrival, "file_arrival.wait_after_last_change_seconds", LEAST_SECONDS, 0) * 1000,
        )
    raise invalid("trigger must have file_arrival or periodic")


def _whole(body: Mapping[str, Any], name: str, least: int, default: int | None = None) -> int:
    value = body.get(name.partition(".")[2], default)
    if value == default and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
        raise invalid(f"trigger.{name} must be a whole number, at least {least}")
    return value


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Trigger]] = {
    "schedule": _schedule,
    "continuous": _continuous,
    "trigger": _trigger,
}
