"""Bring an environment to a release: publish, copy, plan, apply; go on with, or take back, what was interrupted."""

from collections.abc import Mapping
from typing import Any, Literal

from headway.adapters.clock import stamp
from headway.core.errors import HeadwayError
from headway.core.events import Planned
from headway.core.ledger import Deployment, EnvironmentState, Kind, following
from headway.core.plan import PERMISSIONS, Plan, artifact_changes, desired, moved, orphans, plan_steps
from headway.core.policies import desired_policies, jobs_only, policies_only, policy_steps
from headway.core.references import with_job_ids
from headway.core.release import Release
from headway.core.rendering import as_text, summary
from headway.delivery.applying import Site, StepFailed, Stopped, go_forward, journal_step
from headway.delivery.copying import copy_to_jobs
from headway.delivery.examining import examine
from headway.delivery.journal import Journal
from headway.delivery.ledger import owner
from headway.delivery.locking import Hold
from headway.delivery.observing import observe
from headway.delivery.policies import observed_policies, policy_ids
from headway.delivery.publishing import publish
from headway.delivery.releasing import require_kept
from headway.delivery.steps import step
from headway.delivery.taking_back import take_back
from headway.delivery.target import Target as Target

Settings = Mapping[str, Any]
Way = Literal["forward", "back"]


def make_plan(target: Target, release: Release | None, wanted: Mapping[str, Settings]) -> Plan:
    """The plan that brings the environment to `wanted` settings by job key. Reads only."""
    state = target.ledger.state()
    left = target.ledger.deployment(state.deployment).settings if state.deployment else {}
    policies = observed_policies(target.connection, left, wanted)
    first, last = policy_steps(policies_only(wanted), policies, policies_only(left))
    numbers = policy_ids(policies, left, wanted)
    known: dict[str, int | str] = {**state.jobs, **numbers}
    recorded = {key: with_job_ids(settings, known) for key, settings in jobs_only(left).items()}
    # Also those that the last deployment gave: where this one does not, they are taken back.
    permissions = {
        key: settings[PERMISSIONS]
        for key, settings in (*recorded.items(), *wanted.items())
        if settings.get(PERMISSIONS) and key in wanted
    }
    observed = observe(target.connection, target.app, target.environment, state.jobs, permissions)
    ids: dict[str, int | str] = {**{job.key: job.job_id for job in observed}, **numbers}
    resolved = {key: with_job_ids(settings, ids) for key, settings in jobs_only(wanted).items()}
    undefined = tuple(key for key in state.adopted if key not in wanted)
    steps, unchanged = plan_steps(resolved, observed, recorded, state.jobs, undefined)
    return Plan(
        app=target.app.name,
        environment=target.environment.name,
        version=str(release.version) if release else None,
        current=state.version,
        serial=state.serial,
        steps=(*first, *steps, *last),
        unchanged=unchanged,
        orphans=orphans(observed, state.jobs, undefined),
        artifacts=artifact_changes(state.artifacts, _digests(release)),
        settings=wanted,
    )


def _digests(release: Release | None) -> dict[str, str]:
    return {artifact.name: artifact.sha256 for artifact in release.artifacts.values()} if release else {}


def plan_release(target: Target, release: Release) -> Plan:
    """The plan that brings the environment to a release."""
    return make_plan(target, release, everything(target, release))


def everything(target: Target, release: Release) -> dict[str, Settings]:
    """The settings that a release wants in the environment: of each job and of each cluster policy."""
    jobs = desired(target.app, release, target.environment)
    return {**desired_policies(target.app, release, target.environment), **jobs}


def deploy(target: Target, release: Release) -> EnvironmentState:
    """Bring the environment to a release, whole or not at all. Raise HeadwayError."""
    with target.ledger.locked(target.clock) as hold:
        finish_interrupted(target, hold)
        examine(target.store, target.app, target.environment, target.connection, release, target.emit)
        bring_artifacts(target, release)
        return change(target, release, everything(target, release), hold)


def bring(target: Target, release: Release) -> None:
    """The first half of `deploy`: the artifacts, side by side with those that stand; no job changes."""
    with target.ledger.locked(target.clock) as hold:
        finish_interrupted(target, hold)
        examine(target.store, target.app, target.environment, target.connection, release, target.emit)
        bring_artifacts(target, release)


