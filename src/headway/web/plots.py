"""Plots as SVG: bars over time, with axes that a person reads. Pure; colours are the style sheet's.

Each plot names itself to a screen reader; the page puts a table with the same numbers beside it.
"""

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 84, 20, 12, 26
_LABELS = 6
_TIMES = ((1, (1, 2, 5, 10, 15, 30)), (60, (1, 2, 5, 10, 15, 30)), (3600, (1, 2, 3, 6, 12)), (86_400, (1, 2, 5)))


@dataclass(frozen=True)
class Bar:
    """One bar, in parts from the bottom up. `label` is told when it is pointed at. `parts` is empty where there is
    nothing to tell."""

    x: float
    width: float
    parts: tuple[tuple[float, float, str], ...]
    label: str


@dataclass(frozen=True)
class Plot:
    """A plot, ready to be drawn. `ticks` are lines with their text, `dates` texts below. `empty`: no bar has any
    height, and what is said `instead`."""

    id: str
    title: str
    description: str
    width: int
    height: int
    left: int
    right: float
    bottom: float
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    dates: tuple[tuple[float, str], ...]
    rows: tuple[tuple[str, str], ...]
    empty: bool
    instead: str


Value = float | None


def plot(
    id_: str,
    title: str,
    points: Sequence[tuple[int, Sequence[Value]]],
    say: Callable[[float], str],
    *,
    kinds: Sequence[str] = ("",),
    top: float | None = None,
    step_of: Callable[[float], float] | None = None,
) -> Plot:
    """Bars at moments (milliseconds since 1970), each of as many parts as there are `kinds`; None: nothing is known.
    `say` puts a value into words, `top` is the least that the axis reaches, `step_of` chooses the distance of its
    lines."""
    totals = [sum(value or 0 for value in values) for _, values in points]
    highest = max([*totals, top or 0])
    step = (step_of or nice_step)(highest)
    reach = math.ceil(highest / step - 1e-9) * step if highest > 0 else step
    inner, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    room = inner / max(1, len(points))
    width = max(1.0, min(34.0, room * 0.72))
    bars = []
    for number, (at, values) in enumerate(points):
        x, y, parts = LEFT + room * number + (room - width) / 2, float(HEIGHT - BOTTOM), []
        for kind, value in zip(kinds, values, strict=True):
            high = (value or 0) / reach * tall
            if high > 0:
                y -= high
                parts.append((round(y, 1), round(max(high, 1.0), 1), kind))
        bars.append(Bar(round(x, 1), round(width, 1), tuple(parts), f"{day(at)}: {_told(values, kinds, say)}"))
    count = round(reach / step)
    ticks = tuple((round(HEIGHT - BOTTOM - tall * n / count, 1), say(step * n)) for n in range(count + 1))
    every = max(1, math.ceil(len(points) / _LABELS))
    dates = tuple(
        (round(LEFT + room * (n + 0.5), 1), short_day(at)) for n, (at, _) in enumerate(points) if n % every == 0
    )
    known = [total for total, (_, values) in zip(totals, points, strict=True) if any(v is not None for v in values)]
    span = f"from {day(points[0][0])} to {day(points[-1][0])}" if points else "no time"
    most = f"the most is {say(max(known))}" if known else "there is nothing yet"
    rows = tuple((day(at), _told(values, kinds, say)) for at, values in points)
    return Plot(
        id=id_,
        title=title,
        description=f"{title}, {span}: {most}.",
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BOTTOM,
        bars=tuple(bars),
        ticks=ticks,
        dates=dates,
        rows=rows,
        empty=not any(bar.parts for bar in bars),
        instead=f"{say(0)}, all the time." if known else "Nothing in this time.",
    )


def _told(values: Sequence[Value], kinds: Sequence[str], say: Callable[[float], str]) -> str:
    if all(value is None for value in values):
        return "nothing"
    if len(values) == 1:
        return say(values[0] or 0)
    return ", ".join(f"{kind} {say(value or 0)}" for kind, value in zip(kinds, values, strict=True))


def nice_step(highest: float) -> float:
    """The distance of an axis' lines: 1, 2 or 5 times a power of ten, so that there are three to six of them."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power / 10 for step in (2, 5, 10, 20) if highest / (step * power / 10) <= 5)


def count_step(highest: float) -> float:
    """The same for what is counted."""
    return max(1.0, nice_step(highest))


def time_step(highest: float) -> float:
    """The same for seconds, as people count time; past some days by nice numbers of days."""
    known = (s * unit for unit, steps in _TIMES for s in steps)
    found = next((step for step in known if highest / step <= 5), None)
    if highest < 1:
        return nice_step(highest)
    return found if found is not None else nice_step(highest / 86_400) * 86_400


def day(at_ms: int) -> str:
    """A day, in UTC."""
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).strftime("%Y-%m-%d")


def short_day(at_ms: int) -> str:
    """The same for an axis."""
    found = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return f"{found.day} {found.strftime('%b')}"
