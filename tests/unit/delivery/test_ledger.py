"""Versions, locks and states in the store."""

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
from headway.delivery.ledger import LEASE_SECONDS, Ledger, held
from headway.delivery.releasing import claim_version, take_version

APP = Application("app", "main", (1, 2), "4.3.0", StoreSettings("file:///s"), (), (), DeploySettings(), {}, {})


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
    with held(store, "lock.json", "the line", clock):
        pass
    assert store.head("lock.json") is None


def test_the_lease_of_somebody_who_died_is_taken_over(tmp_path: Path) -> None:
    store, clock = FileStore(tmp_path), FakeClock()
    left = b'{"owner": "dead@host:1", "token": "x", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:02:00Z"}'
    store.put("lock.json", left)
    with pytest.raises(HeadwayError, match="dead@host:1"), held(store, "lock.json", "it", clock):
        pass
    clock.sleep(LEASE_SECONDS + 1)
    with held(store, "lock.json", "it", clock):
        assert b"dead@host" not in store.get("lock.json")[0]


def test_a_lock_that_was_taken_over_is_not_released_by_its_former_holder(tmp_path: Path) -> None:
    store, clock = FileStore(tmp_path), FakeClock()
    with held(store, "lock.json", "it", clock):
        store.put("lock.json", b'{"owner": "other", "token": "y", "since": "", "until": "9"}')
    assert store.head("lock.json") is not None


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
