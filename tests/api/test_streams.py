"""Continuous jobs: left alone while nothing changes, drained and started again when something does, watched."""

import threading

import pytest

from headway.core.errors import HeadwayError
from headway.delivery.target import Target
from headway.workspace.runtime.tasks import TaskOutcome, TaskRequest
from support.delivered_fleet import Fleet, faults
from support.served_workspace import FunctionDriver, until

SETTLE = "\n[deploy]\nsettle_seconds = 0.3\n"


def continuous(text: str) -> str:
    """The jobs, as continuous ones."""
    return text.replace("\n      tasks:", "\n      continuous: {pause_status: UNPAUSED}\n      tasks:")


class Streams:
    """An application whose one job is continuous; its task runs until it is canceled, or fails for some versions."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.task = f"stream-{fleet.name}"
        self.unfit: set[str] = set()
        fleet.served.fleet.acts[self.task] = self.act

    def act(self, _: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> TaskOutcome | None:
        """The stream."""
        if self.unfit & set(request.task.parameters):  # type: ignore[union-attr]
            raise ValueError("the state's schema is another one")
        assert canceled.wait(60)
        return None

    def target(self, edit: str = "") -> Target:
        """Where to."""
        return self.fleet.target(
            "s", task=self.task, extra=SETTLE, edit=lambda text: continuous(text).replace("name: ", f"{edit}name: ", 1)
        )

    def running(self, target: Target) -> list[int]:
        """The job's active runs."""
        job_id = target.ledger.state().jobs["s"]
        return [
            int(run.run_id or 0) for run in self.fleet.served.client.jobs.list_runs(job_id=job_id, active_only=True)
        ]

    def every(self, target: Target) -> list[int]:
        """Every run that the job ever had, by the server's own account."""
        job_id = target.ledger.state().jobs["s"]
        return [int(run.run_id or 0) for run in self.fleet.served.client.jobs.list_runs(job_id=job_id)]

    def stop(self, target: Target) -> None:
        """End it."""
        self.fleet.served.client.jobs.delete(target.ledger.state().jobs["s"])


def test_a_stream_is_restarted_only_if_it_changed_and_taken_back_if_it_does_not_run(fleet: Fleet) -> None:
    streams = Streams(fleet)
    target = streams.target()
    fleet.deploy(target, 1)
    (first,) = streams.running(target)

    # nothing changed, or nothing that a run must take up: the same run goes on
    writes = faults(target).writes
    fleet.deploy(target, 1)
    assert faults(target).writes == writes
    assert (streams.running(target), streams.every(target)) == ([first], [first])
    described = streams.target("description: what it does\n      ")
    fleet.deploy(described, 1)
    assert fleet.standing(described)["s"]["description"] == "what it does"
    assert streams.running(target) == [first]

    # its parameters changed: drained, started again with them, and only one runs
    fleet.deploy(target, 2)
    (second,) = streams.running(target)
    assert second != first
    drained = fleet.served.client.jobs.get_run(first)
    assert drained.state is not None
    assert str(drained.state.result_state) == "RunResultState.CANCELED"

    # it does not run as the next release wants it: all is taken back, and the old one runs again
    streams.unfit = {"1.0.3"}
    with pytest.raises(
        HeadwayError, match=r"the state's schema is another one|is being tried again|ended FAILED"
    ) as caught:
        fleet.deploy(target, 3)
    assert caught.value.code == "APPLY_FAILED"
    assert target.ledger.state().version == "1.0.2"
    assert fleet.standing(target)["s"]["tasks"][0]["spark_jar_task"]["parameters"] == ["1.0.2"]
    (third,) = until(lambda: streams.running(target))
    assert third not in (first, second)
    streams.stop(target)


def test_a_paused_stream_is_not_started(fleet: Fleet) -> None:
    streams = Streams(fleet)
    target = fleet.target(
        "s", task=streams.task, extra=SETTLE, edit=lambda text: continuous(text).replace("UNPAUSED", "PAUSED")
    )
    fleet.deploy(target, 1)
    fleet.deploy(target, 2)
    assert streams.running(target) == []


def test_a_job_tagged_as_a_stream_is_left_alone_unless_it_changed_and_then_runs_again(fleet: Fleet) -> None:
    """It is no continuous job: somebody starts its run, and nobody but the deploy would start it again."""
    streams = Streams(fleet)
    tagged = '\n      tags: {headway_streaming: "true"}\n      tasks:'
    target = fleet.target(
        "s", task=streams.task, extra=SETTLE, edit=lambda text: text.replace("\n      tasks:", tagged)
    )
    fleet.deploy(target, 1)
    assert streams.running(target) == [], "it is started by whoever starts it"
    fleet.served.client.jobs.run_now(target.ledger.state().jobs["s"])
    (first,) = until(lambda: streams.running(target))
    runs = len(streams.every(target))
    writes = faults(target).writes
    fleet.deploy(target, 1)
    assert faults(target).writes == writes
    assert (streams.running(target), len(streams.every(target))) == ([first], runs), "counted at the server"

    fleet.deploy(target, 2)
    (second,) = streams.running(target)
    assert second != first
    assert len(streams.every(target)) == runs + 1
    drained = fleet.served.client.jobs.get_run(first)
    assert drained.state is not None
    assert str(drained.state.result_state) == "RunResultState.CANCELED"
    started = next(request for request in reversed(fleet.served.fleet.requests) if request.task.parameters)  # type: ignore[union-attr]
    assert "1.0.2" in started.task.parameters  # type: ignore[union-attr]
    streams.stop(target)
