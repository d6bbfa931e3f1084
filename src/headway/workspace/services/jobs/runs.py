"""Runs, task runs and repairs, as they are kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIVE = ("PENDING", "QUEUED", "RUNNING", "BLOCKED", "WAITING_FOR_RETRY", "TERMINATING")
FINAL = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_CODES = {
    "SUCCESS": "SUCCESS",
    "SUCCESS_WITH_FAILURES": "SUCCESS_WITH_FAILURES",
    "CANCELED": "USER_CANCELED",
    "UPSTREAM_CANCELED": "SKIPPED",
    "UPSTREAM_FAILED": "SKIPPED",
    "EXCLUDED": "SKIPPED",
    "DISABLED": "DISABLED",
    "TIMEDOUT": "CANCELED",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "MAX_CONCURRENT_RUNS_EXCEEDED",
}


@dataclass(frozen=True)
class Run:
    """A run, or with `parent_id` the run of one of its tasks. Times in milliseconds since 1970.

    `settings` are those of the job (the task) when the run began; `parameters` what run-now gave.
    """

    run_id: int
    parent_id: int | None
    task_key: str | None
    job_id: int | None
    name: str
    creator: str
    settings: Mapping[str, Any]
    parameters: Mapping[str, Any]
    trigger: str
    life_cycle_state: str
    result_state: str | None
    state_message: str
    termination_code: str | None
    created_ms: int
    started_ms: int | None
    execution_ms: int | None
    ended_ms: int | None
    cluster_id: str | None
    output: Mapping[str, Any]
    idempotency_token: str | None = None
    root_id: int | None = None
    attempt: int = 0
    original_id: int | None = None
    latest: bool = True
    iteration: int | None = None
    repair_id: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.life_cycle_state in ACTIVE

    def state(self) -> dict[str, Any]:
        """The `state` block."""
        data: dict[str, Any] = {
            "life_cycle_state": self.life_cycle_state,
            "state_message": self.state_message,
            "user_cancelled_or_timedout": self.result_state in ("CANCELED", "TIMEDOUT"),
        }
        if self.result_state:
            data["result_state"] = self.result_state
        return data

    def status(self) -> dict[str, Any]:
        """The newer `status` block."""
        if self.active:
            state = {"WAITING_FOR_RETRY": "WAITING"}.get(self.life_cycle_state, self.life_cycle_state)
            if state != "QUEUED":
                return {"state": state}
            details = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": self.state_message}
            return {"state": state, "queue_details": details}
        code = self.termination_code or _CODES.get(self.result_state or "", "RUN_EXECUTION_ERROR")
        good = self.result_state in ("SUCCESS", "SUCCESS_WITH_FAILURES", "EXCLUDED", "DISABLED")
        kind = "SUCCESS" if good else "INTERNAL_ERROR" if self.life_cycle_state == "INTERNAL_ERROR" else "CLIENT_ERROR"
        return {
            "state": "TERMINATED",
            "termination_details": {"code": code, "type": kind, "message": self.state_message},
        }

    def times(self) -> dict[str, int]:
        """Start, end and durations, in milliseconds."""
        started = self.started_ms or self.created_ms
        execution = self.execution_ms or self.ended_ms or started
        return {
            "start_time": started,
            "setup_duration": max(0, execution - started) if self.execution_ms else 0,
            "execution_duration": max(0, self.ended_ms - execution) if self.ended_ms else 0,
            "cleanup_duration": 0,
            "end_time": self.ended_ms or 0,
        }

    @property
    def queued_ms(self) -> int:
        """How long it waited before it began."""
        return max(0, (self.started_ms or self.ended_ms or self.created_ms) - self.created_ms)


@dataclass(frozen=True)
class Repair:
    """A repair of a run; with `number` 0 the run as it was before any. `end` are the run's columns when it had ended,
    empty for the latest one: the run itself tells."""

    repair_id: int
    number: int
    started_ms: int
    end: Mapping[str, Any]
