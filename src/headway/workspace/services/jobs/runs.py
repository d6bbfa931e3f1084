"""Runs as the API tells of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.workspace.services.jobs.model import task_with_defaults

ACTIVE = ("PENDING", "QUEUED", "RUNNING", "BLOCKED", "WAITING_FOR_RETRY", "TERMINATING")
FINAL = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_CODES = {
    "SUCCESS": "SUCCESS",
    "SUCCESS_WITH_FAILURES": "SUCCESS_WITH_FAILURES",
    "CANCELED": "USER_CANCELED",
    "UPSTREAM_CANCELED": "CANCELED",
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
            return {"state": state}
        code = self.termination_code or _CODES.get(self.result_state or "", "RUN_EXECUTION_ERROR")
        good = self.result_state in ("SUCCESS", "SUCCESS_WITH_FAILURES", "EXCLUDED")
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

    def to_json(self, base_url: str, tasks: Sequence["Run"] | None) -> dict[str, Any]:
        """As `runs/get` answers it; an element of `runs/list` where `tasks` is None."""
        data: dict[str, Any] = {
            "job_id": self.job_id or 0,
            "run_id": self.run_id,
            "number_in_job": self.run_id,
            "original_attempt_run_id": self.run_id,
            "creator_user_name": self.creator,
            "state": self.state(),
            "status": self.status(),
            **self.times(),
            "run_duration": max(0, self.ended_ms - self.created_ms) if self.ended_ms else 0,
            "trigger": self.trigger,
            "run_name": self.name,
            "run_page_url": f"{base_url}/#job/{self.job_id or 0}/run/{self.run_id}",
            "run_type": "JOB_RUN" if self.job_id else "SUBMIT_RUN",
            "format": "MULTI_TASK",
        }
        if self.parameters:
            data["overriding_parameters"] = {
                key: value for key, value in self.parameters.items() if key != "job_parameters"
            }
        given = self.parameters.get("job_parameters", {})
        defaults = {entry["name"]: entry.get("default", "") for entry in self.settings.get("parameters", [])}
        if defaults:
            data["job_parameters"] = [
                {"name": name, "default": default, **({"value": given[name]} if name in given else {})}
                for name, default in defaults.items()
            ]
        if tasks is not None:
            data["tasks"] = [task.task_json(base_url) for task in tasks]
            if self.settings.get("job_clusters"):
                data["job_clusters"] = self.settings["job_clusters"]
        return data

    def task_json(self, base_url: str) -> dict[str, Any]:
        """As an element of a run's `tasks`."""
        data = {
            **task_with_defaults(self.settings),
            "run_id": self.run_id,
            "state": self.state(),
            "status": self.status(),
            **self.times(),
            "attempt_number": self.output.get("attempt", 0),
            "run_page_url": f"{base_url}/#job/{self.job_id or 0}/run/{self.run_id}",
        }
        if self.cluster_id:
            data["cluster_instance"] = {"cluster_id": self.cluster_id}
        return data
