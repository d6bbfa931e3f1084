"""What clusters used and cost, and what ending them saved, against clusters that are never ended. Pure.

Always-on is what teams do who forget: an all-purpose cluster runs from its first start on; a job that runs each hour
has one cluster of its own that waits for it. Times are milliseconds since 1970 (UTC), hours are hours of one node.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headway.core.diagnostics import Diagnostic, Location
from headway.core.errors import ConfigurationError

HOUR_MS = 3_600_000
IDLE = "INACTIVITY"


@dataclass(frozen=True)
class Prices:
    """What a node of each type costs an hour. `default` is that of types that the table does not name; None means
    that their cost is not known."""

    currency: str = ""
    nodes: Mapping[str, float] = field(default_factory=dict)
    default: float | None = None

    def of(self, node_type: str) -> float | None:
        """The price of an hour."""
        return self.nodes.get(node_type, self.default)


@dataclass(frozen=True)
class Span:
    """A time in which a cluster ran. `end_ms` is None while it does; `nodes` counts the driver; `why` is the code of
    the reason for its end."""

    start_ms: int
    end_ms: int | None
    nodes: int
    why: str = ""


@dataclass(frozen=True)
class ClusterUse:
    """A cluster and when it ran. `group` names what shares one cluster in the always-on case: the cluster itself, or
    the job (and cluster key) that a run's own cluster was made for. `per_run`: it was made for one run."""

    name: str
    group: str
    node_type: str
    per_run: bool
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class GroupCost:
    """One cluster, or all those that a job's runs had."""

    group: str
    node_type: str
    per_run: bool
    clusters: int
    hours: float
    always_on_hours: float
    idle_ends: int
    cost: float | None

    @property
    def saved_hours(self) -> float:
        """What always-on would have used more (less, where runs overlapped)."""
        return self.always_on_hours - self.hours


@dataclass(frozen=True)
class Costs:
    """The whole: `saved_share` is what was saved of always-on, 0 to 1; None where nothing ran. `by_day` are hours by
    the day's beginning: of all-purpose clusters, and of those of runs."""

    since_ms: int
    until_ms: int
    currency: str
    groups: tuple[GroupCost, ...]
    hours: float
    always_on_hours: float
    idle_saved_hours: float
    per_run_saved_hours: float
    idle_ends: int
    saved_share: float | None
    cost: float | None
    always_on_cost: float | None
    by_day: tuple[tuple[int, float, float], ...]


def costs(uses: Iterable[ClusterUse], prices: Prices, since_ms: int, until_ms: int) -> Costs:
    """What was used between two moments."""
    groups: dict[str, list[ClusterUse]] = {}
    for use in uses:
        groups.setdefault(use.group, []).append(use)
    made = [_group(name, members, prices, since_ms, until_ms) for name, members in groups.items()]
    used = sorted((entry for entry in made if entry is not None), key=lambda entry: -entry.hours)
    hours = sum(entry.hours for entry in used)
    always = sum(entry.always_on_hours for entry in used)
    return Costs(
        since_ms=since_ms,
        until_ms=until_ms,
        currency=prices.currency,
        groups=tuple(used),
        hours=hours,
        always_on_hours=always,
        idle_saved_hours=sum(entry.saved_hours for entry in used if not entry.per_run),
        per_run_saved_hours=sum(entry.saved_hours for entry in used if entry.per_run),
        idle_ends=sum(entry.idle_ends for entry in used),
        saved_share=(always - hours) / always if always > 0 else None,
        cost=_sum(entry.cost for entry in used),
        always_on_cost=_sum(_times(prices.of(entry.node_type), entry.always_on_hours) for entry in used),
        by_day=_by_day([use for members in groups.values() for use in members], since_ms, until_ms),
    )