def deploy_brought(target: Target, release: Release, approved: str | None = None) -> EnvironmentState:
    """The second half: plan and apply. `approved` is the digest of the plan that somebody accepted.

    Raise HeadwayError STATE_MOVED where that is not the plan any more; nothing was changed then.
    """
    wanted = everything(target, release)
    with target.ledger.locked(target.clock) as hold:
        finish_interrupted(target, hold)
        if approved is not None and make_plan(target, release, wanted).digest != approved:
            what = "the plan is not the approved one any more"
            raise HeadwayError("STATE_MOVED", environment=target.environment.name, what=what)
        return change(target, release, wanted, hold)


def deploy_plan(target: Target, release: Release, planned: Plan, path: str) -> EnvironmentState:
    """Apply exactly this plan, or raise HeadwayError PLAN_MOVED, which says what moved since it was made. `path` is
    where it was read from, for messages."""
    name = target.environment.name
    mine = (target.app.name, name, str(release.version))
    if (planned.app, planned.environment, planned.version) != mine:
        made = f"it was made for {planned.app} {planned.version} in {planned.environment}, not for {' '.join(mine)}"
        raise HeadwayError("PLAN_INVALID", path=path, reason=made)
    with target.ledger.locked(target.clock) as hold:
        left = target.ledger.unfinished()
        if left:
            what = f"deployment {left[0].id} to {left[0].version} was interrupted: `headway resume {name}` ends it"
            raise HeadwayError("PLAN_MOVED", environment=name, path=path, what=what)
        _require_unmoved(target, release, planned, path)
        examine(target.store, target.app, target.environment, target.connection, release, target.emit)
        bring_artifacts(target, release)
        return change(target, release, planned.settings, hold, planned=planned, path=path)


def _require_unmoved(target: Target, release: Release, planned: Plan, path: str) -> Plan:
    state, name = target.ledger.state(), target.environment.name
    if state.serial != planned.serial:
        newer = [entry for entry in state.history if entry.at][-1:]
        last = f"; deployment {newer[0].deployment} brought {newer[0].version} at {newer[0].at}" if newer else ""
        what = f"its state is number {state.serial}, it was {planned.serial}{last}"
        raise HeadwayError("PLAN_MOVED", environment=name, path=path, what=what)
    present = make_plan(target, release, planned.settings)
    told = moved(planned, present)
    if told:
        more = f"; and {len(told) - 10} more" if len(told) > 10 else ""
        raise HeadwayError("PLAN_MOVED", environment=name, path=path, what="; ".join(told[:10]) + more)
    return present


def bring_artifacts(target: Target, release: Release) -> None:
    """Publish the release's artifacts to the workspace and copy them to where jobs read them."""
    name = target.environment.name
    require_kept(target.store, release)
    with step(target.emit, "publish", f"{len(release.artifacts)} artifacts to {target.connection.host}", name) as note:
        paths = publish(target.connection, target.app, release, target.store, target.emit)
        note.detail = ", ".join(paths)
    with step(target.emit, "copy", f"to {target.app.deploy.target}/{target.app.name}", name) as note:
        run = copy_to_jobs(target.connection, target.app, release, target.store, target.clock, target.emit)
        note.outcome = "ok" if run else "skipped"
        note.detail = f"deployJar run {run.run_id}, digests checked" if run else "the same bytes are there"


def change(
    target: Target,
    release: Release | None,
    wanted: Mapping[str, Settings],
    hold: Hold,
    *,
    kind: Kind = "deploy",
    planned: Plan | None = None,
    path: str = "",
) -> EnvironmentState:
    """Plan and apply; the caller holds the environment's lock. Nothing to change means that nothing is written to the
    workspace, and nothing to the ledger where it already says so."""
    name = target.environment.name
    with step(target.emit, "plan", f"{release.version if release else '(nothing)'}", name) as note:
        if planned is not None and release is not None:
            plan = _require_unmoved(target, release, planned, path)
        else:
            plan = make_plan(target, release, wanted)
        target.emit(Planned(plan.to_json(), as_text(plan)))
        note.detail = summary(plan)
    state = target.ledger.state()
    if plan.empty and state.version == plan.version and state.artifacts == _digests(release):
        return state
    with step(target.emit, "apply", summary(plan), name) as note:
        hold.check()
        deployment = Deployment(
            id=target.ledger.next_id(),
            app=target.app.name,
            environment=name,
            version=plan.version,
            previous=state.version,
            owner=owner(),
            started_at=stamp(target.clock.now()),
            outcome="running",
            steps=tuple(journal_step(entry) for entry in plan.steps),
            settings=wanted,
            artifacts=_digests(release),
            kind=kind,
        )
        journal = target.ledger.open(deployment, target.clock)
        ended = apply(target, journal, hold)
        note.detail = f"deployment {ended.id}: {summary(plan)}"
    return target.ledger.state()


