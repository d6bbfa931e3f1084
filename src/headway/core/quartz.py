"""Quartz cron expressions: what is a valid one, and when it fires next. Pure.

`next_after` answers exactly what `CronExpression.getNextValidTimeAfter` of Quartz 2.3 does, which Databricks uses for
its schedules, and is tested against it (tests/support/quartz). In particular, as Java's calendar resolves local times:

- a time that a clock change skips does not happen that day (02:30 when clocks go from 02:00 to 03:00);
- of a time that happens twice only the second one counts, and from within the first the second is the next.

Where Quartz knows the present year and ends 100 years later, this ends with 2199, so that it needs no clock.
"""

import calendar
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

LAST_YEAR = 2199
_UTC = ZoneInfo("UTC")
_MONTHS = dict(
    zip(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], range(1, 13), strict=True)
)
_WEEKDAYS = dict(zip(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], range(1, 8), strict=True))


@dataclass(frozen=True)
class Field:
    """A field's bounds. `wraps` is what is added to an end that lies before its start (`22-2` of hours)."""

    name: str
    least: int
    most: int
    wraps: int
    largest_step: int
    names: Mapping[str, int]


_NONE: Mapping[str, int] = {}
SECOND = Field("second", 0, 59, 60, 59, _NONE)
MINUTE = Field("minute", 0, 59, 60, 59, _NONE)
HOUR = Field("hour", 0, 23, 24, 23, _NONE)
DAY = Field("day of month", 1, 31, 31, 31, _NONE)
MONTH = Field("month", 1, 12, 12, 12, _MONTHS)
WEEKDAY = Field("day of week", 1, 7, 7, 7, _WEEKDAYS)
YEAR = Field("year", 1970, LAST_YEAR, 0, 10_000, _NONE)
FIELDS = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR)