def _group(name: str, members: Sequence[ClusterUse], prices: Prices, since: int, until: int) -> GroupCost | None:
    spans = [span for use in members for span in _inside(use.spans, since, until)]
    if not spans:
        return None
    first, nodes = min(span.start_ms for span in spans), max(span.nodes for span in spans)
    hours = sum(_hours(span, until) for span in spans)
    node_type = members[-1].node_type
    return GroupCost(
        group=name,
        node_type=node_type,
        per_run=members[0].per_run,
        clusters=len(members),
        hours=hours,
        always_on_hours=(until - first) / HOUR_MS * nodes,
        idle_ends=sum(span.why == IDLE for span in spans),
        cost=_times(prices.of(node_type), hours),
    )


def _inside(spans: Iterable[Span], since: int, until: int) -> list[Span]:
    found = []
    for span in spans:
        end = until if span.end_ms is None else span.end_ms
        start = max(span.start_ms, since)
        if start < min(end, until):
            why = span.why if end <= until else ""
            found.append(Span(start, min(end, until), span.nodes, why))
    return found


def _hours(span: Span, until: int) -> float:
    return ((until if span.end_ms is None else span.end_ms) - span.start_ms) / HOUR_MS * span.nodes


def _times(price: float | None, hours: float) -> float | None:
    return None if price is None else price * hours


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if any(value is None for value in known) or not known else sum(v for v in known if v is not None)


def _by_day(uses: Sequence[ClusterUse], since: int, until: int) -> tuple[tuple[int, float, float], ...]:
    day = 24 * HOUR_MS
    found = []
    start = since // day * day
    while start < until:
        sums = [0.0, 0.0]
        for use in uses:
            spans = _inside(use.spans, max(start, since), min(start + day, until))
            sums[use.per_run] += sum(_hours(span, until) for span in spans)
        found.append((start, sums[0], sums[1]))
        start += day
    return tuple(found)


def spans_of(events: Iterable[Mapping[str, Any]], nodes: int) -> tuple[Span, ...]:
    """When a cluster ran, from the events of `clusters/events`, the oldest first. It costs from when it is asked for.
    `nodes` is its size where its events do not say."""
    found: list[Span] = []
    begun: int | None = None
    for event in events:
        kind, at = event.get("type"), int(event.get("timestamp", 0))
        details: Mapping[str, Any] = event.get("details") or {}
        size = details.get("current_num_workers", (details.get("cluster_size") or {}).get("num_workers"))
        if kind in ("CREATING", "STARTING") and begun is None:
            begun = at
        elif kind == "TERMINATING" and begun is not None:
            found.append(Span(begun, at, nodes, str((details.get("reason") or {}).get("code", ""))))
            begun = None
        elif begun is not None and isinstance(size, int) and size + 1 != nodes:
            if at > begun and kind not in ("RUNNING",):
                found.append(Span(begun, at, nodes))
                begun = at
            nodes = size + 1
    if begun is not None:
        found.append(Span(begun, None, nodes))
    return tuple(found)


def read_prices(text: str, file: str) -> Prices:
    """A price table: `currency`, `default`, and `[nodes]` with a price by node type. Raise ConfigurationError."""
    at = Location(file)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError((Diagnostic(at, "", f"cannot be read: {error}"),)) from None
    problems = [Diagnostic(at, key, "unknown key") for key in data if key not in ("currency", "default", "nodes")]
    nodes = data.get("nodes", {})
    if not isinstance(data.get("currency", ""), str):
        problems.append(Diagnostic(at, "currency", "must be text"))
    if not isinstance(nodes, dict):
        problems.append(Diagnostic(at, "nodes", "must be a table of prices"))
        nodes = {}
    given = {"default": data["default"]} if "default" in data else {}
    for path, price in {**given, **{f"nodes.{key}": value for key, value in nodes.items()}}.items():
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < 1e9:
            problems.append(Diagnostic(at, path, f"{price!r} is no price"))
    if problems:
        raise ConfigurationError(tuple(problems))
    default = data.get("default")
    return Prices(
        str(data.get("currency", "")),
        {str(key): float(value) for key, value in nodes.items()},
        None if default is None else float(default),
    )
