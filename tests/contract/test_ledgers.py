"""Ledgers on every kind of store: what makes two deployers on two machines safe rests on conditional writes alone."""

import json

import pytest

from contract.test_stores import moto as moto
from contract.test_stores import store as store
from headway.adapters.objectstore import ObjectStore
from headway.core.errors import HeadwayError
from headway.delivery.journal import Journal
from headway.delivery.ledger import Ledger
from headway.delivery.locking import LEASE_SECONDS
from unit.delivery.test_ledger import FakeClock, deployment

LOCK = "app/envs/stage/lock.json"


def elsewhere(store: ObjectStore, ledger: Ledger, clock: FakeClock) -> Journal:
    """A deployer on another machine that locked the environment, began a deployment, and was killed."""
    with ledger.locked(clock):
        journal = ledger.open(deployment(steps=2), clock)
        journal.write("begun", 0)
        journal.note("done", 0, job_id=7)
        journal.write("begun", 1)
        lease = json.loads(store.get(LOCK)[0])
    store.put(LOCK, json.dumps({**lease, "owner": "them@elsewhere:1", "process": "elsewhere/1/1"}).encode())
    return journal


def test_the_lock_of_another_machine_is_taken_over_once_its_lease_is_over_and_its_journal_with_it(
    store: ObjectStore,
) -> None:
    clock = FakeClock()
    former = elsewhere(store, Ledger(store, "app", "stage"), clock)
    ledger = Ledger(store, "app", "stage")  # as another process reads it, with nothing but the store
    with pytest.raises(HeadwayError, match="them@elsewhere:1") as caught, ledger.locked(clock):
        pass
    assert caught.value.code == "ENVIRONMENT_LOCKED"
    clock.sleep(LEASE_SECONDS + 1)
    with ledger.locked(clock):
        (left,) = ledger.unfinished()
        assert [(step.status, step.job_id) for step in left.steps] == [("done", 7), ("begun", None)]
        latter = ledger.take_over(left, clock)
        with pytest.raises(HeadwayError) as lost:
            former.write("commit")
        assert lost.value.code == "LOCK_LOST"
        latter.write("done", 1, job_id=8)
        latter.write("commit")
        latter.end("converged")
    assert ledger.unfinished() == []
    assert [step.job_id for step in ledger.deployment("000001").steps] == [7, 8]


def test_of_two_who_find_a_lease_over_one_gets_the_lock(store: ObjectStore) -> None:
    clock = FakeClock()
    elsewhere(store, Ledger(store, "app", "stage"), clock)
    clock.sleep(LEASE_SECONDS + 1)
    one, other = Ledger(store, "app", "stage"), Ledger(store, "app", "stage")
    with one.locked(clock) as hold:
        with pytest.raises(HeadwayError, match="is locked by"), other.locked(clock):
            pass
        assert hold.renew()
    with other.locked(clock):
        assert not hold.renew()


def test_a_state_that_moved_is_not_written_over(store: ObjectStore) -> None:
    one, other = Ledger(store, "app", "stage"), Ledger(store, "app", "stage")
    stale = one.state()
    one.write(stale.next(version="1.0.1"))
    assert other.state().version == "1.0.1"
    with pytest.raises(HeadwayError) as caught:
        other.write(stale.next(version="1.0.2"))
    assert caught.value.code == "STATE_MOVED"
    other.write(other.state().next(version="1.0.3"))
    assert (one.state().serial, one.state().version) == (2, "1.0.3")
