"""Cluster hours, cost and what was saved, from plain records."""

from collections.abc import Mapping

import pytest

from headway.core.errors import ConfigurationError
from headway.pipeline.costs import HOUR_MS, ClusterUse, Prices, Span, costs, read_prices, spans_of

DAY = 24 * HOUR_MS
PRICES = Prices("EUR", {"small": 0.5}, None)


def use(
    name: str, *hours: tuple[float, float | None], nodes: int = 1, per_run: bool = False, why: str = ""
) -> ClusterUse:
    spans = tuple(
        Span(int(start * HOUR_MS), None if end is None else int(end * HOUR_MS), nodes, why) for start, end in hours
    )
    return ClusterUse(name, name, "small", per_run, spans)


def test_hours_count_every_node_and_only_what_lies_in_the_period() -> None:
    found = costs([use("a", (-5, 2), (10, 12), nodes=3)], PRICES, 0, DAY)
    assert found.hours == 12
    assert found.cost == 6.0


def test_a_cluster_that_ends_for_the_weekend_saves_what_the_seed_claims() -> None:
    # Monday to Friday, 24 h a day; ended over the weekend, of which developers had forgotten: 2 days of 7.
    week = use("notebooks", (0, 120), why="INACTIVITY")
    found = costs([week], PRICES, 0, 7 * DAY)
    assert found.saved_share == pytest.approx(2 / 7)
    assert found.saved_share is not None
    assert found.saved_share >= 0.28
    assert (found.idle_saved_hours, found.idle_ends, found.per_run_saved_hours) == (48, 1, 0)


def test_clusters_per_run_are_measured_against_one_that_waits_for_the_job() -> None:
    runs = [
        ClusterUse(
            f"job-1-run-{n}-main", "score / main", "small", True, (Span(n * 6 * HOUR_MS, n * 6 * HOUR_MS + HOUR_MS, 2),)
        )
        for n in range(4)
    ]
    found = costs(runs, PRICES, 0, DAY)
    (group,) = found.groups
    assert (group.clusters, group.hours, group.always_on_hours, group.saved_hours) == (4, 8, 48, 40)
    assert found.per_run_saved_hours == 40


def test_overlapping_runs_may_cost_more_than_one_cluster_would() -> None:
    runs = [ClusterUse(f"r{n}", "j", "small", True, (Span(0, DAY, 1),)) for n in range(3)]
    assert costs(runs, PRICES, 0, DAY).per_run_saved_hours == -48


def test_one_that_runs_still_counts_until_now_and_ended_nothing() -> None:
    found = costs([use("a", (20, None))], PRICES, 0, DAY)
    assert (found.hours, found.saved_share, found.idle_ends) == (4, 0.0, 0)


def test_a_type_without_a_price_makes_the_sum_unknown_not_wrong() -> None:
    dear = ClusterUse("b", "b", "huge", False, (Span(0, HOUR_MS, 1),))
    found = costs([use("a", (0, 1)), dear], PRICES, 0, DAY)
    assert found.cost is None
    assert {group.group: group.cost for group in found.groups} == {"a": 0.5, "b": None}
    assert costs([dear], Prices("EUR", {}, 2.0), 0, DAY).cost == 2.0


def test_by_day_keeps_the_kinds_apart() -> None:
    found = costs([use("a", (20, 28)), use("b", (30, 31), per_run=True)], PRICES, 0, 2 * DAY)
    assert found.by_day == ((0, 4.0, 0.0), (DAY, 4.0, 1.0))


def test_nothing_ran() -> None:
    found = costs([], PRICES, 0, DAY)
    assert (found.hours, found.saved_share, found.cost, found.groups) == (0, None, None, ())


def events(*told: tuple[str, int, Mapping[str, object]]) -> list[dict[str, object]]:
    return [{"type": kind, "timestamp": at, "details": details} for kind, at, details in told]


def test_spans_come_from_a_clusters_events() -> None:
    idle = {"reason": {"code": "INACTIVITY"}}
    found = spans_of(
        events(
            ("CREATING", 10, {}),
            ("RUNNING", 20, {}),
            ("TERMINATING", 100, idle),
            ("STARTING", 200, {}),
            ("RUNNING", 210, {}),
            ("RESIZING", 300, {"cluster_size": {"num_workers": 3}}),
            ("TERMINATING", 400, {"reason": {"code": "USER_REQUEST"}}),
            ("STARTING", 500, {}),
        ),
        nodes=2,
    )
    assert found == (
        Span(10, 100, 2, "INACTIVITY"),
        Span(200, 300, 2),
        Span(300, 400, 4, "USER_REQUEST"),
        Span(500, None, 4),
    )


def test_a_price_table_is_read_and_every_problem_told_at_once() -> None:
    text = 'currency = "EUR"\ndefault = 1\n[nodes]\n"local.small" = 0.25\n'
    assert read_prices(text, "prices.toml") == Prices("EUR", {"local.small": 0.25}, 1.0)
    with pytest.raises(ConfigurationError) as caught:
        read_prices('monney = "EUR"\ncurrency = 3\ndefault = true\n[nodes]\nx = "dear"\ny = -1\n', "prices.toml")
    assert [found.path for found in caught.value.diagnostics] == ["monney", "currency", "default", "nodes.x", "nodes.y"]
    with pytest.raises(ConfigurationError):
        read_prices("no toml", "prices.toml")
