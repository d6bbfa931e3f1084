"""Locks in the store: a lease that is renewed while its holder lives, and taken over when it is not.

A holder asks `Hold.check` before each write. What makes a deposed holder harmless in any case is the journal
(`delivery.journal`): it is written before each call, and whoever takes over ends the former holder's right to write it.
"""

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from headway.adapters.clock import Clock, stamp
from headway.adapters.identity import has_ended, this_process
from headway.adapters.objectstore import ObjectNotFound, ObjectStore, PreconditionFailed
from headway.core.errors import HeadwayError

LEASE_SECONDS = 120
# A call of a holder whose lease cannot be renewed has ended before the lease has.
MARGIN_SECONDS = 60
_RENEW_SECONDS = 20


@dataclass(frozen=True)
class Lease:
    """Who holds a lock. Times are ISO 8601 in UTC. `released` where nobody does any more."""

    owner: str
    token: str
    since: str
    until: str
    process: str
    released: bool = False

    def to_json(self) -> bytes:
        """The content of the lock's file."""
        return json.dumps(asdict(self), indent=2).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Lease":
        """A lease, also one of which fields are missing."""
        found: dict[str, Any] = json.loads(data)
        texts = {name: str(found.get(name, "")) for name in ("owner", "token", "since", "until", "process")}
        return cls(**texts, released=bool(found.get("released")))

    def free(self, now: datetime) -> bool:
        """Whether it may be taken: released, expired, or its process has ended on this very machine."""
        return self.released or stamp(now) > self.until or has_ended(self.process)


def owner() -> str:
    """Who this process is, for others to read."""
    return f"{os.environ.get('USER') or os.environ.get('LOGNAME') or os.getuid()}@{socket.gethostname()}:{os.getpid()}"


class Hold:
    """A lock that is held."""

    def __init__(self, store: ObjectStore, key: str, what: str, lease: Lease, tag: str, clock: Clock) -> None:
        self._store, self._key, self._what, self._clock = store, key, what, clock
        self._lease, self._tag = lease, tag
        self._lost = ""

    def check(self) -> None:
        """Raise HeadwayError LOCK_LOST where it was taken over, or cannot be kept long enough for one more call."""
        if not self._lost:
            until = datetime.strptime(self._lease.until, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            if self._clock.now() > until - timedelta(seconds=MARGIN_SECONDS):
                self._lost = "its lease could not be renewed in time"
        if self._lost:
            raise HeadwayError("LOCK_LOST", what=self._what, reason=self._lost)

    def renew(self) -> bool:
        """Renew the lease. False where there is nothing to renew any more."""
        lease = replace(self._lease, until=_until(self._clock.now()))
        try:
            self._tag = _put(self._store, self._key, lease, self._tag)
            self._lease = lease
        except PreconditionFailed:
            self._lost = "somebody took it over"
            return False
        except HeadwayError:
            pass  # the store is away: try again while the lease lasts
        return True

    def release(self) -> None:
        """Give it back, unless somebody else has it already."""
        try:
            _put(self._store, self._key, replace(self._lease, released=True), self._tag)
        except (PreconditionFailed, HeadwayError):
            return  # taken over; or the lease ends by itself


@contextmanager
def held(store: ObjectStore, key: str, what: str, clock: Clock) -> Iterator[Hold]:
    """Hold the lock at `key` while the context is open; its lease is renewed in the background.

    Raise HeadwayError ENVIRONMENT_LOCKED.
    """
    since = clock.now()
    lease = Lease(owner(), secrets.token_hex(16), stamp(since), _until(since), this_process())
    hold = Hold(store, key, what, lease, _acquire(store, key, what, lease, clock), clock)
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_RENEW_SECONDS) and hold.renew():
            pass

    keeper = threading.Thread(target=keep, daemon=True, name=f"lease of {key}")
    keeper.start()
    try:
        yield hold
    finally:
        ended.set()
        keeper.join()
        hold.release()


def look(store: ObjectStore, key: str, clock: Clock) -> Lease | None:
    """Who holds the lock at `key`; None where nobody does."""
    try:
        lease = Lease.from_json(store.get(key)[0])
    except ObjectNotFound:
        return None
    return None if lease.free(clock.now()) else lease


def break_lock(store: ObjectStore, key: str) -> Lease | None:
    """End whatever lease there is at `key`; return the one that was ended, None where nobody held it."""
    try:
        data, tag = store.get(key)
    except ObjectNotFound:
        return None
    lease = Lease.from_json(data)
    if lease.released:
        return None
    try:
        _put(store, key, replace(lease, released=True), tag)
    except PreconditionFailed:
        raise HeadwayError("STORE_CONFLICT", key=key, url=store.url) from None
    return lease


def _until(now: datetime) -> str:
    return stamp(now + timedelta(seconds=LEASE_SECONDS))


def _acquire(store: ObjectStore, key: str, what: str, lease: Lease, clock: Clock) -> str:
    try:
        return _put(store, key, lease, None)
    except PreconditionFailed:
        pass
    holder = None
    try:
        data, tag = store.get(key)
        holder = Lease.from_json(data)
        if holder.free(clock.now()):
            return _put(store, key, lease, tag)
    except (PreconditionFailed, ObjectNotFound):
        holder = None  # somebody else was quicker
    raise HeadwayError(
        "ENVIRONMENT_LOCKED",
        what=what,
        owner=holder.owner if holder else "somebody else",
        since=holder.since if holder else "just now",
        until=holder.until if holder else "its lease's end",
    )


def _put(store: ObjectStore, key: str, lease: Lease, tag: str | None) -> str:
    """Write the lease where none is, or over that of `tag`. A write whose answer was lost counts when it is found
    there.
    Raise PreconditionFailed."""
    content = lease.to_json()
    try:
        return store.put(key, content, if_absent=tag is None, if_tag=tag)
    except PreconditionFailed:
        try:
            found, present = store.get(key)
        except ObjectNotFound:
            found, present = b"", ""
        if found == content:
            return present
        raise
