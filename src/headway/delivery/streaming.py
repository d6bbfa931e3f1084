"""Streams: drain the run of a continuous or streaming job, start it again, and watch that it keeps running."""

from collections.abc import Mapping
from typing import Any

from headway.adapters.clock import Clock
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress
from headway.delivery.calling import Caller
from headway.delivery.watching import ENDED

DRAIN_SECONDS = 600.0
START_SECONDS = 900.0
_LOOK_SECONDS = 0.5


def active_runs(caller: Caller, job_id: int) -> list[int]:
    """The runs of a job that have not ended, the newest first."""
    answer = caller.get(
        "/api/2.2/jobs/runs/list", {"job_id": job_id, "active_only": True}, f"runs/list of job {job_id}"
    )
    return [int(run["run_id"]) for run in answer.get("runs") or ()]


def drain(caller: Caller, clock: Clock, job_id: int, runs: list[int]) -> None:
    """End the runs, and wait until they have ended: two runs must never write to one checkpoint. Raise HeadwayError."""
    for run_id in runs:
        caller.write("POST", "/api/2.2/jobs/runs/cancel", {"run_id": run_id}, f"runs/cancel {run_id}")
    began = clock.now()
    for run_id in runs:
        while _state(_run(caller, run_id)) not in ENDED:
            if (clock.now() - began).total_seconds() > DRAIN_SECONDS:
                reason = f"run {run_id} of before did not end within {DRAIN_SECONDS / 60:g} min"
                raise HeadwayError("STREAM_STOPPED", job=f"job {job_id}", reason=reason)
            clock.sleep(_LOOK_SECONDS)


def start(caller: Caller, clock: Clock, job_id: int, continuous: bool, token: str, before: list[int]) -> int:
    """The new run's id. A continuous job is started by its workspace; another one by us, under an idempotency token."""
    if not continuous:
        body = {"job_id": job_id, "idempotency_token": token}
        return int(caller.write("POST", "/api/2.2/jobs/run-now", body, f"jobs/run-now {job_id}")["run_id"])
    began = clock.now()
    while True:
        new = [run_id for run_id in active_runs(caller, job_id) if run_id not in before]
        if new:
            return new[0]
        if (clock.now() - began).total_seconds() > START_SECONDS:
            raise HeadwayError("STREAM_STOPPED", job=f"job {job_id}", reason="the workspace did not start it again")
        clock.sleep(_LOOK_SECONDS)


def watch_running(caller: Caller, clock: Clock, run_id: int, key: str, emit: Emit, settle: float) -> None:
    """Return once every task of the run has run for `settle` seconds, or all has ended well. Raise HeadwayError
    STREAM_STOPPED where it fails, or a task is being tried again."""
    began, running_since = clock.now(), None
    while True:
        run = _run(caller, run_id)
        problem = _problem(run)
        if problem:
            raise HeadwayError("STREAM_STOPPED", job=key, reason=f"run {run_id}: {problem}")
        if _state(run) in ENDED:
            emit(Progress(f"{key}: run {run_id} ended well"))
            return
        now = clock.now()
        if all(_state(part) in ("RUNNING", *ENDED) for part in [run, *(run.get("tasks") or ())]):
            running_since = running_since or now
            if (now - running_since).total_seconds() >= settle:
                emit(Progress(f"{key}: run {run_id} has run for {settle:g} s"))
                return
        else:
            running_since = None
            if (now - began).total_seconds() > START_SECONDS:
                reason = f"run {run_id} did not begin within {START_SECONDS / 60:g} min"
                raise HeadwayError("STREAM_STOPPED", job=key, reason=reason)
        clock.sleep(_LOOK_SECONDS)


def _run(caller: Caller, run_id: int) -> dict[str, Any]:
    return caller.get("/api/2.2/jobs/runs/get", {"run_id": run_id}, f"runs/get {run_id}")


def _state(part: Mapping[str, Any]) -> str:
    return str((part.get("state") or {}).get("life_cycle_state", "PENDING"))


def _problem(run: Mapping[str, Any]) -> str:
    for part in [*(run.get("tasks") or ()), run]:
        state = part.get("state") or {}
        name = f"task {part['task_key']} " if "task_key" in part else ""
        result = state.get("result_state")
        if state.get("life_cycle_state") in ENDED and result not in ("SUCCESS", "SUCCESS_WITH_FAILURES", "EXCLUDED"):
            told = result or state.get("life_cycle_state")
            return f"{name}ended {told}: {state.get('state_message') or 'without a message'}"
        if int(part.get("attempt_number") or 0) > 0:
            return f"{name}failed and is being tried again"
    return ""
