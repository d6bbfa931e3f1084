"""Calls that change a workspace: each is sent once at a time, told apart by what is known of its outcome, and
repeated only where that doubles nothing.

| the workspace said | it acted | what is done |
| --- | --- | --- |
| 429, 503 | no | wait as it says, fewer calls at once, again |
| 500, 502, 504, a timeout, a cut connection | perhaps | look (create), or do it again (reset, delete, permissions) |
| any other error | no | it failed |
"""

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headway.adapters.clock import Clock, SystemClock
from headway.adapters.databricks import Connection, missing, translated
from headway.core.events import Emit, Progress
from headway.core.pacing import Window, pause

RETRY_SECONDS = 120.0


class Caller:
    """The calls of one deployment. Used by many threads."""

    def __init__(self, connection: Connection, clock: Clock, emit: Emit, seed: int | None = None) -> None:
        self._connection, self._clock, self._emit = connection, clock, emit
        self._chance = random.Random(seed)  # noqa: S311  (jitter)
        self._window = Window()
        self._under_way = 0
        self._epoch = 0
        self._changed = threading.Condition()

    def get(self, path: str, query: Mapping[str, Any], call: str) -> dict[str, Any]:
        """Read. Raise HeadwayError."""
        return self._repeated(call, lambda: self._do("GET", path, query=dict(query)), None)

    def create(self, body: Mapping[str, Any], call: str, find: Callable[[], int | None]) -> int:
        """Create a job and return its id. Where it is not known whether the server acted, `find` looks for the job
        before it is created again. Raise HeadwayError."""

        def recover() -> dict[str, Any] | None:
            found = find()
            return None if found is None else {"job_id": found}

        answer = self._repeated(call, lambda: self._send("POST", "/api/2.2/jobs/create", body), recover)
        return int(answer["job_id"])

    def write(self, method: str, path: str, body: Mapping[str, Any], call: str) -> dict[str, Any]:
        """A call that may be done twice with the same effect. Raise HeadwayError."""
        return self._repeated(call, lambda: self._send(method, path, body), None)

    def delete(self, job_id: int, call: str) -> None:
        """Delete a job; one that is gone already is deleted. Raise HeadwayError."""

        def once() -> dict[str, Any]:
            try:
                return self._send("POST", "/api/2.2/jobs/delete", {"job_id": job_id})
            except missing() as error:
                if "does not exist" in str(error):
                    return {}
                raise

        self._repeated(call, once, None)

    def _do(self, method: str, path: str, **named: Any) -> dict[str, Any]:
        answer: Any = self._connection.client.api_client.do(method, path, **named)
        return dict(answer) if isinstance(answer, dict) else {}

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._do(method, path, data=Once(body), headers={"Content-Type": "application/json"})

    def _repeated(
        self, call: str, once: Callable[[], dict[str, Any]], recover: Callable[[], dict[str, Any] | None] | None
    ) -> dict[str, Any]:
        began, attempt = self._clock.now(), 0
        with translated(self._connection, call):
            while True:
                with self._slot() as epoch:
                    try:
                        answer = once()
                    except Exception as error:
                        kind = outcome(error)
                        attempt += 1
                        if kind == "failed":
                            raise
                        if kind == "busy":
                            self._slower(epoch)
                        waited = (self._clock.now() - began).total_seconds()
                        if waited > RETRY_SECONDS:
                            raise
                        seconds = pause(attempt, getattr(error, "retry_after_secs", None), self._chance.random())
                        self._emit(Progress(f"{call}: {_told(error)}; again in {seconds:.1f} s"))
                    else:
                        self._faster()
                        return answer
                self._clock.sleep(seconds)
                if kind == "unknown" and recover is not None:
                    found = recover()
                    if found is not None:
                        return found

    @contextmanager
    def _slot(self) -> Iterator[int]:
        """One of the calls that may be under way at once. Yields which window it began in."""
        with self._changed:
            while self._under_way >= int(self._window.size):
                self._changed.wait()
            self._under_way += 1
            epoch = self._epoch
        try:
            yield epoch
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _slower(self, epoch: int) -> None:
        """Once for all calls that were under way together."""
        with self._changed:
            if epoch == self._epoch:
                self._window = self._window.after_refusal()
                self._epoch += 1

    def _faster(self) -> None:
        with self._changed:
            self._window = self._window.after_success()
            self._changed.notify_all()


def read(connection: Connection, path: str, query: Mapping[str, Any], call: str) -> dict[str, Any]:
    """Read, again where the workspace is busy or the answer was lost. Raise HeadwayError."""
    clock = SystemClock()
    began, attempt = clock.now(), 0
    with translated(connection, call):
        while True:
            try:
                answer: Any = connection.client.api_client.do("GET", path, query=dict(query))
                return dict(answer) if isinstance(answer, dict) else {}
            except Exception as error:
                attempt += 1
                if outcome(error) == "failed" or (clock.now() - began).total_seconds() > RETRY_SECONDS:
                    raise
                retry_after = getattr(error, "retry_after_secs", None)
                clock.sleep(pause(attempt, retry_after, random.random()))  # noqa: S311  (jitter)


class Once:
    """A JSON body that the SDK sends once: of what it cannot rewind it repeats nothing by itself. So no repetition is
    hidden from us, and none happens where we do not know whether the server acted."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._content = json.dumps(body).encode()

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    @property
    def body(self) -> Any:
        """What it says, for those who stand in for the SDK."""
        return json.loads(self._content)


def outcome(error: Exception) -> str:
    """What an exception of a call means: `busy` (not done, later), `unknown` (perhaps done), `failed` (not done)."""
    import requests
    from databricks.sdk.errors import platform
    from databricks.sdk.errors.base import DatabricksError

    busy = (platform.TooManyRequests, platform.TemporarilyUnavailable)  # and RequestLimitExceeded, ResourceExhausted
    unknown = (
        platform.InternalError,
        platform.DeadlineExceeded,
        platform.Cancelled,
        platform.Unknown,
        platform.DataLoss,
    )
    if isinstance(error, busy):
        return "busy"
    if isinstance(error, (*unknown, platform.Aborted)):
        return "unknown"
    if type(error) is DatabricksError:  # a status that the SDK has no name for, as 502
        return "unknown"
    network = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, TimeoutError)
    return "unknown" if isinstance(error, network) else "failed"


def _told(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}…"
