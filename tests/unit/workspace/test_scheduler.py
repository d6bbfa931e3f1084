"""Jobs that start by themselves, on a clock that the test turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from headway.workspace.engine.events import Events, RunEnded
from headway.workspace.engine.retrying import FirstAttempts, pause_ms
from headway.workspace.engine.scheduler import Scheduler
from headway.workspace.engine.triggers import trigger_of
from headway.workspace.errors import ApiError, invalid
from support.fake_timers import FakeTimers

MINUTE, HOUR = 60_000, 3_600_000


@dataclass
class Job:
    """A job."""

    job_id: int
    settings: dict[str, Any]


@dataclass
class Run:
    """A run that goes on."""

    run_id: int
    trigger: str
    created_ms: int


@dataclass
class World:
    """Jobs and runs in memory: what the scheduler sees of the workspace."""

    timers: FakeTimers
    events: Events = field(default_factory=Events)
    jobs: dict[int, Job] = field(default_factory=dict)
    states: dict[int, dict[str, Any]] = field(default_factory=dict)
    fired: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    going: dict[int, Run] = field(default_factory=dict)
    known: dict[int, Run] = field(default_factory=dict)
    files: dict[str, list[int]] = field(default_factory=dict)

    def job(self, job_id: int) -> Job:
        """A job."""
        if job_id not in self.jobs:
            raise invalid("none")
        return self.jobs[job_id]

    def triggered(self) -> list[Job]:
        """All."""
        return list(self.jobs.values())

    def trigger_state(self, job_id: int) -> dict[str, Any]:
        """Kept."""
        return dict(self.states.get(job_id, {}))

    def remember(self, job_id: int, state: dict[str, Any]) -> None:
        """Keep."""
        self.states[job_id] = state

    def start(self, job_id: int, trigger: str, details: Mapping[str, Any]) -> int:
        """Start a run."""
        run = Run(len(self.fired) + 1, trigger, self.timers.now_ms())
        self.fired.append((trigger, self.timers.now_ms(), dict(details)))
        self.going[run.run_id] = self.known[run.run_id] = run
        return run.run_id

    def run(self, run_id: int) -> Run:
        """A run."""
        return self.known[run_id]

    def active(self, job_id: int) -> list[Run]:
        """What goes on."""
        return list(self.going.values())

    def cancel(self, run_id: int) -> None:
        """End one."""
        self.end("CANCELED", run_id)

    def end(self, result: str, run_id: int | None = None) -> None:
        """The newest run ends so."""
        number = run_id or max(self.going)
        del self.going[number]
        self.events.publish(RunEnded(number, 1, self.timers.now_ms(), "TERMINATED", result))

    def scheduler(self) -> Scheduler:
        """A scheduler of it, started."""
        made = Scheduler(self, self, self.timers, self.events, lambda url: dict(self.files))
        made.start()
        return made


def world(at: str, **settings: Any) -> World:
    """One job with these settings, at that time."""
    made = World(FakeTimers(int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000)))
    made.jobs[1] = Job(1, settings)
    return made


def schedule(text: str, zone: str = "UTC", **more: Any) -> dict[str, Any]:
    """A schedule."""
    return {"quartz_cron_expression": text, "timezone_id": zone, **more}


def times(found: World) -> list[str]:
    """When runs were started."""
    return [datetime.fromtimestamp(at / 1000, UTC).strftime("%d %H:%M") for _, at, _ in found.fired]


def test_a_schedule_starts_runs_at_its_times_in_its_zone() -> None:
    here = world("2026-11-25T00:00:00", schedule=schedule("0 30 9 ? * MON-FRI", "Asia/Kolkata"))
    here.scheduler()
    here.timers.turn(6 * 24 * HOUR)
    assert times(here) == ["25 04:00", "26 04:00", "27 04:00", "30 04:00"]
    assert {trigger for trigger, _, _ in here.fired} == {"PERIODIC"}
    assert here.fired[0][2]["fired_ms"] == here.fired[0][1]


def test_a_paused_changed_or_removed_job_is_not_started_any_more() -> None:
    here = world("2026-11-25T00:00:00", schedule=schedule("0 0 * * * ?"))
    scheduler = here.scheduler()
    here.timers.turn(HOUR)
    here.jobs[1].settings["schedule"]["pause_status"] = "PAUSED"
    scheduler.changed(1)
    here.timers.turn(3 * HOUR)
    assert len(here.fired) == 1
    here.jobs[1].settings["schedule"] = schedule("0 30 * * * ?")
    scheduler.changed(1)
    here.timers.turn(HOUR)
    assert times(here) == ["25 01:00", "25 04:30"]
    del here.jobs[1]
    scheduler.changed(1)
    here.timers.turn(24 * HOUR)
    assert len(here.fired) == 2
    assert here.timers.due() == []


def test_what_a_stopped_workspace_missed_is_not_made_up_for() -> None:
    here = world("2026-11-25T00:00:00", schedule=schedule("0 0 * * * ?"))
    first = here.scheduler()
    here.timers.turn(HOUR)
    first.close()
    here.timers.turn(5 * HOUR)
    here.scheduler()
    here.timers.turn(HOUR)
    assert times(here) == ["25 01:00", "25 07:00"]


def test_a_periodic_trigger_keeps_its_beat_over_a_restart() -> None:
    here = world("2026-11-25T00:00:00", trigger={"periodic": {"interval": 4, "unit": "HOURS"}})
    first = here.scheduler()
    here.timers.turn(5 * HOUR)
    first.close()
    here.timers.turn(6 * HOUR)
    here.scheduler()
    here.timers.turn(2 * HOUR)
    assert times(here) == ["25 04:00", "25 12:00"]


def arrival(**more: Any) -> dict[str, Any]:
    """A file-arrival trigger."""
    return {"file_arrival": {"url": "dbfs:/in", **more}}


def test_only_new_files_start_a_run_also_after_a_restart() -> None:
    here = world("2026-11-25T00:00:00", trigger=arrival())
    here.files["old"] = [1, 1]
    first = here.scheduler()
    here.timers.turn(MINUTE)
    assert here.fired == []
    here.files["new"] = [1, 2]
    here.timers.turn(MINUTE)
    here.files["old"] = [1, 3]
    here.timers.turn(MINUTE)
    assert len(here.fired) == 2
    assert here.fired[0][2]["location"] == "dbfs:/in"
    first.close()
    here.files["while it was down"] = [1, 4]
    here.scheduler()
    here.timers.turn(HOUR)
    assert len(here.fired) == 3


def test_a_batch_of_files_is_waited_for_and_runs_keep_their_distance() -> None:
    here = world(
        "2026-11-25T00:00:00",
        trigger=arrival(wait_after_last_change_seconds=120, min_time_between_triggers_seconds=600),
    )
    here.scheduler()
    for number in range(5):
        here.files[f"part {number}"] = [number, 1]
        here.timers.turn(MINUTE)
    assert here.fired == []
    here.timers.turn(2 * MINUTE)
    assert len(here.fired) == 1
    here.files["next"] = [1, 1]
    here.timers.turn(5 * MINUTE)
    assert len(here.fired) == 1
    here.timers.turn(10 * MINUTE)
    assert len(here.fired) == 2


def test_a_continuous_job_always_has_one_run_and_failures_make_it_wait_longer() -> None:
    here = world("2026-11-25T00:00:00", continuous={"pause_status": "UNPAUSED"})
    scheduler = here.scheduler()
    here.timers.turn(HOUR)
    assert [trigger for trigger, _, _ in here.fired] == ["CONTINUOUS"]
    here.end("SUCCESS")
    here.timers.turn(MINUTE)
    assert len(here.fired) == 2
    waits = []
    for _ in range(4):
        here.end("FAILED")
        began = here.timers.now_ms()
        while len(here.going) == 0:
            here.timers.turn(1000)
        waits.append((here.timers.now_ms() - began) // 1000)
    assert waits == [15, 30, 60, 120]
    here.timers.turn(HOUR)
    here.end("FAILED")
    here.timers.turn(15_000)
    assert len(here.going) == 1
    here.jobs[1].settings["continuous"] = {"pause_status": "PAUSED"}
    scheduler.changed(1)
    here.timers.turn(24 * HOUR)
    assert here.going == {}


def test_pauses_grow_to_an_hour_and_no_further() -> None:
    assert [pause_ms(failures) // 1000 for failures in (0, 1, 2, 9, 100)] == [0, 15, 30, 3600, 3600]


def test_a_task_of_a_continuous_run_is_retried_while_another_is_on_its_first_attempt() -> None:
    first = FirstAttempts()
    first.began(1)
    first.began(2)
    assert first.may_retry(1, 0)
    first.ended(1)
    first.ended(2)
    first.began(3)
    assert not first.may_retry(3, 1)
    alone = FirstAttempts()
    alone.began(1)
    assert alone.may_retry(1, 0)
    assert not alone.may_retry(1, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": schedule("0 0 * * *")}, "Invalid quartz_cron_expression: 0 0 * * *. Databricks uses Quartz cron"),
        ({"schedule": schedule("0 0 0 * * ?", "Mars/Base")}, "Invalid timezone_id: Mars/Base"),
        ({"schedule": {"timezone_id": "UTC"}}, "schedule.quartz_cron_expression"),
        ({"schedule": schedule("0 0 0 * * ?"), "continuous": {"pause_status": "PAUSED"}}, "only one of"),
        ({"trigger": {"table_update": {"table_names": ["a.b.c"]}}}, "table_update is not served"),
        ({"trigger": {"periodic": {"interval": 0, "unit": "DAYS"}}}, "at least 1"),
        ({"trigger": {"periodic": {"interval": 1, "unit": "YEARS"}}}, "unit must be one of"),
        ({"trigger": arrival(min_time_between_triggers_seconds=5)}, "at least 60"),
        ({"trigger": {"file_arrival": {"url": "/etc"}}}, "must be a dbfs:/"),
        ({"trigger": {"pause_status": "UNPAUSED"}}, "must have file_arrival or periodic"),
        ({"continuous": {"pause_status": "MAYBE"}}, "pause_status"),
    ],
)
def test_a_trigger_that_cannot_be_is_refused_with_its_reason(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        trigger_of(settings)
    assert message in caught.value.message


def test_a_job_without_a_trigger_that_loses_or_gets_one_is_read_again_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = world("2026-01-01T00:00:00")
    scheduler = here.scheduler()
    read: list[int] = []
    job = here.job

    def reading(job_id: int) -> Job:
        read.append(job_id)
        # Whoever takes the trigger away meanwhile is told that this job is being looked at, and does not pass by.
        assert job_id in scheduler._known
        return job(job_id)

    monkeypatch.setattr(here, "job", reading)
    scheduler.changed(1, here.jobs[1].settings)
    assert read == []
    here.jobs[1].settings = {"schedule": schedule("0 0 1 * * ?")}
    scheduler.changed(1, here.jobs[1].settings)
    assert scheduler.next_ms(1) is not None
    here.jobs[1].settings = {}
    scheduler.changed(1, {})
    assert scheduler.next_ms(1) is None
    scheduler.changed(1, {})
    assert read == [1, 1]
