"""Apply the steps of a plan: journalled, concurrent, and taken back as a whole when one fails."""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from headway.adapters.clock import Clock, stamp
from headway.adapters.databricks import Connection, missing, translated
from headway.core.application import Application, Environment
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress
from headway.core.ledger import Deployment, JournalStep
from headway.core.plan import CreateJob, DeleteJob, ObservedJob, ResetJob, Step
from headway.delivery.ledger import Ledger
from headway.delivery.observing import observe

AT_ONCE = 8


def journal_step(step: Step) -> JournalStep:
    """A step of a plan as the journal holds it before it is done."""
    match step:
        case CreateJob(key, after):
            return JournalStep("create", key, None, None, after)
        case ResetJob(key, job_id, before, after, _):
            return JournalStep("reset", key, job_id, before, after)
        case DeleteJob(key, job_id, before):
            return JournalStep("delete", key, job_id, before, None)


def apply(
    connection: Connection,
    app: Application,
    environment: Environment,
    deployment: Deployment,
    ledger: Ledger,
    clock: Clock,
    emit: Emit,
) -> Deployment:
    """Do every step of a deployment whose journal is written. Jobs are created and reset before any is deleted.

    Return it converged, each step with its job id; the caller records that. Raise HeadwayError APPLY_FAILED when a step
    failed and all were taken back, ROLLBACK_FAILED when that failed too.
    """
    try:
        first = [step for step in deployment.steps if step.action != "delete"]
        last = [step for step in deployment.steps if step.action == "delete"]
        done = [*_all(connection, first, emit), *_all(connection, last, emit)]
    except _StepsFailed as failed:
        steps = _merged(deployment.steps, failed.steps)
        ended = take_back(connection, app, environment, replace(deployment, steps=steps), ledger, clock, emit)
        raise HeadwayError(
            "APPLY_FAILED",
            version=deployment.version,
            environment=environment.name,
            reason=failed.reason,
            outcome=f"Every job was taken back (deployment {ended.id})",
        ) from failed.cause
    return replace(deployment, outcome="converged", steps=tuple(done), ended_at=stamp(clock.now()))


class _StepsFailed(Exception):
    def __init__(self, steps: list[JournalStep], cause: HeadwayError) -> None:
        super().__init__(cause.message)
        self.steps, self.cause, self.reason = steps, cause, cause.message


def _all(connection: Connection, steps: Sequence[JournalStep], emit: Emit) -> list[JournalStep]:
    """Do the steps, several at once; all of them end before anything is raised."""

    def attempt(step: JournalStep) -> tuple[JournalStep, HeadwayError | None]:
        try:
            done = _do(connection, step)
        except HeadwayError as error:
            return replace(step, status="failed", message=error.message), error
        emit(Progress(f"{done.action} {done.key} (job {done.job_id})"))
        return done, None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(attempt, steps))
    errors = [error for _, error in ended if error is not None]
    if errors:
        raise _StepsFailed([step for step, _ in ended], errors[0])
    return [step for step, _ in ended]


def _do(connection: Connection, step: JournalStep) -> JournalStep:
    api: Any = connection.client.api_client
    with translated(connection, f"jobs/{step.action} {step.key}"):
        match step.action:
            case "create":
                # The tags make the job findable again where the answer is lost.
                job_id = int(api.do("POST", "/api/2.2/jobs/create", body=dict(step.after or {}))["job_id"])
                return replace(step, job_id=job_id, status="done")
            case "reset":
                body = {"job_id": step.job_id, "new_settings": dict(step.after or {})}
                api.do("POST", "/api/2.2/jobs/reset", body=body)
            case "delete":
                with contextlib.suppress(*missing()):
                    api.do("POST", "/api/2.2/jobs/delete", body={"job_id": step.job_id})
    return replace(step, status="done")


def _merged(steps: Sequence[JournalStep], newer: Sequence[JournalStep]) -> tuple[JournalStep, ...]:
    known = {step.key: step for step in newer}
    return tuple(known.get(step.key, step) for step in steps)


def take_back(
    connection: Connection,
    app: Application,
    environment: Environment,
    deployment: Deployment,
    ledger: Ledger,
    clock: Clock,
    emit: Emit,
) -> Deployment:
    """Bring every job of a deployment back to what its journal says stood before. Whether a step was done, half done
    or not begun does not matter: what stands now is observed first.

    Return the deployment, rolled back. Raise HeadwayError ROLLBACK_FAILED, which says what stands where.
    """
    there: dict[str, list[ObservedJob]] = {}
    for job in observe(connection, app, environment):
        there.setdefault(job.key, []).append(job)
    ended: list[JournalStep] = []
    problems: list[str] = []
    for step in deployment.steps:
        try:
            for undo in _undoing(step, there.get(step.key, [])):
                _do(connection, undo)
                emit(Progress(f"taken back: {step.key}"))
            ended.append(replace(step, status="taken back"))
        except HeadwayError as error:
            problems.append(f"{step.key}: {error.message}")
            ended.append(replace(step, status="failed", message=error.message))
    outcome = replace(
        deployment,
        outcome="mixed" if problems else "rolled back",
        steps=tuple(ended),
        ended_at=stamp(clock.now()),
    )
    ledger.write_deployment(outcome)
    if problems:
        raise HeadwayError(
            "ROLLBACK_FAILED",
            environment=environment.name,
            reason="; ".join(problems),
            standing=f"The journal {deployment.id} says what stood before; the next deploy goes on",
        )
    return outcome


def _undoing(step: JournalStep, there: list[ObservedJob]) -> list[JournalStep]:
    """The steps that bring one job back, from what stands now."""
    if step.before is None:
        return [JournalStep("delete", step.key, job.job_id, job.settings, None) for job in there]
    if not there:
        return [JournalStep("create", step.key, None, None, step.before)]
    known = next((job for job in there if job.job_id == step.job_id), there[0])
    return [JournalStep("reset", step.key, known.job_id, known.settings, step.before)]
