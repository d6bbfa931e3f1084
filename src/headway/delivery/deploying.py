"""Bring an environment to a release: publish, copy, plan, apply; or to what stood there before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.adapters.clock import Clock, stamp
from headway.adapters.databricks import Connection
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application, Environment
from headway.core.errors import HeadwayError
from headway.core.events import Emit
from headway.core.ledger import Deployment, EnvironmentState, Standing
from headway.core.plan import Plan, desired, plan_steps
from headway.core.release import Release
from headway.core.rendering import summary
from headway.delivery.applying import apply, journal_step, take_back
from headway.delivery.copying import copy_to_jobs
from headway.delivery.examining import examine
from headway.delivery.ledger import Ledger, new_deployment_id, owner
from headway.delivery.observing import observe
from headway.delivery.publishing import publish
from headway.delivery.steps import step

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """Where to: an environment of an application, its workspace, its ledger."""

    app: Application
    environment: Environment
    connection: Connection
    ledger: Ledger
    store: ObjectStore
    clock: Clock
    emit: Emit


def make_plan(target: Target, release: Release | None, wanted: Mapping[str, Settings]) -> Plan:
    """The plan that brings the environment to `wanted` settings by job key. Reads only."""
    state = target.ledger.state()
    observed = observe(target.connection, target.app, target.environment)
    steps, unchanged = plan_steps(wanted, observed)
    return Plan(
        app=target.app.name,
        environment=target.environment.name,
        version=str(release.version) if release else None,
        current=state.version,
        serial=state.serial,
        steps=steps,
        unchanged=unchanged,
    )


def plan_release(target: Target, release: Release) -> Plan:
    """The plan that brings the environment to a release."""
    return make_plan(target, release, desired(target.app, release, target.environment))


def deploy(target: Target, release: Release) -> EnvironmentState:
    """Bring the environment to a release, whole or not at all. Raise HeadwayError."""
    with target.ledger.locked(target.clock):
        finish_interrupted(target)
        examine(target.store, target.app, target.environment, target.connection, release, target.emit)
        bring_artifacts(target, release)
        return change(target, release, desired(target.app, release, target.environment))


def bring(target: Target, release: Release) -> None:
    """The first half of `deploy`: the artifacts, side by side with those that stand; no job changes."""
    with target.ledger.locked(target.clock):
        finish_interrupted(target)
        examine(target.store, target.app, target.environment, target.connection, release, target.emit)
        bring_artifacts(target, release)


def deploy_brought(target: Target, release: Release, approved: str | None = None) -> EnvironmentState:
    """The second half: plan and apply. `approved` is the digest of the plan that somebody accepted.

    Raise HeadwayError STATE_MOVED where that is not the plan any more; nothing was changed then.
    """
    wanted = desired(target.app, release, target.environment)
    with target.ledger.locked(target.clock):
        finish_interrupted(target)
        if approved is not None and make_plan(target, release, wanted).digest != approved:
            what = "the plan is not the approved one any more"
            raise HeadwayError("STATE_MOVED", environment=target.environment.name, what=what)
        return change(target, release, wanted)


def finish_interrupted(target: Target) -> None:
    """Take back what a killed deployer left half done, so that the environment is all old before it is all new."""
    state = target.ledger.state()
    for left in target.ledger.unfinished():
        if left.id == state.deployment:
            continue  # it stands; only the journal's last word is missing
        with step(target.emit, "rollback", f"the interrupted deployment {left.id}", target.environment.name):
            take_back(target.connection, target.app, target.environment, left, target.ledger, target.clock, target.emit)


def bring_artifacts(target: Target, release: Release) -> None:
    """Publish the release's artifacts to the workspace and copy them to where jobs read them."""
    name = target.environment.name
    with step(target.emit, "publish", f"{len(release.artifacts)} artifacts to {target.connection.host}", name) as note:
        paths = publish(target.connection, target.app, release, target.store, target.emit)
        note.detail = ", ".join(paths)
    with step(target.emit, "copy", f"to {target.app.deploy.target}/{target.app.name}", name) as note:
        run = copy_to_jobs(target.connection, target.app, release, target.store, target.clock, target.emit)
        note.outcome = "ok" if run else "skipped"
        note.detail = f"deployJar run {run.run_id}, digests checked" if run else "the same bytes are there"


def change(target: Target, release: Release | None, wanted: Mapping[str, Settings]) -> EnvironmentState:
    """Plan and apply; the caller holds the environment's lock. Nothing to change means that nothing is written to the
    workspace, and nothing to the ledger where it already says so."""
    name = target.environment.name
    with step(target.emit, "plan", f"{release.version if release else '(nothing)'}", name) as note:
        plan = make_plan(target, release, wanted)
        note.detail = summary(plan)
    state = target.ledger.state()
    if plan.empty and state.version == plan.version:
        return state
    with step(target.emit, "apply", summary(plan), name) as note:
        deployment = Deployment(
            id=new_deployment_id(target.clock),
            app=target.app.name,
            environment=name,
            version=plan.version,
            previous=state.version,
            owner=owner(),
            started_at=stamp(target.clock.now()),
            outcome="running",
            steps=tuple(journal_step(entry) for entry in plan.steps),
            settings=wanted,
            artifacts={artifact.name: artifact.sha256 for artifact in release.artifacts.values()} if release else {},
        )
        target.ledger.write_deployment(deployment)
        ended = apply(
            target.connection,
            target.app,
            target.environment,
            deployment,
            target.ledger,
            target.clock,
            target.emit,
        )
        note.detail = f"deployment {ended.id}: {summary(plan)}"
        following = _following(target, state, ended, wanted)
        # The state first: a deployer that is killed before it leaves a journal that is still running, which the next
        # one takes back; killed after it, one whose deployment is the state's own, which stands.
        target.ledger.write(following)
        target.ledger.write_deployment(ended)
    return following


def _following(
    target: Target, state: EnvironmentState, ended: Deployment, wanted: Mapping[str, Settings]
) -> EnvironmentState:
    jobs = {key: job_id for key, job_id in state.jobs.items() if key in wanted}
    jobs |= {step.key: step.job_id for step in ended.steps if step.action != "delete" and step.job_id is not None}
    at = stamp(target.clock.now())
    return state.next(
        version=ended.version,
        deployment=ended.id,
        artifacts=ended.artifacts,
        jobs=jobs,
        verdict=None,
        history=(*state.history, Standing(ended.id, ended.version, at)),
    )


def job_ids(target: Target) -> dict[str, int]:
    """The environment's jobs by key, as they stand in the workspace."""
    return {job.key: job.job_id for job in observe(target.connection, target.app, target.environment)}


def require_standing(target: Target) -> str:
    """The version that stands in the environment. Raise HeadwayError NOTHING_DEPLOYED."""
    version = target.ledger.state().version
    if version is None:
        raise HeadwayError("NOTHING_DEPLOYED", environment=target.environment.name)
    return version
