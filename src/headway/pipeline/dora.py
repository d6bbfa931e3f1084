"""How a team delivers, from the deployments that it made: the four figures of DORA. Pure.

Source: DORA, "DORA's software delivery metrics: the four keys". How they are taken from our records is said at each.
Times are milliseconds since 1970 (UTC); durations are seconds.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headway.pipeline.model import DeploymentRecord

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05 was a Monday


@dataclass(frozen=True)
class Delivered:
    """One change that went to an environment. `lead_seconds` is from the commit to its standing there; None where it
    never stood, stood there before, or has no commit time."""

    app: str
    environment: str
    version: str | None
    run: int
    at_ms: int
    stood: bool
    failed: bool
    lead_seconds: float | None
    restore_seconds: float | None = None


@dataclass(frozen=True)
class Figures:
    """The four figures of some changes. None where there is nothing to compute one of.

    - `lead_seconds`: median from commit to standing in the environment, of versions that came for the first time.
    - `per_week`: changes that stood, per week of the period.
    - `failure_rate`: of all changes, those that never stood, were taken back by a gate, or were rolled back.
    - `restore_seconds`: median from when a bad change stood to when another one did, or it was taken back.
    """

    changes: int
    stood: int
    failed: int
    per_week: float
    lead_seconds: float | None
    failure_rate: float | None
    restore_seconds: float | None


@dataclass(frozen=True)
class Bucket:
    """The figures of one day or week, which begins at `start_ms`."""

    start_ms: int
    figures: Figures


@dataclass
class _Open:
    """A change that stands, while the records that follow are read."""

    record: DeploymentRecord
    lead: float | None
    failed: bool = False
    restored_ms: int | None = None


def changes(records: Iterable[DeploymentRecord]) -> list[Delivered]:
    """What happened to each change, from the records of deployments in the order in which they ended.

    A run's deployment is one change, though a gate that refuses it leaves a second record. A rollback is no change: it
    says that the one which stood there was bad. Deploying again what stands already is no change either.
    """
    standing: dict[tuple[str, str], _Open] = {}
    seen: set[tuple[str, str, str]] = set()
    found: list[_Open] = []
    for record in sorted(records, key=lambda entry: (entry.ended_ms, entry.id)):
        place = (record.app, record.environment)
        current = standing.get(place)
        if record.outcome == "rollback":
            if current is not None and record.version != current.record.version:
                current.failed, current.restored_ms = True, current.restored_ms or record.ended_ms
                standing.pop(place)
        elif record.outcome == "refused" and current is not None and current.record.run == record.run:
            current.failed, current.restored_ms = True, record.ended_ms
            standing.pop(place)
        elif record.outcome == "converged":
            if current is not None and current.record.version == record.version:
                continue
            name = (*place, record.version or "")
            made = _Open(record, None if name in seen else _lead(record))
            seen.add(name)
            standing[place] = made
            found.append(made)
        else:
            found.append(_Open(record, None, failed=True, restored_ms=record.ended_ms))
    return [_delivered(entry) for entry in found]


def _lead(record: DeploymentRecord) -> float | None:
    if record.committed_ms is None:
        return None
    return max(0, record.ended_ms - record.committed_ms) / 1000


def _delivered(entry: _Open) -> Delivered:
    record = entry.record
    began = record.ended_ms if record.outcome == "converged" else record.started_ms
    restore = None if entry.restored_ms is None else max(0, entry.restored_ms - began) / 1000
    return Delivered(
        app=record.app,
        environment=record.environment,
        version=record.version,
        run=record.run,
        at_ms=record.ended_ms,
        stood=record.outcome == "converged",
        failed=entry.failed,
        lead_seconds=entry.lead,
        restore_seconds=restore,
    )


def figures(found: Sequence[Delivered], since_ms: int, until_ms: int) -> Figures:
    """The figures of the changes between two moments."""
    inside = [entry for entry in found if since_ms <= entry.at_ms < until_ms]
    stood = sum(entry.stood for entry in inside)
    failed = sum(entry.failed for entry in inside)
    weeks = max(until_ms - since_ms, 1) / WEEK_MS
    return Figures(
        changes=len(inside),
        stood=stood,
        failed=failed,
        per_week=stood / weeks,
        lead_seconds=_median(entry.lead_seconds for entry in inside),
        failure_rate=failed / len(inside) if inside else None,
        restore_seconds=_median(entry.restore_seconds for entry in inside),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def buckets(found: Sequence[Delivered], since_ms: int, until_ms: int) -> list[Bucket]:
    """The figures over time: by day for up to two weeks, else by week from Monday on, in UTC."""
    length = DAY_MS if until_ms - since_ms <= 15 * DAY_MS else WEEK_MS
    offset = 0 if length == DAY_MS else _MONDAY_MS
    start = (since_ms - offset) // length * length + offset
    made = []
    while start < until_ms:
        end = start + length
        made.append(Bucket(start, figures(found, max(start, since_ms), min(end, until_ms))))
        start = end
    return made
