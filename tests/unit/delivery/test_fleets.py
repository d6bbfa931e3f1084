"""Properties of deploys over generated fleets, against a workspace that is a model in memory."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.errors import HeadwayError
from headway.core.plan import TAG_APP, TAG_ENVIRONMENT, TAG_JOB
from headway.core.planfile import from_json
from headway.delivery.deploying import Target, _require_unmoved, change, finish_interrupted, make_plan, resume
from support.delivery_model import Killed, Model, release, target

fleets = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 4), max_size=5)


def wanted(fleet: dict[str, int]) -> dict[str, dict[str, Any]]:
    def tags(key: str) -> dict[str, str]:
        return {TAG_APP: "app", TAG_ENVIRONMENT: "stage", TAG_JOB: key}

    return {key: {"name": key, "timeout_seconds": value, "tags": tags(key)} for key, value in fleet.items()}


def deploy(to: Target, build: int, fleet: dict[str, int]) -> None:
    with to.ledger.locked(to.clock) as hold:
        finish_interrupted(to, hold)
        change(to, release(build), wanted(fleet), hold)


@settings(max_examples=12, deadline=None)
@given(fleets, fleets)
def test_apply_twice_equals_once_and_then_nothing_is_written(old: dict[str, int], new: dict[str, int]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        to = target(model, folder)
        deploy(to, 1, old)
        assert model.fleet() == old
        deploy(to, 2, new)
        once, state, writes = copy.deepcopy(model.jobs), to.ledger.state(), model.writes
        assert model.fleet() == new
        assert make_plan(to, release(2), wanted(new)).empty
        deploy(to, 2, new)
        assert (model.jobs, to.ledger.state(), model.writes) == (once, state, writes)


@settings(max_examples=20, deadline=None)
@given(fleets, fleets, st.integers(1, 8), st.sampled_from(["forward", "back"]))
def test_killed_at_any_write_a_fleet_ends_in_one_of_the_two(
    old: dict[str, int], new: dict[str, int], at: int, way: Any
) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        to = target(model, folder)
        deploy(to, 1, old)
        first = model.writes

        def die(number: int) -> None:
            if number >= first + at:
                raise Killed

        model.before_write = die
        try:
            deploy(to, 2, new)
        except Killed:
            model.before_write = lambda _: None
            resume(target(model, folder), way)
        version = to.ledger.state().version
        assert model.fleet() == (new if version == "1.0.2" else old)
        assert to.ledger.unfinished() == []


@settings(max_examples=15, deadline=None)
@given(fleets, fleets, fleets, st.integers(1, 6))
def test_a_second_deployer_that_takes_over_at_any_write_leaves_one_of_the_results(
    old: dict[str, int], first: dict[str, int], second: dict[str, int], at: int
) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        to, other = target(model, folder), target(model, folder)
        deploy(to, 1, old)
        begun = model.writes

        def take_over(number: int) -> None:
            if number != begun + at:
                return
            model.before_write = lambda _: None
            to.ledger.break_lock(to.clock)
            deploy(other, 3, second)
            raise Killed  # the former holder's own call never arrives; what it does next is its own matter

        model.before_write = take_over
        try:
            deploy(to, 2, first)
        except (Killed, HeadwayError):
            assert model.fleet() == second
            assert to.ledger.state().version == "1.0.3"
        else:
            assert model.fleet() == first


def test_a_saved_plan_holds_only_while_nothing_moved(tmp_path: Path) -> None:
    model = Model()
    to = target(model, str(tmp_path))
    deploy(to, 1, {"a": 1, "b": 1})
    planned = from_json(make_plan(to, release(2), wanted({"a": 2, "b": 1})).to_json())
    assert _require_unmoved(to, release(2), planned, "p").steps == planned.steps
    model.jobs[1]["timeout_seconds"] = 9
    with pytest.raises(HeadwayError, match="a: timeout_seconds was 1, is 9") as caught:
        _require_unmoved(to, release(2), planned, "p")
    assert caught.value.exit_status == 3
    deploy(to, 3, {"a": 3})
    with pytest.raises(HeadwayError, match=r"its state is number 2, it was 1; deployment 000002 brought 1\.0\.3"):
        _require_unmoved(to, release(2), planned, "p")
