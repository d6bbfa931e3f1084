"""The journal of a deployment: entries that are only ever added, in the store, by conditional writes.

Each write takes the next number; a number is taken once. Whoever takes a deployment over takes the next number for
itself, so that the former holder's next write fails, and with it the call that it was written before. Entries of
several threads go in one write, so that a deployment of a thousand jobs does not wait for the store two thousand times.
"""

import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict

from headway.adapters.clock import Clock, stamp
from headway.adapters.objectstore import ObjectNotFound, ObjectStore, PreconditionFailed
from headway.core.errors import HeadwayError
from headway.core.ledger import Deployment, Entry, Event, folded
from headway.delivery.locking import owner

SCHEMA = "headway.journal/1"


class Journal:
    """The journal that this process writes. Made by `Ledger.open` and `Ledger.take_over`."""

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        deployment: Deployment,
        entries: Sequence[Entry],
        number: int,
        clock: Clock,
    ) -> None:
        self._store, self._folder, self._clock = store, folder, clock
        self._made = folded(deployment, entries)
        self._number = number
        self._waiting: list[Entry] = []
        self._added = 0  # entries ever given to this journal
        self._written = 0  # of these, how many are in the store
        self._changed = threading.Condition()
        self._writing = False
        self._failure: HeadwayError | None = None

    @property
    def deployment(self) -> Deployment:
        """The deployment as the journal leaves it by now."""
        with self._changed:
            return self._made

    def note(self, event: Event, step: int | None = None, job_id: int | None = None, message: str = "") -> None:
        """Add an entry; it is written with the next one that must be."""
        with self._changed:
            self._add(event, step, job_id, message)

    def write(self, event: Event, step: int | None = None, job_id: int | None = None, message: str = "") -> None:
        """Add an entry and return once it is in the store. Raise HeadwayError LOCK_LOST where somebody took over."""
        with self._changed:
            ticket = self._add(event, step, job_id, message)
            while self._written < ticket and self._failure is None:
                if self._writing:
                    self._changed.wait()
                else:
                    self._write_waiting()
            if self._failure is not None:
                raise self._failure

    def _add(self, event: Event, step: int | None, job_id: int | None, message: str) -> int:
        entry = Entry(event, stamp(self._clock.now()), step, job_id, message)
        self._waiting.append(entry)
        self._made = folded(self._made, [entry])
        self._added += 1
        return self._added

    def _write_waiting(self) -> None:
        """Write all that waits, by this thread; the others go on adding meanwhile. The caller holds the condition."""
        batch, self._waiting = self._waiting, []
        number, self._writing = self._number + 1, True
        self._changed.release()
        failure: HeadwayError | None = None
        try:
            put_entries(self._store, self._folder, number, batch)
        except PreconditionFailed:
            what = f"deployment {self._made.id} to {self._made.environment}"
            failure = HeadwayError("LOCK_LOST", what=what, reason="somebody took it over")
        except HeadwayError as error:
            failure = error
        finally:
            self._changed.acquire()
            self._writing = False
            if failure is None:
                self._number = number
                self._written += len(batch)
            else:
                self._waiting = [*batch, *self._waiting]
                self._failure = failure
            self._changed.notify_all()

    def end(self, event: Event, message: str = "") -> Deployment:
        """Write the last entry, and the whole deployment in one file where it is finished; return it."""
        self.write(event, message=message)
        ended = self.deployment
        if ended.finished:
            self._store.put(f"{self._folder}/final.json", json.dumps(ended.to_json()).encode())
        return ended


def put_entries(store: ObjectStore, folder: str, number: int, entries: Sequence[Entry]) -> None:
    """Write entries under a number. A write whose answer was lost counts when it is found there. Raise
    PreconditionFailed where the number is taken."""
    data = {"schema": SCHEMA, "writer": secrets.token_hex(8), "entries": [asdict(entry) for entry in entries]}
    content, key = json.dumps(data).encode(), f"{folder}/{number:06d}.json"
    try:
        store.put(key, content, if_absent=True)
    except PreconditionFailed:
        if store.get(key)[0] != content:
            raise


def read_entries(store: ObjectStore, folder: str) -> tuple[list[Entry], int]:
    """Every entry of a journal, and the number of the last write."""
    entries: list[Entry] = []
    number = 0
    while True:
        try:
            data, _ = store.get(f"{folder}/{number + 1:06d}.json")
        except ObjectNotFound:
            return entries, number
        entries.extend(Entry(**entry) for entry in json.loads(data)["entries"])
        number += 1


def take_over(store: ObjectStore, folder: str, deployment: Deployment, clock: Clock) -> Journal:
    """Go on with a journal that somebody else began. From now on that one's writes fail."""
    while True:
        entries, number = read_entries(store, folder)
        mine = Entry("taken over", stamp(clock.now()), message=owner())
        try:
            put_entries(store, folder, number + 1, [mine])
        except PreconditionFailed:
            continue  # it has just written; its next write will fail
        return Journal(store, folder, deployment, [*entries, mine], number + 1, clock)
