"""The report: how teams deliver (`dora`) and what their clusters cost (`costs`), as values, JSON and CSV.

Read from the engine's database and the workspace's API.
"""

import csv
import datetime
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headway.core.diagnostics import Diagnostic, Location
from headway.core.errors import ConfigurationError, HeadwayError
from headway.pipeline.costs import ClusterUse, Costs, Prices, Span, costs, read_prices, spans_of
from headway.pipeline.dora import DAY_MS, Bucket, Figures, buckets, changes, figures
from headway.pipeline.model import DeploymentRecord
from headway.pipeline.workspaces import Workspace, Workspaces

SCHEMA = "headway.report/1"
LONGEST_DAYS = 730
# What a workspace is asked for at most: clusters (one call of their events each), pages of runs.
MOST_CLUSTERS, MOST_EVENT_PAGES = 2000, 20
_KEPT_SECONDS = 60.0
_RUN_CLUSTER = re.compile(r"job-(?:(?P<job>\d+)-)?run-(?P<run>\d+)-(?P<key>.*)")


@dataclass(frozen=True)
class Place:
    """An application's environment: its figures over the whole period and over time."""

    app: str
    environment: str
    figures: Figures
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True)
class Report:
    """The report of a period. `costs` is None where the workspace could not be read: `problem` says why."""

    since_ms: int
    until_ms: int
    places: tuple[Place, ...]
    costs: Costs | None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The report as data; times in ISO 8601, UTC."""
        spent = None
        if self.costs is not None:
            spent = asdict(self.costs)
            spent["groups"] = [{**asdict(g), "saved_hours": g.saved_hours} for g in self.costs.groups]
            spent["by_day"] = [
                {"day": _iso(day)[:10], "all_purpose_hours": own, "per_run_hours": runs}
                for day, own, runs in self.costs.by_day
            ]
            for name in ("since_ms", "until_ms"):
                del spent[name]
        places = [
            {
                "app": place.app,
                "environment": place.environment,
                **asdict(place.figures),
                "over_time": [{"start": _iso(b.start_ms), **asdict(b.figures)} for b in place.buckets],
            }
            for place in self.places
        ]
        period = {"since": _iso(self.since_ms), "until": _iso(self.until_ms)}
        return {"schema": SCHEMA, **period, "delivery": places, "clusters": spent, "problem": self.problem}

    def to_csv(self) -> str:
        """One figure a line: what it is of, from when to when, its name, value and unit."""
        target = io.StringIO()
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(("app", "environment", "cluster", "start", "end", "figure", "value", "unit"))
        for row in self._rows():
            writer.writerow([_cell(value) for value in row])
        return target.getvalue()

    def _rows(self) -> Iterator[tuple[object, ...]]:
        period = (_iso(self.since_ms), _iso(self.until_ms))
        for place in self.places:
            for row in _figure_rows(place.figures):
                yield (place.app, place.environment, "", *period, *row)
            ends = [*(b.start_ms for b in place.buckets[1:]), self.until_ms]
            for bucket, end in zip(place.buckets, ends, strict=True):
                for row in _figure_rows(bucket.figures):
                    yield (place.app, place.environment, "", _iso(bucket.start_ms), _iso(end), *row)
        if self.costs is None:
            return
        for group in self.costs.groups:
            own = ("", "", group.group, *period)
            yield (*own, "hours", f"{group.hours:.4f}", "node hours")
            yield (*own, "always_on_hours", f"{group.always_on_hours:.4f}", "node hours")
            yield (*own, "idle_ends", group.idle_ends, "times")
            if group.cost is not None:
                yield (*own, "cost", f"{group.cost:.2f}", self.costs.currency)
        for day, own_hours, run_hours in self.costs.by_day:
            at = (_iso(day), _iso(min(day + DAY_MS, self.until_ms)))
            yield ("", "", "all-purpose", *at, "hours", f"{own_hours:.4f}", "node hours")
            yield ("", "", "per run", *at, "hours", f"{run_hours:.4f}", "node hours")
        if self.costs.saved_share is not None:
            yield ("", "", "", *period, "saved_share", f"{self.costs.saved_share:.4f}", "of always-on")


def _cell(value: object) -> object:
    """Text that a spreadsheet takes for text: a name that begins as a formula does gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


def _figure_rows(found: Figures) -> Iterator[tuple[object, ...]]:
    yield ("changes", found.changes, "times")
    yield ("deployments", found.stood, "times")
    yield ("deployments_per_week", f"{found.per_week:.3f}", "per week")
    for name, value, unit in (
        ("lead_time", found.lead_seconds, "s"),
        ("change_failure_rate", found.failure_rate, "of changes"),
        ("time_to_restore", found.restore_seconds, "s"),
    ):
        if value is not None:
            yield (name, f"{value:.4f}", unit)


