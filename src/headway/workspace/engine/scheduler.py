"""Starts runs by itself: for each job that has a trigger, something that waits for its time.

Runs that a stopped workspace missed are not made up for: as in Databricks, where runs for past times are asked for by
hand (Databricks, "Backfill jobs"), a schedule goes on with its next time after the start. A time that comes while the
workspace is merely late (a busy or suspended machine) starts its run at once (Databricks, "Run jobs on a schedule").
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from headway.workspace.engine.arrivals import Arrivals
from headway.workspace.engine.events import Event, Events, RunEnded
from headway.workspace.engine.retrying import HEALTHY_MS, pause_ms
from headway.workspace.engine.timers import Act, Timers
from headway.workspace.engine.triggers import Continuous, FileArrival, Periodic, Schedule, Trigger, paused, trigger_of
from headway.workspace.errors import ApiError

logger = logging.getLogger(__name__)

POLL_MS = 10_000
TRIGGERS = ("schedule", "trigger", "continuous")
# Between a healthy continuous run and the next. Source: Databricks, "Run jobs continuously" (less than 60 s).
CONTINUOUS_PAUSE_MS = 1_000


class Jobs(Protocol):
    """What the scheduler reads of jobs, and has kept for it (the jobs service's store)."""

    def job(self, job_id: int) -> Any:
        """A job, with `settings`. Raise ApiError."""

    def triggered(self) -> Any:
        """Every job that may have a trigger."""

    def trigger_state(self, job_id: int) -> dict[str, Any]:
        """What its trigger remembered last."""

    def remember(self, job_id: int, state: dict[str, Any]) -> None:
        """Keep that for after a restart."""


class Runs(Protocol):
    """What the scheduler asks of the engine."""

    def start(self, job_id: int, trigger: str, details: Mapping[str, Any]) -> int:
        """Start a run of a job. Raise ApiError."""

    def cancel(self, run_id: int) -> None:
        """End a run."""

    def active(self, job_id: int) -> list[Any]:
        """The runs of a job that have not ended."""

    def run(self, run_id: int) -> Any:
        """A run."""


class Scheduler:
    """The triggers of all jobs. `files` gives the files at a place: path → (size, modified)."""

    def __init__(
        self, jobs: Jobs, runs: Runs, timers: Timers, events: Events, files: Callable[[str], Mapping[str, Any]]
    ) -> None:
        self._jobs, self._runs, self._timers, self._files = jobs, runs, timers, files
        self._lock = threading.RLock()
        self._waiting: dict[int, _Waiting] = {}
        self._known: set[int] = set()  # jobs that have a trigger, or are being looked at
        self._closed = False
        self._leave = events.subscribe(self._on_event)

    def start(self) -> None:
        """Take up the triggers of all jobs."""
        for job in self._jobs.triggered():
            self.changed(job.job_id)

    def changed(self, job_id: int, settings: Mapping[str, Any] | None = None) -> None:
        """A job was made, changed or removed: wait for what it says now. `settings` are those that it was given, where
        the caller knows them: most jobs have no trigger and had none, and are not read again."""
        if settings is not None and job_id not in self._known and not any(name in settings for name in TRIGGERS):
            # Whoever gives it a trigger is here before it reads the job: either it is known by now, or it reads ours.
            return
        with self._lock:
            self._known.add(job_id)
            before = self._waiting.pop(job_id, None)
            if before is not None:
                before.stop()
            trigger = None if self._closed else self._trigger(job_id)
            if trigger is None:
                self._known.discard(job_id)
            else:
                kept = before.failures if isinstance(before, _ContinuousWaiting) else 0
                self._waiting[job_id] = self._make(job_id, trigger, kept)
                self._waiting[job_id].begin()
        if isinstance(before, _ContinuousWaiting) and not isinstance(trigger, Continuous):
            before.end_runs()

    def _trigger(self, job_id: int) -> Trigger | None:
        try:
            settings = self._jobs.job(job_id).settings
            return None if paused(settings) else trigger_of(settings)
        except ApiError:  # it is gone
            return None

    def _make(self, job_id: int, trigger: Trigger, failures: int) -> "_Waiting":
        if isinstance(trigger, Schedule):
            return _ScheduleWaiting(job_id, self._timers, self._fire, trigger)
        if isinstance(trigger, Periodic):
            return _PeriodicWaiting(job_id, self._timers, self._fire, trigger, self._jobs)
        if isinstance(trigger, FileArrival):
            return _ArrivalWaiting(job_id, self._timers, self._fire, trigger, self._jobs, self._files)
        return _ContinuousWaiting(job_id, self._timers, self._fire, self._runs, failures)

    def _fire(self, job_id: int, trigger: str, details: Mapping[str, Any]) -> None:
        try:
            self._runs.start(job_id, trigger, details)
        except ApiError as error:
            logger.warning("job %s was not started by its trigger: %s", job_id, error.message)

    def _on_event(self, event: Event) -> None:
        if not isinstance(event, RunEnded) or event.job_id is None:
            return
        with self._lock:
            waiting = self._waiting.get(event.job_id)
        if isinstance(waiting, _ContinuousWaiting):
            waiting.ended(event)

    def next_ms(self, job_id: int) -> int | None:
        """When the job's trigger acts next (for a file arrival: looks); None where it does not."""
        with self._lock:
            waiting = self._waiting.get(job_id)
        return waiting.due_ms if waiting is not None else None

    def close(self) -> None:
        """Start nothing any more."""
        with self._lock:
            self._closed = True
            self._leave()
            for waiting in self._waiting.values():
                waiting.stop()
            self._waiting.clear()


Fire = Callable[[int, str, Mapping[str, Any]], None]


class _Waiting:
    """One job's trigger between two times."""

    def __init__(self, job_id: int, timers: Timers, fire: Fire) -> None:
        self.job_id, self._timers, self._fire = job_id, timers, fire
        self.due_ms: int | None = None
        self._take_back: Act = lambda: None
        self._stopped = False

    def begin(self) -> None:
        """Wait for the first time."""
        raise NotImplementedError

    def stop(self) -> None:
        """Wait no more."""
        self._stopped = True
        self._take_back()

    def _at(self, when_ms: int, act: Act) -> None:
        self.due_ms = when_ms
        if not self._stopped:
            self._take_back = self._timers.at(when_ms, lambda: None if self._stopped else act())


class _ScheduleWaiting(_Waiting):
    def __init__(self, job_id: int, timers: Timers, fire: Fire, schedule: Schedule) -> None:
        super().__init__(job_id, timers, fire)
        self._schedule = schedule

    def begin(self) -> None:
        now = datetime.fromtimestamp(self._timers.now_ms() / 1000, UTC)
        following = self._schedule.cron.next_after(now, self._schedule.zone)
        self.due_ms = None
        if following is not None:
            self._at(int(following.timestamp()) * 1000, self._act)

    def _act(self) -> None:
        fired = self.due_ms
        self.begin()
        self._fire(self.job_id, "PERIODIC", {"fired_ms": fired})


class _PeriodicWaiting(_Waiting):
    def __init__(self, job_id: int, timers: Timers, fire: Fire, periodic: Periodic, jobs: Jobs) -> None:
        super().__init__(job_id, timers, fire)
        self._interval, self._jobs = periodic.interval_ms, jobs

    def begin(self) -> None:
        now = self._timers.now_ms()
        state = self._jobs.trigger_state(self.job_id)
        if state.get("interval_ms") != self._interval:
            state = {"interval_ms": self._interval, "last_ms": now}
            self._jobs.remember(self.job_id, state)
        missed = max(0, (now - state["last_ms"]) // self._interval)
        self._at(state["last_ms"] + (missed + 1) * self._interval, self._act)

    def _act(self) -> None:
        fired = self.due_ms
        self._jobs.remember(self.job_id, {"interval_ms": self._interval, "last_ms": fired})
        self.begin()
        self._fire(self.job_id, "PERIODIC", {"fired_ms": fired})


class _ArrivalWaiting(_Waiting):
    def __init__(
        self,
        job_id: int,
        timers: Timers,
        fire: Fire,
        arrival: FileArrival,
        jobs: Jobs,
        files: Callable[[str], Mapping[str, Any]],
    ) -> None:
        super().__init__(job_id, timers, fire)
        self._arrival, self._jobs, self._files = arrival, jobs, files
        self._arrivals = Arrivals(arrival, jobs.trigger_state(job_id))

    def begin(self) -> None:
        if self._arrivals.begin(self._files(self._arrival.url)):
            self._jobs.remember(self.job_id, self._arrivals.state())
        self._at(self._timers.now_ms() + POLL_MS, self._act)

    def _act(self) -> None:
        now = self._timers.now_ms()
        fires = self._arrivals.look(self._files(self._arrival.url), now)
        self._at(now + POLL_MS, self._act)
        if fires:
            self._jobs.remember(self.job_id, self._arrivals.state())
            self._fire(self.job_id, "FILE_ARRIVAL", {"fired_ms": now, "location": self._arrival.url})


class _ContinuousWaiting(_Waiting):
    """Keeps one run going. Failures in a row make the pauses longer; a run that lasted ends the row."""

    def __init__(self, job_id: int, timers: Timers, fire: Fire, runs: Runs, failures: int) -> None:
        super().__init__(job_id, timers, fire)
        self._runs, self.failures = runs, failures

    def begin(self) -> None:
        if not self._runs.active(self.job_id):
            self._at(self._timers.now_ms() + pause_ms(self.failures), self._act)

    def _act(self) -> None:
        self.due_ms = None
        if not self._runs.active(self.job_id):
            self._fire(self.job_id, "CONTINUOUS", {"fired_ms": self._timers.now_ms()})

    def ended(self, event: RunEnded) -> None:
        """A run of the job has ended."""
        if self._stopped or event.result_state == "MAXIMUM_CONCURRENT_RUNS_REACHED":
            return
        began = self._runs.run(event.run_id).created_ms
        if event.result_state in ("SUCCESS", "SUCCESS_WITH_FAILURES", "CANCELED"):
            self.failures = 0
        else:
            self.failures = 1 if event.at_ms - began >= HEALTHY_MS else self.failures + 1
        self._at(event.at_ms + (pause_ms(self.failures) or CONTINUOUS_PAUSE_MS), self._act)

    def end_runs(self) -> None:
        """End what it started: its job was paused, or is continuous no more (Databricks, "Run jobs continuously")."""
        for run in self._runs.active(self.job_id):
            if run.trigger == "CONTINUOUS":
                self._runs.cancel(run.run_id)
