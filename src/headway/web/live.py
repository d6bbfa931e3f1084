"""What happens, sent to open pages as server-sent events: one look at the database for all of them.

A page that is slow gets fewer, larger messages: what changed since the last one is a set, not a queue.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from headway.core.errors import HeadwayError
from headway.pipeline.events import Events

logger = logging.getLogger(__name__)
LOOK_SECONDS = 0.2
GATHER_SECONDS = 0.1
STILL_HERE_SECONDS = 10.0
AWAY_SECONDS = 2.0

Change = tuple[str, int, int]
"""Kind of event, run, step (0 where it is of the whole run)."""


@dataclass(eq=False)
class Reader:
    """One open page. `run` is the only run it wants to hear of, or None for all."""

    run: int | None
    changes: set[Change] = field(default_factory=set)
    ring: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Looks for events while somebody listens; `looking` is the task that does, which ends when nobody listens."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._readers: set[Reader] = set()
        self.looking: asyncio.Task[None] | None = None

    async def changes(self, request: Request, run: int | None, gather: float) -> AsyncIterator[set[Change]]:
        """What changed, again and again until the page is closed or the server stops; an empty set now and then, so
        that the line stays open. The first one is empty and comes at once. After a change, what follows within `gather`
        seconds is told with it."""
        reader = Reader(run)
        self._readers.add(reader)
        try:
            if self._idle():
                last = await run_in_threadpool(self._events.last)
                if self._idle():
                    self.looking = asyncio.create_task(self._look(last))
            yield set()
            waited = 0.0
            while not request.app.state.stopping.is_set() and not await request.is_disconnected():
                try:
                    await asyncio.wait_for(reader.ring.wait(), 1.0)
                except TimeoutError:
                    waited += 1.0
                    if waited >= STILL_HERE_SECONDS:
                        waited = 0.0
                        yield set()
                    continue
                waited = 0.0
                await asyncio.sleep(gather)
                reader.ring.clear()
                found, reader.changes = reader.changes, set()
                yield found
        finally:
            self._readers.discard(reader)

    def _idle(self) -> bool:
        return self.looking is None or self.looking.done()

    async def _look(self, last: int) -> None:
        while self._readers:
            try:
                found = await run_in_threadpool(self._events.after, last)
            except HeadwayError as error:
                logger.warning("open pages wait for the database: %s", error.message)
                await asyncio.sleep(AWAY_SECONDS)
                continue
            for event in found:
                last = event.seq
                change = (event.kind, event.run, int(event.data.get("step", 0) or 0))
                for reader in self._readers:
                    if reader.run in (None, event.run):
                        reader.changes.add(change)
                        reader.ring.set()
            await asyncio.sleep(LOOK_SECONDS)


def message(event: str, content: str) -> bytes:
    """One server-sent event. A carriage return would end its line: it is sent as a line break."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return (f"event: {event}\n" + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


STILL_HERE = b": still here\n\n"
Render = Callable[[set[Change]], list[tuple[str, str]]]


async def stream(
    hub: Hub, request: Request, render: Render, run: int | None = None, gather: float = GATHER_SECONDS
) -> AsyncIterator[bytes]:
    """A page's stream. `render` makes messages of what changed (in a thread), by event name; an empty set asks for all
    that there is. It ends after a message `ended`."""
    first = True
    async for changes in hub.changes(request, run, gather):
        if not changes and not first:
            yield STILL_HERE
            continue
        first = False
        for event, content in await run_in_threadpool(render, changes):
            yield message(event, content)
            if event == "ended":
                return
