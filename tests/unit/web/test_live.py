"""What open pages are told, without a browser: one look for all, sets instead of queues, a database that goes away."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from headway.core.errors import HeadwayError
from headway.pipeline.model import EventRecord
from headway.web import live
from headway.web.live import Change, Hub, stream


class Told:
    """Events that a test makes."""

    def __init__(self) -> None:
        self.events: list[EventRecord] = []
        self.looks = 0
        self.away = False

    def happen(self, run: int, kind: Any = "step", step: int = 1) -> None:
        self.events.append(EventRecord(len(self.events) + 1, run, "app", kind, {"step": step}, 0))

    def last(self) -> int:
        return len(self.events)

    def after(self, seq: int) -> list[EventRecord]:
        self.looks += 1
        if self.away:
            self.away = False
            raise HeadwayError("PIPELINE_DATABASE", url="sqlite://", reason="away")
        return self.events[seq:]


def page(stopping: threading.Event | None = None) -> Any:
    """A request of a browser that stays."""

    async def is_disconnected() -> bool:
        return False

    state = SimpleNamespace(stopping=stopping or threading.Event())
    return SimpleNamespace(app=SimpleNamespace(state=state), is_disconnected=is_disconnected)


def play(act: Callable[[Told, Hub], Awaitable[None]]) -> Told:
    told = Told()

    async def run() -> None:
        await asyncio.wait_for(act(told, Hub(told)), 20)  # type: ignore[arg-type]

    with ThreadPoolExecutor(1) as thread:  # a browser of other tests may hold this one's event loop
        thread.submit(asyncio.run, run()).result()
    return told


async def following(changes: AsyncIterator[set[Change]]) -> set[Change]:
    """The next change; empty sets are only for the line."""
    async for found in changes:
        if found:
            return found
    raise AssertionError("it ended")


def test_a_page_hears_of_its_run_only_and_the_board_of_all() -> None:
    async def act(told: Told, hub: Hub) -> None:
        told.happen(1)  # before anybody listened: the page shows it already
        one, board = hub.changes(page(), 1, 0.01), hub.changes(page(), None, 0.01)
        assert [await anext(one), await anext(board)] == [set(), set()]
        told.happen(2, step=5)
        assert await following(board) == {("step", 2, 5)}
        told.happen(1, "log", 3)
        assert await following(one) == {("log", 1, 3)}

    play(act)


def test_a_slow_page_gets_everything_at_once() -> None:
    async def act(told: Told, hub: Hub) -> None:
        changes = hub.changes(page(), None, 0.5)
        await anext(changes)
        for step in range(300):
            told.happen(1, "log", step % 3)
        assert await following(changes) == {("log", 1, 0), ("log", 1, 1), ("log", 1, 2)}

    play(act)


def test_a_database_that_goes_away_and_comes_back_is_waited_for(monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "AWAY_SECONDS", 0.01)

    async def act(told: Told, hub: Hub) -> None:
        changes = hub.changes(page(), None, 0.01)
        await anext(changes)
        told.away = True
        told.happen(1)
        assert await following(changes) == {("step", 1, 1)}

    assert not play(act).away


def test_a_stream_ends_when_the_server_stops_and_nobody_looks_any_more() -> None:
    async def act(told: Told, hub: Hub) -> None:
        stopping = threading.Event()
        changes = hub.changes(page(stopping), None, 0.01)
        await anext(changes)
        stopping.set()
        assert [found async for found in changes] == []
        assert hub.looking is not None
        await hub.looking
        assert hub.looking.done()

    play(act)


def test_what_is_sent_is_what_was_rendered_and_the_end_ends_it() -> None:
    async def act(told: Told, hub: Hub) -> None:
        seen: list[set[Change]] = []

        def render(changes: set[Change]) -> list[tuple[str, str]]:
            seen.append(changes)
            return [("update", "<b>\r\nx")] if len(seen) == 1 else [("ended", "")]

        sent = stream(hub, page(), render, 1, 0.01)
        assert await anext(sent) == b"event: update\ndata: <b>\ndata: x\n\n"
        told.happen(1)
        assert [piece async for piece in sent if piece != live.STILL_HERE] == [b"event: ended\ndata: \n\n"]
        assert seen == [set(), {("step", 1, 1)}]

    play(act)
