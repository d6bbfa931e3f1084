"""Versions, locks, states and journals in the store."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headway.adapters.filestore import FileStore
from headway.core.application import Application, DeploySettings, StoreSettings
from headway.core.errors import HeadwayError
from headway.core.ledger import Deployment, JournalStep
from headway.delivery.ledger import LEASE_SECONDS, Ledger, held
from headway.delivery.locking import Hold, look
from headway.delivery.releasing import claim_version, take_version

APP = Application("app", "main", (1, 2), "4.3.0", StoreSettings("file:///s"), (), (), DeploySettings(), {}, {})
DEAD = b'{"owner": "dead@host:1", "token": "x", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:02:00Z"}'


class FakeClock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.present = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """The present."""
        return self.present

    def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.present += timedelta(seconds=seconds)


def deployment(id_: str = "000001", steps: int = 2) -> Deployment:
    made = tuple(JournalStep("create", f"job-{n}", None, None, {"name": f"job-{n}"}) for n in range(steps))
    at = "2026-01-01T00:00:00Z"
    return Deployment(id_, "app", "stage", "1.0.1", None, "me", at, "running", made, {}, {})


def test_no_two_callers_ever_get_the_same_version(tmp_path: Path) -> None:
    taken: list[str] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(str(take_version(FileStore(tmp_path), APP)) for _ in range(5)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=lambda text: int(text.split(".")[2])) == [f"1.2.{number}" for number in range(1, 31)]


def test_a_commit_has_one_version_whoever_asks_and_however_often(tmp_path: Path) -> None:
    claimed: list[str] = []
    threads = [
        threading.Thread(target=lambda: claimed.append(str(claim_version(FileStore(tmp_path), APP, "a" * 40))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 6
    assert len(set(claimed)) == 1
    assert str(claim_version(FileStore(tmp_path), APP, "b" * 40)) not in claimed


def test_the_lock_of_a_process_that_was_killed_here_is_taken_over_at_once(tmp_path: Path) -> None:
    code = "from headway.adapters.identity import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    lease = {"owner": "me", "token": "x", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:02:00Z"}
    store, clock = FileStore(tmp_path), FakeClock()
    store.put("lock.json", json.dumps({**lease, "process": "elsewhere:" + ended}).encode())
    with pytest.raises(HeadwayError, match="is locked by me"), held(store, "lock.json", "the line", clock):
        pass
    store.put("lock.json", json.dumps({**lease, "process": ended}).encode())
    with held(store, "lock.json", "the line", clock):
        pass


def test_a_lock_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    store, clock = FileStore(tmp_path), FakeClock()
    with held(store, "lock.json", "the line", clock):
        told = r"the line is locked by .* since 2026-01-01T00:00:00Z"
        with pytest.raises(HeadwayError, match=told) as caught, held(store, "lock.json", "the line", clock):
            pass
        assert caught.value.code == "ENVIRONMENT_LOCKED"
        assert look(store, "lock.json", clock) is not None
    with held(store, "lock.json", "the line", clock):
        pass
    assert look(store, "lock.json", clock) is None


def test_the_lease_of_somebody_who_died_is_taken_over(tmp_path: Path) -> None:
    store, clock = FileStore(tmp_path), FakeClock()
    store.put("lock.json", DEAD)
    with pytest.raises(HeadwayError, match="dead@host:1"), held(store, "lock.json", "it", clock):
        pass
    clock.sleep(LEASE_SECONDS + 1)
    with held(store, "lock.json", "it", clock):
        assert b"dead@host" not in store.get("lock.json")[0]


def test_a_lock_that_was_taken_over_is_not_released_by_its_former_holder(tmp_path: Path) -> None:
    store, clock = FileStore(tmp_path), FakeClock()
    with held(store, "lock.json", "it", clock):
        store.put("lock.json", b'{"owner": "other", "token": "y", "since": "", "until": "9"}')
    found = look(store, "lock.json", clock)
    assert found is not None
    assert found.owner == "other"


def test_a_holder_notices_that_it_was_deposed_or_that_its_lease_runs_out(tmp_path: Path) -> None:
    def lost(hold: Hold) -> str:
        with pytest.raises(HeadwayError) as caught:
            hold.check()
        assert caught.value.code == "LOCK_LOST"
        return caught.value.message

    store, clock = FileStore(tmp_path), FakeClock()
    with held(store, "a.json", "it", clock) as hold:
        hold.check()
        clock.sleep(LEASE_SECONDS / 2 + 1)
        assert "could not be renewed in time" in lost(hold)
    with held(store, "b.json", "it", clock) as hold:
        clock.sleep(LEASE_SECONDS / 2 - 1)
        assert hold.renew()
        clock.sleep(LEASE_SECONDS / 2 - 1)
        hold.check()
        store.put("b.json", DEAD)
        assert not hold.renew()
        assert "somebody took it over" in lost(hold)


def test_a_state_that_moved_is_not_written_over(tmp_path: Path) -> None:
    ledger = Ledger(FileStore(tmp_path), "app", "stage")
    first = ledger.state().next(version="1.0.1")
    ledger.write(first)
    assert ledger.state() == first
    stale = ledger.state()
    ledger.write(ledger.state().next(version="1.0.2"))
    with pytest.raises(HeadwayError) as caught:
        ledger.write(stale.next(version="1.0.3"))
    assert caught.value.code == "STATE_MOVED"
    assert ledger.state().version == "1.0.2"


def test_a_journal_tells_how_far_a_deployment_came(tmp_path: Path) -> None:
    ledger, clock = Ledger(FileStore(tmp_path), "app", "stage"), FakeClock()
    assert ledger.newest() is None
    journal = ledger.open(deployment(), clock)
    journal.write("begun", 0)
    journal.note("done", 0, job_id=7)
    journal.write("begun", 1)
    found = ledger.unfinished()[0]
    assert [(step.status, step.job_id) for step in found.steps] == [("done", 7), ("begun", None)]
    journal.note("failed", 1, message="refused")
    journal.write("back", message="refused")
    assert ledger.deployment("000001").direction == "back"
    assert ledger.unfinished() != []
    assert journal.end("rolled back").finished
    assert ledger.unfinished() == []
    assert ledger.next_id() == "000002"


def test_whoever_takes_a_deployment_over_ends_the_former_holders_right_to_write(tmp_path: Path) -> None:
    ledger, clock = Ledger(FileStore(tmp_path), "app", "stage"), FakeClock()
    former = ledger.open(deployment(), clock)
    former.write("begun", 0)
    latter = ledger.take_over(ledger.unfinished()[0], clock)
    assert latter.deployment.steps[0].status == "begun"
    with pytest.raises(HeadwayError) as caught:
        former.write("begun", 1)
    assert caught.value.code == "LOCK_LOST"
    latter.write("done", 0, job_id=3)
    with pytest.raises(HeadwayError, match="somebody took it over"):
        former.write("commit")
    assert not ledger.deployment("000001").committed


def test_entries_of_many_threads_are_all_written_and_in_few_writes(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    ledger, clock = Ledger(store, "app", "stage"), FakeClock()
    journal = ledger.open(deployment(steps=40), clock)

    def work(first: int) -> None:
        for number in range(first, 40, 8):
            journal.write("begun", number)
            journal.note("done", number, job_id=number + 1)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.write("commit")
    found = ledger.deployment("000001")
    assert [step.job_id for step in found.steps] == list(range(1, 41))
    assert found.committed
    assert len(list(store.list("app/envs/stage/deployments/000001/"))) < 60


def test_two_deployments_never_share_a_number(tmp_path: Path) -> None:
    ledger, clock = Ledger(FileStore(tmp_path), "app", "stage"), FakeClock()
    ledger.open(deployment(), clock)
    other = deployment(steps=3)
    with pytest.raises(HeadwayError, match="somebody else began deployment 000001"):
        ledger.open(other, clock)


def test_breaking_a_lock_stops_its_holder_before_its_next_call(tmp_path: Path) -> None:
    ledger, clock = Ledger(FileStore(tmp_path), "app", "stage"), FakeClock()
    assert ledger.break_lock(clock) is None
    with ledger.locked(clock):
        journal = ledger.open(deployment(), clock)
        journal.write("begun", 0)
        lease = ledger.break_lock(clock)
        assert lease is not None
        assert ledger.holder(clock) is None
        with pytest.raises(HeadwayError, match="somebody took it over"):
            journal.write("begun", 1)
        with ledger.locked(clock):
            assert ledger.holder(clock) is not None
