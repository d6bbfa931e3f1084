"""The ledger of an environment, in the artifact store: state, lock and journals. Any machine can read it and go on."""

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from headway.adapters.clock import Clock, stamp
from headway.adapters.identity import has_ended, this_process
from headway.adapters.objectstore import ObjectNotFound, ObjectStore, PreconditionFailed
from headway.core.errors import HeadwayError
from headway.core.ledger import Deployment, EnvironmentState

LEASE_SECONDS = 120


def owner() -> str:
    """Who this process is, for others to read."""
    return f"{os.environ.get('USER') or os.environ.get('LOGNAME') or os.getuid()}@{socket.gethostname()}:{os.getpid()}"


class Ledger:
    """One environment's ledger: `<app>/envs/<environment>/`."""

    def __init__(self, store: ObjectStore, app: str, environment: str) -> None:
        self.store, self.app, self.environment = store, app, environment
        self._folder = f"{app}/envs/{environment}"

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
            what = "somebody else wrote it just now"
            raise HeadwayError("STATE_MOVED", environment=self.environment, what=what) from None

    def write_deployment(self, deployment: Deployment) -> None:
        """Keep a journal; only the lock's holder writes."""
        data = json.dumps(deployment.to_json(), indent=2).encode()
        self.store.put(f"{self._folder}/deployments/{deployment.id}.json", data)

    def deployment(self, id_: str) -> Deployment:
        """Raise HeadwayError STORE_NOT_FOUND."""
        key = f"{self._folder}/deployments/{id_}.json"
        try:
            data, _ = self.store.get(key)
        except ObjectNotFound:
            raise HeadwayError("STORE_NOT_FOUND", url=self.store.url, key=key) from None
        return Deployment.from_json(json.loads(data))

    def deployments(self) -> list[Deployment]:
        """Every journal, the newest first."""
        found = []
        for entry in self.store.list(f"{self._folder}/deployments/"):
            data, _ = self.store.get(entry.key)
            found.append(Deployment.from_json(json.loads(data)))
        return sorted(found, key=lambda deployment: deployment.id, reverse=True)

    def unfinished(self) -> list[Deployment]:
        """Journals of deployers that were killed: not ended, and nobody is at it any more. The newest first."""
        return [deployment for deployment in self.deployments() if deployment.outcome in ("running", "mixed")]

    @contextmanager
    def locked(self, clock: Clock) -> Iterator[None]:
        """Hold the environment's lock. Raise HeadwayError ENVIRONMENT_LOCKED."""
        with held(self.store, f"{self._folder}/lock.json", f"environment {self.environment} of {self.app}", clock):
            yield


def new_deployment_id(clock: Clock) -> str:
    """Sortable by time, and never the same twice."""
    return f"{clock.now():%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}"


@contextmanager
def held(store: ObjectStore, key: str, what: str, clock: Clock) -> Iterator[None]:
    """Hold the lock at `key` while the context is open: a lease that is renewed in the background.

    A lease that has expired, or whose process ended on this machine, belongs to somebody who died, and is taken over.
    Raise HeadwayError ENVIRONMENT_LOCKED.
    """
    token = secrets.token_hex(16)
    since = clock.now()
    tag = _acquire(store, key, what, token, since, clock)
    ended = threading.Event()
    keeper = threading.Thread(target=_renew, args=(store, key, token, since, tag, clock, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        _release(store, key, token)


def _content(token: str, since: datetime, now: datetime) -> bytes:
    until = now + timedelta(seconds=LEASE_SECONDS)
    lease = {"owner": owner(), "token": token, "since": stamp(since), "until": stamp(until), "process": this_process()}
    return json.dumps(lease, indent=2).encode()


def _acquire(store: ObjectStore, key: str, what: str, token: str, since: datetime, clock: Clock) -> str:
    content = _content(token, since, since)
    try:
        return store.put(key, content, if_absent=True)
    except PreconditionFailed:
        pass
    try:
        data, tag = store.get(key)
    except ObjectNotFound:  # it was released just now
        data, tag = b"", ""
    lease = json.loads(data) if data else {}
    try:
        if not lease:
            return store.put(key, content, if_absent=True)
        if stamp(clock.now()) > lease["until"] or has_ended(lease.get("process", "")):
            return store.put(key, content, if_tag=tag)
    except PreconditionFailed:
        lease = lease or {"owner": "somebody else", "since": "just now", "until": "soon"}
    raise HeadwayError(
        "ENVIRONMENT_LOCKED", what=what, owner=lease["owner"], since=lease["since"], until=lease["until"]
    )


def _renew(
    store: ObjectStore, key: str, token: str, since: datetime, tag: str, clock: Clock, ended: threading.Event
) -> None:
    while not ended.wait(LEASE_SECONDS / 3):
        try:
            tag = store.put(key, _content(token, since, clock.now()), if_tag=tag)
        except PreconditionFailed:
            return  # it expired and was taken over; the state's serial keeps us from writing over the new holder
        except HeadwayError:
            continue  # the store is away: try again while the lease lasts


def _release(store: ObjectStore, key: str, token: str) -> None:
    try:
        data, _ = store.get(key)
    except (ObjectNotFound, HeadwayError):
        return  # the lease ends by itself
    if json.loads(data).get("token") == token:
        store.delete(key)
