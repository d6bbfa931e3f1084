"""Properties of deploys over generated fleets, against a workspace that is a model in memory."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.adapters.objectstore import ObjectStore
from headway.core.errors import HeadwayError
from headway.core.planfile import from_json
from headway.delivery import applying, observing
from headway.delivery.deploying import Target, _require_unmoved, change, finish_interrupted, make_plan, resume
from headway.delivery.locking import LEASE_SECONDS
from support.delivery_model import Killed, Model, release, target
from support.generated_fleets import Fleet, Spec, differs, fleets, wanted
from support.memory_store import MemoryStore
from support.turns import Seen, Turns
from unit.delivery.test_ledger import FakeClock

plenty = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call at a time in each deployer, so that a failure is found again."""
    monkeypatch.setattr(applying, "MOST", 1.0)
    monkeypatch.setattr(observing, "AT_ONCE", 1)


def to(model: Any, store: ObjectStore) -> Target:
    return target(model, "", store=store)


def deploy(there: Target, build: int, fleet: Fleet) -> None:
    with there.ledger.locked(there.clock) as hold:
        finish_interrupted(there, hold)
        change(there, release(build), wanted(fleet), hold)


@plenty
@given(fleets, fleets)
def test_apply_twice_equals_once_and_then_nothing_is_written(old: Fleet, new: Fleet) -> None:
    model, store = Model(), MemoryStore()
    there = to(model, store)
    deploy(there, 1, old)
    assert differs(model, old) == ""
    deploy(there, 2, new)
    assert differs(model, new) == ""
    once, kept, writes = copy.deepcopy(vars(model)), dict(store.content), model.writes
    assert make_plan(there, release(2), wanted(new)).steps == ()
    deploy(there, 2, new)
    assert model.writes == writes, "the workspace was written to although nothing changed"
    assert vars(model) == once
    kept.pop("app/envs/stage/lock.json")
    assert {key: store.content[key] for key in kept} == kept
    assert set(store.content) == {*kept, "app/envs/stage/lock.json"}


@plenty
@given(fleets, fleets, st.integers(1, 12), st.sampled_from(["forward", "back"]))
def test_killed_at_any_write_a_fleet_ends_in_one_of_the_two(old: Fleet, new: Fleet, at: int, way: Any) -> None:
    model, store = Model(), MemoryStore()
    there = to(model, store)
    deploy(there, 1, old)
    first = model.writes

    def die(number: int) -> None:
        if number >= first + at:
            raise Killed

    model.before_write = die
    try:
        deploy(there, 2, new)
    except Killed:
        model.before_write = lambda _: None
        resume(to(model, store), way)
    version = there.ledger.state().version
    assert differs(model, new if version == "1.0.2" else old) == ""
    assert there.ledger.unfinished() == []
    again = old if version == "1.0.1" else new
    assert make_plan(there, release(1 if again is old else 2), wanted(again)).steps == ()


@plenty
@given(fleets, fleets, fleets, st.integers(1, 8))
def test_a_second_deployer_that_takes_over_at_any_write_leaves_one_of_the_results(
    old: Fleet, first: Fleet, second: Fleet, at: int
) -> None:
    model, store = Model(), MemoryStore()
    there, other = to(model, store), to(model, store)
    deploy(there, 1, old)
    begun = model.writes

    def take_over(number: int) -> None:
        if number != begun + at:
            return
        model.before_write = lambda _: None
        there.ledger.break_lock(there.clock)
        deploy(other, 3, second)
        raise Killed  # the former holder's own call never arrives; what it does next is its own matter

    model.before_write = take_over
    try:
        deploy(there, 2, first)
    except (Killed, HeadwayError):
        assert differs(model, second) == ""
        assert there.ledger.state().version == "1.0.3"
    else:
        assert differs(model, first) == ""


# Runs of turns: an order of single ones would switch at every second call.
orders = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 12)), max_size=14).map(
    lambda runs: [who for who, length in runs for _ in range(length)]
)


@settings(plenty, max_examples=120)
@given(fleets, fleets, fleets, orders, st.integers(1, 70))
def test_any_interleaving_of_two_deployers_ends_in_one_of_the_two_results(
    old: Fleet, first: Fleet, second: Fleet, order: list[int], expires: int
) -> None:
    """Two deployers at once, switched between any of their calls to store and workspace; at call number `expires` so
    much time passes that the lease of whoever holds one is over, and the other may take over."""
    model, store, clock = Model(), MemoryStore(), FakeClock()
    deploy(target(model, "", store=store, clock=clock), 1, old)
    turns = Turns(order, lambda call: clock.sleep(LEASE_SECONDS + 1) if call == expires else None)

    def deployer(who: int, build: int, fleet: Fleet) -> Any:
        seen = Seen(model, lambda: turns.take(who))
        own = target(seen, "", store=store.beside(lambda *_: turns.take(who)), clock=clock)
        return lambda: deploy(own, build, fleet)

    told = turns.run(deployer(0, 2, first), deployer(1, 3, second))
    assert set(told) <= {"done", "ENVIRONMENT_LOCKED", "LOCK_LOST", "STATE_MOVED"}, told
    after = target(model, "", store=store, clock=clock)
    clock.sleep(LEASE_SECONDS + 1)
    resume(after)
    fleet_of = {"1.0.1": old, "1.0.2": first, "1.0.3": second}
    version = after.ledger.state().version
    assert version is not None
    assert differs(model, fleet_of[version]) == "", (told, version)
    assert after.ledger.unfinished() == []
    if "done" in told:
        assert version != "1.0.1", told
    assert make_plan(after, release(int(version[-1])), wanted(fleet_of[version])).steps == ()


def test_a_saved_plan_holds_only_while_nothing_moved(tmp_path: Path) -> None:
    model = Model()
    there = target(model, str(tmp_path))
    deploy(there, 1, Fleet({"a": Spec(1), "b": Spec(1)}))
    planned = from_json(
        make_plan(there, release(2), wanted(Fleet({"a": Spec(2), "b": Spec(1), "c": Spec(1)}))).to_json()
    )
    assert _require_unmoved(there, release(2), planned, "p").steps == planned.steps

    def refused(pattern: str) -> None:
        with pytest.raises(HeadwayError, match=pattern) as caught:
            _require_unmoved(there, release(2), planned, "p")
        assert caught.value.exit_status == 3

    model.jobs[1]["timeout_seconds"] = 9
    refused("a: timeout_seconds was 1, is 9")
    model.jobs[1]["timeout_seconds"] = 1
    model.jobs[7] = wanted(Fleet({"c": Spec(3)}))["c"]  # somebody made the job that the plan creates
    refused(r"c: planned was create, now it would be reset")
    del model.jobs[7]
    gone = model.jobs.pop(1)
    refused(r"a: planned was reset, now it would be create")
    model.jobs[1] = gone
    assert _require_unmoved(there, release(2), planned, "p").steps == planned.steps
    deploy(there, 3, Fleet({"a": Spec(3)}))
    refused(r"its state is number 2, it was 1; deployment 000002 brought 1\.0\.3")
