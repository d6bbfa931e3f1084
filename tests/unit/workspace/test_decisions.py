"""What follows in a run, and how it ends."""

import pytest

from headway.workspace.engine.decisions import Node, decide, retries_left, run_result, without_running

CHAIN = [Node("a", ()), Node("b", ("a",)), Node("c", ("b",)), Node("d", ("a",), "AT_LEAST_ONE_FAILED")]


@pytest.mark.parametrize(
    ("run_if", "upstream", "verdict"),
    [
        ("ALL_SUCCESS", [], None),
        ("ALL_SUCCESS", ["SUCCESS", "SUCCESS"], None),
        ("ALL_SUCCESS", ["SUCCESS", "FAILED"], "UPSTREAM_FAILED"),
        ("ALL_SUCCESS", ["SUCCESS", "TIMEDOUT"], "UPSTREAM_FAILED"),
        ("ALL_SUCCESS", ["CANCELED"], "UPSTREAM_CANCELED"),
        ("ALL_SUCCESS", ["EXCLUDED"], "EXCLUDED"),
        ("ALL_DONE", ["FAILED", "CANCELED"], None),
        ("NONE_FAILED", ["SUCCESS", "EXCLUDED"], None),
        ("NONE_FAILED", ["SUCCESS", "FAILED"], "EXCLUDED"),
        ("AT_LEAST_ONE_SUCCESS", ["FAILED", "SUCCESS"], None),
        ("AT_LEAST_ONE_SUCCESS", ["FAILED"], "EXCLUDED"),
        ("ALL_FAILED", ["FAILED", "UPSTREAM_FAILED"], None),
        ("ALL_FAILED", ["FAILED", "SUCCESS"], "EXCLUDED"),
        ("AT_LEAST_ONE_FAILED", ["SUCCESS", "FAILED"], None),
        ("AT_LEAST_ONE_FAILED", ["SUCCESS"], "EXCLUDED"),
    ],
)
def test_a_task_runs_only_where_its_condition_holds(run_if: str, upstream: list[str], verdict: str | None) -> None:
    assert without_running(run_if, upstream) == verdict


def test_tasks_start_when_what_they_wait_for_has_ended() -> None:
    assert decide(CHAIN, {}, set()).start == ("a",)
    assert decide(CHAIN, {}, {"a"}).start == ()
    after = decide(CHAIN, {"a": "SUCCESS"}, {"a"})
    assert after.start == ("b",)
    assert after.end == {"d": "EXCLUDED"}
    failed = decide(CHAIN, {"a": "FAILED"}, {"a"})
    assert failed.start == ("d",)
    assert failed.end == {"b": "UPSTREAM_FAILED"}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (["SUCCESS", "SUCCESS", "SUCCESS", "EXCLUDED"], "SUCCESS"),
        (["FAILED", "UPSTREAM_FAILED", "UPSTREAM_FAILED", "SUCCESS"], "FAILED"),
        (["SUCCESS", "SUCCESS", "TIMEDOUT", "EXCLUDED"], "TIMEDOUT"),
        (["CANCELED", "UPSTREAM_CANCELED", "UPSTREAM_CANCELED", "EXCLUDED"], "CANCELED"),
    ],
)
def test_the_leaves_decide_how_a_run_ends(results: list[str], expected: str) -> None:
    assert run_result(CHAIN, dict(zip("abcd", results, strict=True))) == expected


def test_a_failure_that_was_cleaned_up_after_is_told() -> None:
    nodes = [Node("a", ()), Node("b", ("a",), "ALL_DONE")]
    assert run_result(nodes, {"a": "FAILED", "b": "SUCCESS"}) == "SUCCESS_WITH_FAILURES"


def test_retries_are_counted() -> None:
    assert retries_left("FAILED", 0, 1, False)
    assert not retries_left("FAILED", 1, 1, False)
    assert retries_left("FAILED", 99, -1, False)
    assert not retries_left("TIMEDOUT", 0, 1, False)
    assert retries_left("TIMEDOUT", 0, 1, True)
    assert not retries_left("CANCELED", 0, 5, True)