def _iso(at_ms: int) -> str:
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def delivery(records: list[DeploymentRecord], since_ms: int, until_ms: int) -> tuple[Place, ...]:
    """The figures of each application's environments, by name. `records` go back before the period, so that what stood
    there when it began is known."""
    found = changes(records)
    places = sorted({(entry.app, entry.environment) for entry in found})
    made = []
    for app, environment in places:
        own = [entry for entry in found if (entry.app, entry.environment) == (app, environment)]
        over_time = tuple(buckets(own, since_ms, until_ms))
        made.append(Place(app, environment, figures(own, since_ms, until_ms), over_time))
    return tuple(made)


class Reporter:
    """Makes reports. `deployments` gives every record of an application, or of all; `now_ms` is the clock."""

    def __init__(
        self,
        deployments: Callable[[str | None], list[DeploymentRecord]],
        workspaces: Workspaces,
        prices: Prices,
        now_ms: Callable[[], int],
    ) -> None:
        self._deployments, self._workspaces, self.prices, self._now = deployments, workspaces, prices, now_ms
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[float, Costs | None, str]] = {}

    def report(self, app: str | None = None, days: int = 30) -> Report:
        """The report of the last `days` days, of one application or of all; clusters are always of all."""
        until = self._now()
        since = until - max(1, min(days, LONGEST_DAYS)) * DAY_MS
        spent, problem = self._costs(days, since, until)
        return Report(since, until, delivery(self._deployments(app), since, until), spent, problem)

    def _costs(self, days: int, since: int, until: int) -> tuple[Costs | None, str]:
        """What was read is good for a minute: it may have taken many calls."""
        with self._lock:
            at, spent, problem = self._kept.get(days, (0.0, None, ""))
            if at and time.monotonic() - at < _KEPT_SECONDS and spent is not None:
                return spent, problem
            try:
                spent = costs(uses(self._workspaces.own(), since), self.prices, since, until)
                problem = ""
            except HeadwayError as error:
                spent, problem = None, error.message
            self._kept = {key: value for key, value in self._kept.items() if len(self._kept) < 8}
            self._kept[days] = (time.monotonic(), spent, problem)
            return spent, problem


def uses(workspace: Workspace, since_ms: int) -> list[ClusterUse]:
    """When each cluster of a workspace ran since then. Raise HeadwayError WORKSPACE_…."""
    jobs: dict[int, str] | None = None
    found = []
    for number, cluster in enumerate(workspace.pages("/api/2.1/clusters/list", "clusters", page_size=100)):
        if number >= MOST_CLUSTERS:
            break
        ended = cluster.get("terminated_time")
        if ended and int(ended) < since_ms:
            continue
        name, cluster_id = str(cluster.get("cluster_name", "")), str(cluster.get("cluster_id", ""))
        scale = cluster.get("autoscale") or {}
        nodes = 1 + int(cluster.get("num_workers") or scale.get("min_workers") or 0)
        per_run = cluster.get("cluster_source") == "JOB"
        node_type = str(cluster.get("node_type_id", ""))
        if per_run:
            jobs = _jobs_of_runs(workspace, since_ms) if jobs is None else jobs
            group = _group_of(name, jobs)
            start = int(cluster.get("start_time", 0))
            why = str((cluster.get("termination_reason") or {}).get("code", ""))
            spans: tuple[Span, ...] = (Span(start, int(ended) if ended else None, nodes, why),)
        else:
            group = f"{name} ({cluster_id})"
            spans = spans_of(_events(workspace, cluster_id), nodes)
        found.append(ClusterUse(name, group, node_type, per_run, spans))
    return found


def _events(workspace: Workspace, cluster_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    ask: dict[str, Any] = {"cluster_id": cluster_id, "order": "ASC", "limit": 500}
    for _ in range(MOST_EVENT_PAGES):
        page = workspace.post("/api/2.1/clusters/events", **ask)
        found += page.get("events") or []
        if not page.get("next_page"):
            break
        ask = dict(page["next_page"])
    return found


def _jobs_of_runs(workspace: Workspace, since_ms: int) -> dict[int, str]:
    """The job's name by its run."""
    listed = workspace.pages("/api/2.2/jobs/runs/list", "runs", start_time_from=since_ms, limit=25)
    return {int(run["run_id"]): str(run.get("run_name") or run.get("job_id")) for run in listed}


def _group_of(name: str, jobs: dict[int, str]) -> str:
    match = _RUN_CLUSTER.fullmatch(name)
    if match is None:
        return f"runs’ cluster {name}"
    job = jobs.get(int(match["run"])) or (f"job {match['job']}" if match["job"] else f"run {match['run']}")
    return f"{job} / {match['key']}"


def load_prices(path: str) -> Prices:
    """The price table of a file; none where there is no path. Raise ConfigurationError."""
    if not path:
        return Prices()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Diagnostic(Location(path), "", f"cannot be read: {error}"),)) from None
    return read_prices(text, path)
