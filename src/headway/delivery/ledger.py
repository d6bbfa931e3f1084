"""The ledger of an environment, in the artifact store: state, lock and journals. Any machine can read it and go on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from headway.adapters.clock import Clock, stamp
from headway.adapters.objectstore import ObjectNotFound, ObjectStore, PreconditionFailed
from headway.core.errors import HeadwayError
from headway.core.ledger import Deployment, Entry, EnvironmentState, folded
from headway.delivery.journal import Journal, put_entries, read_entries, take_over
from headway.delivery.locking import LEASE_SECONDS as LEASE_SECONDS
from headway.delivery.locking import Hold, Lease, break_lock, look
from headway.delivery.locking import held as held
from headway.delivery.locking import owner as owner


class Ledger:
    """One environment's ledger: `<app>/envs/<environment>/`.

    `state.json`, written by compare-and-swap; `lock.json`; and for each deployment, by number,
    `deployments/000042.json` (what
    it set out to do), `deployments/000042/000001.json` … (its journal) and `final.json` (the whole, once it has ended).
    """

    def __init__(self, store: ObjectStore, app: str, environment: str) -> None:
        self.store, self.app, self.environment = store, app, environment
        self._folder = f"{app}/envs/{environment}"

    # state

    def state(self) -> EnvironmentState:
        """What stands there; an empty state before the first deployment."""
        return self._read()[0]

    def _read(self) -> tuple[EnvironmentState, str | None]:
        try:
            data, tag = self.store.get(f"{self._folder}/state.json")
        except ObjectNotFound:
            return EnvironmentState(), None
        return EnvironmentState.from_json(json.loads(data)), tag

    def write(self, state: EnvironmentState) -> None:
        """Write the state that follows the present one. Raise HeadwayError STATE_MOVED where it is not that one."""
        current, tag = self._read()
        if current.serial + 1 != state.serial:
            what = f"its serial is {current.serial}, expected {state.serial - 1}"
            raise HeadwayError("STATE_MOVED", environment=self.environment, what=what)
        data = json.dumps(state.to_json(), indent=2).encode()
        try:
            self.store.put(f"{self._folder}/state.json", data, if_absent=tag is None, if_tag=tag)
        except PreconditionFailed:
            if self._read()[0] == state:
                return  # it is ours; the answer was lost
            what = "somebody else wrote it just now"
            raise HeadwayError("STATE_MOVED", environment=self.environment, what=what) from None

    # deployments

    def _at(self, id_: str) -> str:
        return f"{self._folder}/deployments/{id_}"

    def open(self, deployment: Deployment, clock: Clock) -> Journal:
        """Begin a deployment: its header is written, once. Raise HeadwayError STATE_MOVED where its number is taken."""
        data = json.dumps(deployment.to_json()).encode()
        try:
            self.store.put(f"{self._at(deployment.id)}.json", data, if_absent=True)
        except PreconditionFailed:
            if self.store.get(f"{self._at(deployment.id)}.json")[0] != data:
                what = f"somebody else began deployment {deployment.id}"
                raise HeadwayError("STATE_MOVED", environment=self.environment, what=what) from None
        return Journal(self.store, self._at(deployment.id), deployment, (), 0, clock)

    def take_over(self, deployment: Deployment, clock: Clock) -> Journal:
        """Go on with a deployment that somebody else began and did not end."""
        return take_over(self.store, self._at(deployment.id), self._header(deployment.id), clock)

    def _header(self, id_: str) -> Deployment:
        key = f"{self._at(id_)}.json"
        try:
            data, _ = self.store.get(key)
        except ObjectNotFound:
            raise HeadwayError("STORE_NOT_FOUND", url=self.store.url, key=key) from None
        return Deployment.from_json(json.loads(data))

    def deployment(self, id_: str) -> Deployment:
        """A deployment as it is known by now. Raise HeadwayError STORE_NOT_FOUND."""
        try:
            return Deployment.from_json(json.loads(self.store.get(f"{self._at(id_)}/final.json")[0]))
        except ObjectNotFound:
            header = self._header(id_)
        return folded(header, read_entries(self.store, self._at(id_))[0])

    def newest(self) -> str | None:
        """The number of the newest deployment; None before the first. Numbers have no gaps, so a few looks beyond the
        one that stands find it."""
        number = int(self.state().deployment or 0)
        while self.store.head(f"{self._at(_id(number + 1))}.json") is not None:
            number += 1
        return _id(number) if number else None

    def next_id(self) -> str:
        """The number of the next deployment. Only the lock's holder asks."""
        return _id(int(self.newest() or 0) + 1)

    def deployments(self, most: int | None = None) -> list[Deployment]:
        """The newest `most` deployments, or all, the newest first."""
        newest = int(self.newest() or 0)
        last = 0 if most is None else max(0, newest - most)
        return [self.deployment(_id(number)) for number in range(newest, last, -1)]

    def unfinished(self) -> list[Deployment]:
        """The deployment of a deployer that was killed, interrupted, or could not take it back. At most one: nobody
        begins another before it is finished."""
        newest = self.newest()
        found = self.deployment(newest) if newest is not None else None
        return [found] if found is not None and not found.finished else []

    # lock

    @property
    def _lock(self) -> str:
        return f"{self._folder}/lock.json"

    @contextmanager
    def locked(self, clock: Clock) -> Iterator[Hold]:
        """Hold the environment's lock. Raise HeadwayError ENVIRONMENT_LOCKED."""
        with held(self.store, self._lock, f"environment {self.environment} of {self.app}", clock) as hold:
            yield hold

    def holder(self, clock: Clock) -> Lease | None:
        """Who holds the environment's lock; None where nobody does."""
        return look(self.store, self._lock, clock)

    def break_lock(self, clock: Clock) -> Lease | None:
        """End the lease of whoever holds the lock; its journal takes no more entries, so that it stops before its next
        call. Return the lease, None where nobody held it."""
        lease = break_lock(self.store, self._lock)
        for left in self.unfinished() if lease is not None else ():
            number = read_entries(self.store, self._at(left.id))[1]
            broken = Entry("interrupted", stamp(clock.now()), message=f"the lock was broken by {owner()}")
            while True:
                try:
                    put_entries(self.store, self._at(left.id), number + 1, [broken])
                    break
                except PreconditionFailed:
                    number = read_entries(self.store, self._at(left.id))[1]
        return lease


def _id(number: int) -> str:
    return f"{number:06d}"
