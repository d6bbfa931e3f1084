"""A task of a run, tried until it succeeds or its policy says that it is enough."""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from headway.workspace.engine.cancellation import Cancellation
from headway.workspace.engine.child_runs import run_job
from headway.workspace.engine.conditions import holds
from headway.workspace.engine.decisions import retries_left
from headway.workspace.engine.events import TaskEnded, TaskLasts, TaskStarted
from headway.workspace.engine.for_each import for_each
from headway.workspace.engine.on_driver import on_driver
from headway.workspace.engine.records import RunRecord
from headway.workspace.engine.references import resolve
from headway.workspace.engine.retrying import FirstAttempts, pause_ms
from headway.workspace.engine.scope import RunScope, TaskEnd

logger = logging.getLogger(__name__)

WITHOUT_RUNNING = frozenset({"EXCLUDED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED", "DISABLED"})


class Attempts:
    """Runs tasks to their end, attempt by attempt; each attempt is a task run of its own."""

    def __init__(self, scope: RunScope) -> None:
        self._scope, self._parts = scope, scope.parts
        mode = (scope.run.settings.get("continuous") or {}).get("task_retry_mode")
        self._first = FirstAttempts() if scope.run.trigger == "CONTINUOUS" and mode == "ON_FAILURE" else None

    def run(self, row: RunRecord, extra: Mapping[str, str], under: Cancellation) -> tuple[RunRecord, TaskEnd]:
        """Try the task of `row` (an attempt that has not begun); return the last attempt and how it ended. `extra` are
        the references of its iteration; it is ended with `under`."""
        while True:
            began = self._parts.timers.now_ms()
            if self._first is not None:
                self._first.began(row.run_id)
            end = self._attempt(row, extra, under)
            again = under.reason is None and self._again(row, end)
            self.tell(row, end, last=not again)
            if self._first is not None:
                self._first.ended(row.run_id)
            if not again:
                return row, end
            row = self._parts.records.add_task_run(
                int(row.parent_id or 0), row, life_cycle_state="WAITING_FOR_RETRY", trigger="RETRY"
            )
            stopped = self._wait(row, began, under)
            if stopped is not None:
                self.tell(row, stopped, last=True)
                return row, stopped

    def _again(self, row: RunRecord, end: TaskEnd) -> bool:
        settings, attempt = row.settings, row.attempt - int(row.details.get("first_attempt", 0))
        if self._first is not None and end.result == "FAILED":
            return self._first.may_retry(row.run_id, attempt)
        return retries_left(
            end.result, attempt, settings.get("max_retries") or 0, bool(settings.get("retry_on_timeout"))
        )

    def _wait(self, row: RunRecord, began: int, under: Cancellation) -> TaskEnd | None:
        """Wait for the next attempt's time: the interval counts from the start of the one before. Return how it ended
        where it was stopped instead.

        Source: Databricks REST API, Jobs 2.2, `min_retry_interval_millis`.
        """
        interval = pause_ms(row.attempt) if self._first else row.settings.get("min_retry_interval_millis") or 0
        timers, ready = self._parts.timers, threading.Event()
        if began + interval > timers.now_ms():
            switch = self._scope.switch(row, under)
            off_cancel = switch.on_cancel(ready.set)
            off_timer = timers.at(began + interval, ready.set)
            ready.wait()
            off_cancel()
            off_timer()
            self._scope.leave(row)
            if switch.reason is not None:
                return TaskEnd(*switch.reason)
        return None

    def _attempt(self, row: RunRecord, extra: Mapping[str, str], under: Cancellation) -> TaskEnd:
        switch = self._scope.switch(row, under)
        try:
            if switch.reason is not None:
                return TaskEnd(*switch.reason)
            off = self._began(row)
            try:
                return self._work(row, extra, switch)
            finally:
                for take_back in off:
                    take_back()
        except Exception as error:
            logger.exception("task %s of run %s", row.task_key, self._scope.run.run_id)
            message = f"internal error: {type(error).__name__}: {error}"
            return TaskEnd("FAILED", message, "INTERNAL_ERROR", {"error": message})
        finally:
            self._scope.leave(row)

    def _began(self, row: RunRecord) -> list[Callable[[], None]]:
        """Tell that an attempt begins, unless it goes on after a restart, and when it lasts too long. Return how to
        take that back."""
        run, timers, events = self._scope.run, self._parts.timers, self._parts.events
        now, key = timers.now_ms(), str(row.task_key)
        if row.execution_ms is None:
            events.publish(TaskStarted(run.run_id, run.job_id, now, key, row.run_id, row.attempt, row.iteration))

        def lasts(seconds: int) -> None:
            events.publish(TaskLasts(run.run_id, run.job_id, timers.now_ms(), key, row.run_id, seconds))

        begun = row.execution_ms or now
        return [
            timers.at(begun + int(rule["value"]) * 1000, partial(lasts, int(rule["value"])))
            for rule in (row.settings.get("health") or {}).get("rules") or []
            if rule.get("metric") == "RUN_DURATION_SECONDS"
        ]

    def _work(self, row: RunRecord, extra: Mapping[str, str], switch: Cancellation) -> TaskEnd:
        settings = row.settings
        if not {"condition_task", "for_each_task", "run_job_task"} & settings.keys():
            return on_driver(self._scope, row, extra, switch)
        now = self._parts.timers.now_ms()
        self._parts.records.change(
            row.run_id, life_cycle_state="RUNNING", started_ms=now, execution_ms=now, state_message="In run"
        )
        off = _timeout(self._scope, settings, switch)
        try:
            known = self._scope.known(row, extra)
            parameters = self._scope.job_parameters(known)
            known = known.new_child({f"job.parameters.{name}": value for name, value in parameters.items()})
            if "condition_task" in settings:
                return _condition(resolve(settings["condition_task"], known))
            if "run_job_task" in settings:
                return run_job(self._scope, row, resolve(settings["run_job_task"], known), switch)
            return for_each(self._scope, row, known, switch, self.run)
        except ValueError as error:
            return TaskEnd("FAILED", str(error), "INVALID_RUN_CONFIGURATION", {"error": str(error)})
        finally:
            off()

    def tell(self, row: RunRecord, end: TaskEnd, *, last: bool) -> None:
        """Record how an attempt ended."""
        now = self._parts.timers.now_ms()
        output: dict[str, Any] = dict(end.output)
        if end.outcome is not None:
            output["outcome"] = end.outcome
        if end.values:
            output["task_values"] = dict(end.values)
        self._parts.records.change(
            row.run_id,
            life_cycle_state="SKIPPED" if end.result in WITHOUT_RUNNING else "TERMINATED",
            result_state=end.result,
            state_message=end.message,
            termination_code=end.code,
            ended_ms=now,
            output=output,
        )
        run = self._scope.run
        self._parts.events.publish(
            TaskEnded(
                run.run_id, run.job_id, now, str(row.task_key), row.run_id, row.attempt, end.result, last, row.iteration
            )
        )


def _condition(body: Mapping[str, Any]) -> TaskEnd:
    outcome = "true" if holds(body["op"], str(body["left"]), str(body["right"])) else "false"
    return TaskEnd("SUCCESS", outcome=outcome, output={"left": str(body["left"]), "right": str(body["right"])})


def _timeout(scope: RunScope, settings: Mapping[str, Any], switch: Cancellation) -> Any:
    seconds = settings.get("timeout_seconds") or 0
    if not seconds:
        return lambda: None
    timers = scope.parts.timers
    return timers.at(timers.now_ms() + seconds * 1000, lambda: switch.cancel("TIMEDOUT", "Run timed out."))
