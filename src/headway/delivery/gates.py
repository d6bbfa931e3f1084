"""Gates: what a release must pass in an environment before it may go further."""

import hashlib
from typing import Any

from headway.adapters.clock import stamp
from headway.adapters.databricks import translated
from headway.core.application import GateSettings
from headway.core.errors import HeadwayError
from headway.core.events import Progress
from headway.core.ledger import Verdict
from headway.delivery.comparing import compare
from headway.delivery.deploying import Target, job_ids, require_standing
from headway.delivery.steps import step
from headway.delivery.watching import EndedRun, watch


def verify(target: Target, run: str = "") -> Verdict:
    """Run every gate of the environment on the version that stands there, and record what they said. With `run`, which
    names the caller's own undertaking, a job run that was started for it before is watched on, not started again.

    Raise HeadwayError GATE_FAILED for the first that refuses; that is recorded too.
    """
    version = require_standing(target)
    jobs = job_ids(target)
    evidence: list[dict[str, Any]] = []
    try:
        for gate in target.environment.gates:
            _gate(target, gate, version, jobs, evidence, run)
    except HeadwayError:
        _record(target, version, False, evidence)
        raise
    return _record(target, version, True, evidence)


def _gate(
    target: Target, gate: GateSettings, version: str, jobs: dict[str, int], evidence: list[dict[str, Any]], run: str
) -> None:
    if gate.kind == "parity":
        _parity_gate(target, gate, version, evidence)
    else:
        _run_gate(target, gate, version, jobs, evidence, run)


def _parity_gate(target: Target, gate: GateSettings, version: str, evidence: list[dict[str, Any]]) -> None:
    """The parity gate: the environment must not differ from another, but in what headway.toml allows."""
    assert target.beside is not None  # noqa: S101  (every target of a line has it)
    assert gate.against is not None  # noqa: S101  (the configuration is checked)
    began = target.clock.now()
    with step(target.emit, "gate", f"parity with {gate.against} of {version}", target.environment.name) as note:
        found = compare(target, target.beside(gate.against))
        reason = "; ".join(f"{one.key} {one.path}: {one.left} ≠ {one.right}" for one in found.refused[:3])
        more = f" and {len(found.refused) - 3} more" if len(found.refused) > 3 else ""
        evidence.append(
            {
                "gate": gate.kind,
                "against": gate.against,
                "result": "FAILED" if found.refused else "SUCCESS",
                "seconds": (target.clock.now() - began).total_seconds(),
                "reason": reason + more,
                "parity": found.to_json(),
            }
        )
        if found.refused:
            what = f"it differs from {gate.against} in {len(found.refused)} field(s): {reason}{more}"
            _refuse(target, gate, version, what)
        note.detail = f"no difference that is not allowed ({len(found.differences)} allowed)"


def _run_gate(
    target: Target, gate: GateSettings, version: str, jobs: dict[str, int], evidence: list[dict[str, Any]], run: str
) -> None:
    """The run gate: each job, in order, must run to SUCCESS."""
    name = target.environment.name
    client = target.connection.client
    for key in gate.jobs:
        with step(target.emit, "gate", f"run {key} of {version}", name) as note:
            if key not in jobs:
                _refuse(target, gate, version, f"the environment has no job {key}")
            with translated(target.connection, f"jobs/run-now {key}"):
                token = _token(target, run, len(evidence), key) if run else None
                run_id = client.jobs.run_now(jobs[key], idempotency_token=token).run_id
            target.emit(Progress(f"run {run_id} of job {jobs[key]}"))
            ended = watch(target.connection, run_id, target.clock, gate.timeout_minutes * 60)
            reason = "" if ended.good else failure(target, ended)
            entry = {"gate": gate.kind, "job": key, "job_id": jobs[key], "run_id": run_id, "result": ended.state}
            evidence.append({**entry, "seconds": ended.seconds, "url": ended.url, "reason": reason})
            if not ended.good:
                _refuse(target, gate, version, f"run {run_id} of {key} ended {ended.state}: {reason}")
            note.detail = f"{key}: run {run_id} {ended.state}"


def _token(target: Target, run: str, number: int, key: str) -> str:
    """At most 64 characters, as the Jobs API wants it."""
    state = target.ledger.state()
    text = f"{target.app.name}/{target.environment.name}/{state.deployment}/{run}/{number}/{key}"
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse(target: Target, gate: GateSettings, version: str, reason: str) -> None:
    raise HeadwayError(
        "GATE_FAILED", gate=gate.kind, environment=target.environment.name, version=version, reason=reason
    )


def failure(target: Target, run: EndedRun) -> str:
    """Which task of a run failed, and with what."""
    for task in run.raw.get("tasks") or []:
        if task.get("state", {}).get("result_state") in ("FAILED", "TIMEDOUT"):
            with translated(target.connection, f"jobs/runs/get-output {task['run_id']}"):
                output = target.connection.client.jobs.get_run_output(task["run_id"])
            return f"task {task['task_key']}: {output.error or task['state'].get('state_message') or run.message}"
    return run.message


def _record(target: Target, version: str, passed: bool, evidence: list[dict[str, Any]]) -> Verdict:
    state = target.ledger.state()
    verdict = Verdict(version, passed, stamp(target.clock.now()), dict(state.artifacts), tuple(evidence))
    if state.version == version:
        target.ledger.write(state.next(verdict=verdict))
    return verdict


def require_verified(target: Target, version: str, artifacts: dict[str, str]) -> None:
    """Raise HeadwayError NOT_VERIFIED unless the gates of `target` passed for exactly these bytes of this version."""
    state = target.ledger.state()
    verdict = state.verdict
    if not target.environment.gates and state.version == version and state.artifacts == artifacts:
        return
    if verdict is None or not verdict.passed or verdict.version != version or verdict.artifacts != artifacts:
        raise HeadwayError("NOT_VERIFIED", version=version, environment=target.environment.name)
