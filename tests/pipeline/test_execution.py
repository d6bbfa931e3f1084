"""Steps at their edges: cancelled between what was applied and its gate, overtaken by a later attempt, stopped while
the database is away; limits that hold then too."""

import threading
from pathlib import Path
from typing import Any

import pytest

from headway.core.errors import HeadwayError
from headway.pipeline.database import Database
from headway.pipeline.execution import Executor
from headway.pipeline.model import App, Run
from headway.pipeline.recording import Mask
from headway.pipeline.service import PipelineService
from headway.pipeline.settings import ServerSettings
from headway.pipeline.work import Hands, Work
from headway.pipeline.workplace import Watch, Workplace
from support.served_workspace import until


@pytest.fixture
def hands(database: Database, tmp_path: Path) -> Hands:
    """Hands over a database, with one application; what they set off and tell goes nowhere."""
    place = Workplace(ServerSettings(data=str(tmp_path / "server")), {})
    (tmp_path / "server").mkdir()
    service = PipelineService(database, lambda run: None, place.mirror, {})
    service.apps.add(App("scores", "file:///nowhere", branches=("main",)))
    return Hands(service, place, "server", lambda run: None, lambda run, app: None, Mask([]))


def a_run(hands: Hands, state: str = "delivering", **values: Any) -> Run:
    """A run in a state."""
    fields: dict[str, Any] = {"app": "scores", "kind": "line", "commit": "a" * 40, "branch": "main"}
    fields |= {"trigger": "push", "triggered_by": "ann", "state": state, **values}
    return hands.service.run(hands.service.database.run(lambda c: hands.service.runs.add(c, fields)))


def performing(hands: Hands, **steps: Any) -> Executor:
    """An executor whose steps do that instead."""
    executor = Executor(hands, threading.Event())
    executor._steps.update(steps)
    return executor


def test_a_run_cancelled_while_it_is_applied_goes_on_to_its_gate_which_takes_it_back(hands: Hands) -> None:
    run = a_run(hands)
    done: list[str] = []

    def bring(work: Work, name: str) -> bool:
        done.append("bring")
        return True

    def apply(work: Work, name: str) -> bool:
        hands.service.cancel(run.id, "ann")
        done.append("apply")
        return True

    def gate(work: Work, name: str) -> bool:
        done.append("gate")
        raise HeadwayError("STEP_HALTED", what="gate", reason="cancelled by ann")

    executor = performing(hands, bring=bring, apply=apply, gate=gate)
    assert executor.perform("bring", run.id, 1, "stage")
    assert executor.perform("apply", run.id, 1, "stage")
    assert hands.service.run(run.id).state == "delivering"
    assert executor.perform("gate", run.id, 1, "stage") is None
    ended = hands.service.run(run.id)
    assert (ended.state, ended.reason, done) == ("cancelled", "cancelled by ann", ["bring", "apply", "gate"])


def test_a_run_cancelled_before_it_is_applied_is_not_applied(hands: Hands) -> None:
    run = a_run(hands)

    def bring(work: Work, name: str) -> bool:
        hands.service.cancel(run.id, "ann")
        return True

    def apply(work: Work, name: str) -> bool:
        raise AssertionError("it was cancelled")

    executor = performing(hands, bring=bring, apply=apply)
    assert executor.perform("bring", run.id, 1, "stage") is None
    assert hands.service.run(run.id).state == "cancelled"
    assert executor.perform("apply", run.id, 1, "stage") is None


def test_an_attempt_that_was_given_up_ends_nothing_of_the_next_one(hands: Hands) -> None:
    first = a_run(hands, "failed")
    hands.service.retry(first.id, "ann")
    folder = hands.place.of_run(first.id)
    folder.mkdir(parents=True)
    hands.end(first, hands.service.app("scores"), "failed", HeadwayError("RUN_UNKNOWN", run=1))
    assert hands.service.run(first.id).state == "waiting"
    assert folder.exists()
    hands.end(hands.service.run(first.id), hands.service.app("scores"), "failed", None, "really")
    assert (hands.service.run(first.id).state, folder.exists()) == ("failed", False)


def test_a_step_whose_database_is_away_when_the_process_stops_is_left_to_the_next_start(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(hands)
    stopping = threading.Event()
    executor = Executor(hands, stopping)

    def away(*_: Any) -> None:
        stopping.set()
        raise HeadwayError("PIPELINE_DATABASE", url="postgresql://db", reason="it is away")

    monkeypatch.setattr(executor, "_perform_known", away)
    threading.Thread(target=executor.perform, args=("apply", run.id, 1, "stage"), daemon=True).start()
    until(lambda: executor.parked == 1)
    assert executor.wait_until_idle(5)
    assert hands.service.run(run.id).state == "delivering"


def test_limits_hold_while_the_database_is_away(tmp_path: Path) -> None:
    (tmp_path / "much").write_bytes(b"x" * 10_000)

    def away() -> str:
        raise HeadwayError("PIPELINE_DATABASE", url="postgresql://db", reason="it is away")

    with Watch(tmp_path, ServerSettings(data=str(tmp_path), work_gib=1e-6), away, threading.Event()) as watch:
        assert until(watch.halted) == "its work folder holds more than 1e-06 GiB"
    plenty = ServerSettings(data=str(tmp_path), free_mib=2**40)
    with Watch(tmp_path, plenty, away, threading.Event()) as watch:
        assert "of disk are free" in until(watch.halted)
    with Watch(tmp_path, ServerSettings(data=str(tmp_path)), away, threading.Event(), 0.0) as watch:
        assert until(watch.halted) == "this step takes more than 0 h"