@dataclass(frozen=True)
class CronExpression:
    """A parsed expression: the values of each field in order; None where `?` stands. Sunday is 1.

    `last_day`: the month's last day, less `offset`; `nearest`: the weekday (Monday to Friday) nearest to the day;
    `last_weekday`: the month's last such day; `nth`: its nth.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...] | None
    months: tuple[int, ...]
    weekdays: tuple[int, ...] | None
    years: tuple[int, ...]
    last_day: bool = False
    offset: int = 0
    nearest: bool = False
    last_weekday: bool = False
    nth: int = 0

    def next_after(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        """The first time it fires after `after` (aware), in UTC; None where it never does again."""
        # One second on the line of time, not of the clock: across a change they differ.
        first = (after.astimezone(_UTC) + timedelta(seconds=1)).replace(microsecond=0)
        return _Search(self, zone, first).run(first.astimezone(zone).replace(tzinfo=None, fold=0))


# parsing


@dataclass
class _Parsed:
    values: set[int]
    unspecified: bool = False
    last_day: bool = False
    offset: int = 0
    nearest: bool = False
    last_weekday: bool = False
    nth: int = 0


def parse(text: str) -> CronExpression:
    """Raise ValueError saying what is wrong."""
    parts = text.upper().split()
    if len(parts) < 6:
        raise ValueError("Unexpected end of expression: it has six or seven fields, the first are seconds")
    parsed = [_field(part, field) for part, field in zip([*parts[:7], "*"], FIELDS, strict=False)]
    second, minute, hour, day, month, weekday, year = parsed
    if day.unspecified and weekday.unspecified:
        raise ValueError("'?' can only be specified for Day-of-Month -OR- Day-of-Week.")
    if not day.unspecified and not weekday.unspecified:
        raise ValueError(
            "Support for specifying both a day-of-week AND a day-of-month parameter is not implemented: one must be ?"
        )
    return CronExpression(
        _ordered(second),
        _ordered(minute),
        _ordered(hour),
        None if day.unspecified else tuple(sorted(day.values)),
        _ordered(month),
        None if weekday.unspecified else tuple(sorted(weekday.values)),
        _ordered(year),
        day.last_day,
        day.offset,
        day.nearest,
        weekday.last_weekday,
        weekday.nth,
    )


def _ordered(found: _Parsed) -> tuple[int, ...]:
    return tuple(sorted(found.values))


def _field(text: str, field: Field) -> _Parsed:
    if field in (DAY, WEEKDAY) and "L" in text and "," in text and not re.search(r"[A-Z]{2}", text.replace("LW", "")):
        raise ValueError(f"Support for specifying 'L' with other values of {field.name} is not implemented")
    if text.count("#") > 1:
        raise ValueError("Support for specifying multiple 'nth' days is not implemented.")
    found = _Parsed(set())
    for item in text.split(","):
        _item(item, field, found)
    return found


_NAMED = re.compile(r"([A-Z]{3})(?:-([A-Z]{3})|#(\d+)|(L))?")
_NUMBERED = re.compile(r"(\d+)(?:-(\d+))?(?:/(\d+))?")
_EVERY = re.compile(r"\*?/(\d+)|\*")
_LAST = re.compile(r"L(?:-(\d+))?(W)?")
_SPECIAL = re.compile(r"(\d+)(?:(L)|(W)|#(\d+))")


def _item(item: str, field: Field, found: _Parsed) -> None:
    for pattern, take in _FORMS:
        match = pattern.fullmatch(item)
        if match:
            take(match, field, found)
            return
    raise ValueError(f"{item or 'nothing'} is not a value of {field.name}")


def _unspecified(_: re.Match[str], field: Field, found: _Parsed) -> None:
    if field not in (DAY, WEEKDAY):
        raise ValueError("'?' can only be specified for Day-of-Month or Day-of-Week.")
    found.unspecified = True


def _every(match: re.Match[str], field: Field, found: _Parsed) -> None:
    step = int(match.group(1) or 0)
    _check_step(step, field)
    found.values |= set(range(field.least, field.most + 1, step or 1))


def _numbered(match: re.Match[str], field: Field, found: _Parsed) -> None:
    start, end, step = (None if group is None else int(group) for group in match.groups())
    assert start is not None  # noqa: S101  (the pattern has it)
    for value in (start, end):
        _check_value(value, field)
    if step is not None and end is None:
        _check_step(step, field)
    if (end is None and step is None) or step == 0:
        found.values.add(start)
        return
    found.values |= _range(start, field.most if end is None else end, step or 1, field)


def _range(start: int, end: int, step: int, field: Field) -> set[int]:
    if end >= start:
        return set(range(start, end + 1, step))
    if not field.wraps:
        raise ValueError("Start year must be less than stop year")
    around = (value % field.wraps for value in range(start, end + field.wraps + 1, step))
    return {field.wraps if value == 0 and field.least == 1 else value for value in around}


def _named(match: re.Match[str], field: Field, found: _Parsed) -> None:
    first, second, nth, last = match.groups()
    values = [field.names.get(name) for name in (first, second) if name is not None]
    if any(value is None for value in values) or ((nth or last) and field is not WEEKDAY):
        raise ValueError(f"Invalid {field.name} value: '{match.group()}'")
    start, end = values[0], values[-1]
    assert start is not None and end is not None  # noqa: S101, PT018  (checked above)
    found.values |= _range(start, end, 1, field)
    _mark(found, nth, last)


def _special(match: re.Match[str], field: Field, found: _Parsed) -> None:
    value, last, nearest, nth = match.groups()
    if field is not (DAY if nearest else WEEKDAY):
        raise ValueError(f"'{'W' if nearest else 'L' if last else '#'}' option is not valid for {field.name}")
    _check_value(int(value), field)
    found.values.add(int(value))
    found.nearest = found.nearest or nearest is not None
    _mark(found, nth, last)


def _mark(found: _Parsed, nth: str | None, last: str | None) -> None:
    if nth is not None:
        if not 1 <= int(nth) <= 5:
            raise ValueError("A numeric value between 1 and 5 must follow the '#' option")
        found.nth = int(nth)
    found.last_weekday = found.last_weekday or last is not None


def _last(match: re.Match[str], field: Field, found: _Parsed) -> None:
    offset, nearest = match.groups()
    if field is WEEKDAY and match.group() == "L":
        found.values.add(7)
        return
    if field is not DAY:
        raise ValueError(f"'L' option is not valid for {field.name}")
    found.last_day, found.offset = True, int(offset or 0)
    if found.offset > 30:
        raise ValueError("Offset from last day must be <= 30")
    found.nearest = found.nearest or nearest is not None


def _check_value(value: int | None, field: Field) -> None:
    if value is None or field is YEAR:
        return
    if not field.least <= value <= field.most:
        raise ValueError(f"{field.name} values must be between {field.least} and {field.most}")


def _check_step(step: int, field: Field) -> None:
    if step > field.largest_step:
        raise ValueError(f"Increment of {field.name} > {field.largest_step} : {step}")


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Field, _Parsed], None]], ...] = (
    (re.compile(r"\?"), _unspecified),
    (_EVERY, _every),
    (_NUMBERED, _numbered),
    (_LAST, _last),
    (_SPECIAL, _special),
    (_NAMED, _named),
)


# evaluation


class _Search:
    """Looks for the first local time that fits, field by field, from seconds up; whatever moves a field sets the ones
    below it back and starts again."""

    def __init__(self, cron: CronExpression, zone: ZoneInfo, not_before: datetime) -> None:
        self._cron, self._zone, self._not_before = cron, zone, not_before

    def run(self, start: datetime) -> datetime | None:
        """From a local time on, itself included."""
        now: datetime | None = start
        while now is not None:
            now = self._settled(now)
            moved = self._step(now)
            if moved == now:
                return self._instant(now)
            now = moved
        return None

    def _settled(self, local: datetime) -> datetime:
        """A local time that a clock change skips, moved on by what is skipped."""
        there_and_back = local.replace(tzinfo=self._zone).astimezone(_UTC).astimezone(self._zone)
        return there_and_back.replace(tzinfo=None, fold=0)

    def _instant(self, local: datetime) -> datetime:
        """Of a time that happens twice the second."""
        return local.replace(tzinfo=self._zone, fold=1).astimezone(_UTC)

    def _step(self, now: datetime) -> datetime | None:
        """The same time where every field fits; else a later one to look at; None where there is none."""
        if now.year > LAST_YEAR:
            return None
        cron = self._cron
        second = _from(cron.seconds, now.second)
        if second is None:
            now = self._settled(_with(now, minute=now.minute + 1, second=cron.seconds[0]))
        else:
            now = now.replace(second=second)
        minute = _from(cron.minutes, now.minute)
        if minute != now.minute:
            later = now.hour + (minute is None)
            return self._at_hour(now, later, minute=cron.minutes[0] if minute is None else minute, second=0)
        hour = _from(cron.hours, now.hour)
        if hour != now.hour:
            day = now.day + (hour is None)
            return self._at_hour(now, cron.hours[0] if hour is None else hour, day=day, minute=0, second=0)
        fitting = self._day(now)
        if fitting != now:
            return fitting
        month = _from(cron.months, now.month)
        if month is None:
            return _with(now, year=now.year + 1, month=cron.months[0], day=1, hour=0, minute=0, second=0)
        if month != now.month:
            return now.replace(month=month, day=1, hour=0, minute=0, second=0)
        year = _from(cron.years, now.year)
        if year is None or year == now.year:
            return None if year is None else now
        return datetime(year, 1, 1) if year <= LAST_YEAR else None  # noqa: DTZ001  (a local time)

    def _at_hour(self, now: datetime, hour: int, **fields: int) -> datetime:
        """At an hour that may be skipped: then it is the next one that counts, from its start."""
        moved = self._settled(_with(now, hour=hour, **fields))
        if moved.hour != hour and hour != 24:
            moved = _with(now, hour=hour + 1, **fields)
        return moved

    def _day(self, now: datetime) -> datetime:
        cron = self._cron
        if cron.days is None:
            return self._weekday(now)
        if cron.last_day or cron.nearest:
            return self._counted_day(now)
        day = _from(cron.days, now.day)
        if day is not None and day <= _days_in(now):
            return now if day == now.day else _midnight(now, day=day)
        return _midnight(now, month=now.month + 1, day=cron.days[0])

    def _counted_day(self, now: datetime) -> datetime:
        """The month's last day (less an offset), the weekday nearest to a day."""
        cron = self._cron
        last = _days_in(now)
        wanted = last - cron.offset if cron.last_day else (cron.days or (1,))[0]
        if not cron.nearest:
            if now.day > wanted:
                return _midnight(now, month=now.month + 1, day=1)
            return now if wanted == now.day else _midnight(now, day=wanted)
        place = _with(now, day=wanted, hour=0, minute=0, second=0)
        if place.weekday() == 5:
            wanted += 2 if wanted == 1 else -1
        elif place.weekday() == 6:
            wanted += -2 if wanted == last else 1
        if self._instant(self._settled(_with(now, day=wanted))) < self._not_before:
            return _midnight(now, month=now.month + 1, day=1 if cron.last_day else (cron.days or (1,))[0])
        return now if wanted == now.day else _midnight(now, day=wanted)

    def _weekday(self, now: datetime) -> datetime:
        cron = self._cron
        weekdays = cron.weekdays or ()
        today = now.isoweekday() % 7 + 1
        wanted = weekdays[0]
        if not cron.last_weekday and not cron.nth:
            wanted = _from(weekdays, today) or weekdays[0]
        day = now.day + (wanted - today) % 7
        if cron.nth:
            shifted = day > now.day
            weeks = cron.nth - -(-day // 7)
            day += weeks * 7
            if weeks < 0 or day > _days_in(now):
                return _midnight(now, month=now.month + 1, day=1)
            return _midnight(now, day=day) if weeks > 0 or shifted else now
        if day > _days_in(now):
            return _midnight(now, month=now.month + 1, day=1)
        while cron.last_weekday and day + 7 <= _days_in(now):
            day += 7
        return now if day == now.day else _midnight(now, day=day)


def _from(values: tuple[int, ...], least: int) -> int | None:
    """The first of the ordered `values` that is at least that."""
    place = bisect_left(values, least)
    return values[place] if place < len(values) else None


def _days_in(local: datetime) -> int:
    return calendar.monthrange(local.year, local.month)[1]


def _midnight(now: datetime, *, day: int, month: int | None = None) -> datetime:
    return _with(now, month=now.month if month is None else month, day=day, hour=0, minute=0, second=0)


def _with(
    now: datetime,
    *,
    year: int | None = None,
    month: int | None = None,
    day: int | None = None,
    hour: int | None = None,
    minute: int | None = None,
    second: int | None = None,
) -> datetime:
    """A local time with other fields; what lies outside a field's bounds goes over into the next one."""
    months = (now.year if year is None else year) * 12 + (now.month if month is None else month) - 1
    first = datetime(months // 12, months % 12 + 1, 1)  # noqa: DTZ001  (a local time)
    return first + timedelta(
        days=(now.day if day is None else day) - 1,
        hours=now.hour if hour is None else hour,
        minutes=now.minute if minute is None else minute,
        seconds=now.second if second is None else second,
    )