def apply(target: Target, journal: Journal, hold: Hold) -> Deployment:
    """Do every step of a journalled deployment that is not done, and commit it. Return it converged.

    Raise HeadwayError APPLY_FAILED when a step failed and all was taken back, ROLLBACK_FAILED when that failed too,
    INTERRUPTED when somebody asked to stop (it stays as it is, and can be resumed), LOCK_LOST.
    """
    with target.stopping.gracefully() as stop:
        site = Site(target, journal, hold, stop)
        try:
            go_forward(site)
        except StepFailed as failed:
            journal.write("back", message=failed.cause.message)
            _stoppable(site, lambda: take_back(site))
            made = journal.deployment
            raise HeadwayError(
                "APPLY_FAILED",
                version=made.version,
                environment=made.environment,
                reason=failed.cause.message,
                outcome=f"Every job was taken back (deployment {made.id})",
            ) from failed.cause
        except Stopped:
            _interrupted(site)
        return commit(target, journal, hold)


def _stoppable(site: Site, act: Any) -> None:
    try:
        act()
    except Stopped:
        _interrupted(site)


def _interrupted(site: Site) -> None:
    site.journal.write("interrupted", message="somebody asked to stop")
    made = site.deployment()
    settled = "taken back" if made.direction == "back" else "done"
    done = sum(step.status == settled for step in made.steps)
    raise HeadwayError("INTERRUPTED", done=done, all=len(made.steps), id=made.id, environment=made.environment)


def commit(target: Target, journal: Journal, hold: Hold) -> Deployment:
    """Make a deployment the environment's state. From the journal's `commit` on it is only ever finished, by
    whomever."""
    hold.check()
    if not journal.deployment.committed:
        journal.write("commit")
    made, state = journal.deployment, target.ledger.state()
    if state.deployment != made.id:
        target.ledger.write(following(state, made))
    return journal.end("converged")


def finish_interrupted(target: Target, hold: Hold, way: Way = "back") -> Deployment | None:
    """End what a killed or interrupted deployer left, so that the environment is all old or all new; return it, ended.
    None where nothing was left.

    What was committed, or has nothing left but deletions, is finished; what was being taken back, is taken back; else
    `way` decides. Raise HeadwayError as `apply` does.
    """
    for left in target.ledger.unfinished():
        journal = target.ledger.take_over(left, target.clock)
        made = journal.deployment
        if made.committed or target.ledger.state().deployment == made.id:
            return commit(target, journal, hold)
        forward = made.direction == "forward" and (way == "forward" or _only_deletions_left(made))
        what = f"{'going on with' if forward else 'taking back'} the interrupted deployment {made.id}"
        with step(target.emit, "apply" if forward else "rollback", what, target.environment.name):
            if forward:
                return apply(target, journal, hold)
            with target.stopping.gracefully() as stop:
                site = Site(target, journal, hold, stop)
                if made.direction == "forward":
                    journal.write("back", message="it was interrupted")
                _stoppable(site, lambda site=site: take_back(site))
            return journal.deployment
    return None


def _only_deletions_left(made: Deployment) -> bool:
    deletions = ("delete", "delete policy")
    begun = any(step.action in deletions and step.status != "planned" for step in made.steps)
    return begun and all(step.status == "done" for step in made.steps if step.action not in deletions)


def resume(target: Target, way: Way = "forward") -> tuple[Deployment | None, EnvironmentState]:
    """End what was interrupted, by going on with it or by taking it back; return it, and the state then. Raise
    HeadwayError."""
    with target.ledger.locked(target.clock) as hold:
        ended = finish_interrupted(target, hold, way)
        return ended, target.ledger.state()


def job_ids(target: Target) -> dict[str, int]:
    """The environment's jobs by key, as they stand in the workspace."""
    return {job.key: job.job_id for job in observe(target.connection, target.app, target.environment)}


def require_standing(target: Target) -> str:
    """The version that stands in the environment. Raise HeadwayError NOTHING_DEPLOYED."""
    version = target.ledger.state().version
    if version is None:
        raise HeadwayError("NOTHING_DEPLOYED", environment=target.environment.name)
    return version
