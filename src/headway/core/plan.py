"""The plan: the exact steps that bring an environment's jobs to what is wanted. Pure and total."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from headway.core.application import Application, Environment
from headway.core.fields import comparable, is_cosmetic, is_masked, kept, left_to_the_server, policy_clusters, sendable
from headway.core.references import meanings, resolve
from headway.core.release import Release
from headway.core.steps import (
    PERMISSIONS,
    TAG_APP,
    TAG_ENVIRONMENT,
    TAG_JOB,
    TAG_STREAMING,
    AdoptJob,
    ArtifactChange,
    Change,
    CreateJob,
    DeleteJob,
    ObservedJob,
    Orphan,
    Plan,
    ResetJob,
    RestartJob,
    SetPermissions,
    Settings,
    Step,
)

__all__ = [
    "PERMISSIONS",
    "TAG_APP",
    "TAG_ENVIRONMENT",
    "TAG_JOB",
    "TAG_STREAMING",
    "AdoptJob",
    "ArtifactChange",
    "Change",
    "CreateJob",
    "DeleteJob",
    "ObservedJob",
    "Orphan",
    "Plan",
    "ResetJob",
    "RestartJob",
    "SetPermissions",
    "Settings",
    "Step",
    "artifact_changes",
    "desired",
    "differences",
    "moved",
    "orphans",
    "plan_steps",
    "streams",
]

TRIGGERS = ("schedule", "trigger", "continuous")


def desired(app: Application, release: Release, environment: Environment) -> dict[str, Settings]:
    """The settings that each job should have: references resolved, prefix and tags added, the environment's pause
    status where the job says nothing of its own (as a bundle's `presets.trigger_pause_status`)."""
    known = meanings(app, release, environment)
    result: dict[str, Settings] = {}
    for key, job in app.jobs_in(environment).items():
        settings = resolve(dict(job.settings), known)
        own = {TAG_APP: app.name, TAG_ENVIRONMENT: environment.name, TAG_JOB: key}
        for name in TRIGGERS:
            given = settings.get(name)
            if environment.trigger_pause_status and isinstance(given, dict) and "pause_status" not in given:
                settings[name] = {**given, "pause_status": environment.trigger_pause_status}
        result[key] = {
            **settings,
            "name": f"{environment.prefix}{settings['name']}",
            "tags": {**settings.get("tags", {}), **own},
        }
    return result


def plan_steps(
    wanted: Mapping[str, Settings],
    observed: Sequence[ObservedJob],
    recorded: Mapping[str, Settings] | None = None,
    known: Mapping[str, int] | None = None,
    adopted: Collection[str] = (),
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The steps from `observed` to `wanted`, and the keys of the jobs that stay as they are.

    `adopted` are keys of jobs that were there before us and that no release has defined yet: these are never deleted.

    `recorded` are the settings that the last deployment left, `known` the ids of its jobs: they make the reasons exact.
    Where several observed jobs have one key (somebody copied one), one of them counts; the others are `orphans`.
    """
    there = _chosen(observed, known or {})
    steps: list[Step] = []
    unchanged: list[str] = []
    for key, settings in wanted.items():
        current = there.get(key)
        found = _create(key, settings, known or {}) if current is None else _change(current, settings, recorded or {})
        steps.extend(found)
        if not found:
            unchanged.append(key)
    gone = [job for key, job in there.items() if key not in wanted and key not in adopted]
    steps.extend(DeleteJob(job.key, job.job_id, job.settings, "this release does not define it") for job in gone)
    return tuple(steps), tuple(unchanged)


def _chosen(observed: Sequence[ObservedJob], known: Mapping[str, int]) -> dict[str, ObservedJob]:
    """The job of each key: the one that the ledger knows, else the oldest."""
    there: dict[str, ObservedJob] = {}
    for job in sorted(observed, key=lambda found: (known.get(found.key) != found.job_id, found.job_id)):
        there.setdefault(job.key, job)
    return there


def orphans(
    observed: Sequence[ObservedJob],
    known: Mapping[str, int] | None = None,
    adopted: Collection[str] = (),
) -> tuple[Orphan, ...]:
    """The observed jobs that no step touches although they have this environment's tags: copies, and those of the
    `adopted` keys, which no release defines."""
    there = _chosen(observed, known or {})
    left = "it was adopted, and this release does not define it yet; it is left alone"
    undefined = tuple(
        Orphan(key, job.job_id, str(job.settings.get("name", "")), left) for key, job in there.items() if key in adopted
    )
    return undefined + tuple(
        Orphan(
            job.key,
            job.job_id,
            str(job.settings.get("name", "")),
            f"a copy of {job.key} (job {there[job.key].job_id}) with the same tags; it is left alone",
        )
        for job in observed
        if job is not there[job.key]
    )


def _create(key: str, settings: Settings, known: Mapping[str, int]) -> list[Step]:
    reason = f"job {known[key]} is gone from the workspace" if key in known else "this release defines it"
    steps: list[Step] = [CreateJob(key, sendable(settings), reason)]
    if settings.get(PERMISSIONS):
        steps.append(SetPermissions(key, None, (), _permissions(settings), reason))
    if streams(settings):
        steps.append(RestartJob(key, None, "a new stream: it is watched until it progresses"))
    return steps


def _change(current: ObservedJob, settings: Settings, recorded: Mapping[str, Settings]) -> list[Step]:
    key, job_id = current.key, current.job_id
    if recorded.get(key, {}).get(PERMISSIONS) and PERMISSIONS in current.settings and not settings.get(PERMISSIONS):
        settings = {**settings, PERMISSIONS: []}  # we gave them, and this release does not: they are taken back
    after = kept(current.settings, settings)
    changes = _with_origin(differences(current.settings, after), recorded.get(key))
    own = tuple(change for change in changes if change.path != PERMISSIONS)
    steps: list[Step] = []
    if current.found_by == "ledger":
        reason = f"the ledger knows job {job_id} as {key}; its tags were removed by hand"
        steps.append(AdoptJob(key, job_id, sendable(current.settings), sendable(after), own, reason))
    elif own:
        steps.append(ResetJob(key, job_id, sendable(current.settings), sendable(after), own, _reason(own)))
    rights = tuple(change for change in changes if change.path == PERMISSIONS)
    if rights:
        old, new = _permissions(current.settings), _permissions(settings)
        steps.append(SetPermissions(key, job_id, old, new, _reason(rights)))
    if streams(settings) and any(not is_cosmetic(change.path) for change in own):
        steps.append(RestartJob(key, job_id, "it streams, and its settings change"))
    return steps


def _permissions(settings: Settings) -> tuple[Mapping[str, str], ...]:
    return tuple(settings.get(PERMISSIONS) or ())


def _reason(changes: tuple[Change, ...]) -> str:
    hand = sum(change.origin == "hand" for change in changes)
    if not hand:
        return "this release changes it"
    if hand == len(changes):
        return "it was changed by hand"
    return "this release changes it, and it was changed by hand"


def _with_origin(changes: tuple[Change, ...], recorded: Settings | None) -> tuple[Change, ...]:
    """A field that does not stand as the last deployment left it was changed by hand."""
    if recorded is None:
        return changes
    left = comparable(recorded)
    return tuple(
        Change(
            change.path, change.before, change.after, "release" if left.get(change.path) == change.before else "hand"
        )
        for change in changes
    )


def streams(settings: Settings) -> bool:
    """Whether a job is continuous (and not paused), or says by its tag that its run streams."""
    continuous = settings.get("continuous")
    if isinstance(continuous, Mapping) and continuous.get("pause_status") != "PAUSED":
        return True
    tags: Any = settings.get("tags") or {}
    return str(tags.get(TAG_STREAMING, "")).lower() == "true"


def differences(before: Settings, after: Settings) -> tuple[Change, ...]:
    """The fields that differ, by path, as `core.fields` weighs them. Permissions count only where `before` has them:
    they are read only where they are asked for."""
    old, new = comparable(before), comparable(after)
    if PERMISSIONS not in before or PERMISSIONS not in after:
        old.pop(PERMISSIONS, None)
        new.pop(PERMISSIONS, None)
    policies = tuple(policy_clusters(after))
    found = []
    for path in sorted({*old, *new}):
        left, right = old.get(path), new.get(path)
        if left == right or is_masked(left):
            continue
        if right is None and (left_to_the_server(path) or path.startswith(policies)):
            continue
        found.append(Change(path, left, right))
    return tuple(found)


def artifact_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ArtifactChange, ...]:
    """Which artifacts differ, by digest."""
    names = sorted({*before, *after})
    return tuple(
        ArtifactChange(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def moved(planned: Plan, present: Plan) -> tuple[str, ...]:
    """What stands differently now than when `planned` was made, job by job and field by field; `present` is the plan
    made now for the same settings. Empty where the planned steps are exactly right still."""
    old, new = _by_key(planned), _by_key(present)
    told: list[str] = []
    for key in sorted({*old, *new}):
        if old.get(key) == new.get(key):
            continue
        told.extend(_moved(key, old.get(key, ()), new.get(key, ())))
    return tuple(told)


def _by_key(plan: Plan) -> dict[str, tuple[Step, ...]]:
    found: dict[str, tuple[Step, ...]] = {}
    for step in plan.steps:
        found[step.key] = (*found.get(step.key, ()), step)
    return found


def _moved(key: str, old: tuple[Step, ...], new: tuple[Step, ...]) -> list[str]:
    before, now = _stood(old), _stood(new)
    if before is not None and now is not None:
        fields = differences(before, now)
        if fields:
            return [f"{key}: {change.path} was {change.before}, is {change.after}" for change in fields]
    names = ", ".join(step.action for step in old) or "nothing"
    present = ", ".join(step.action for step in new) or "nothing"
    changed = [change.path for step in new if isinstance(step, ResetJob) for change in step.changes]
    where = f" ({', '.join(changed)})" if changed and not old else ""
    return [f"{key}: planned was {names}, now it would be {present}{where}"]


def _stood(steps: tuple[Step, ...]) -> Settings | None:
    return next((step.before for step in steps if isinstance(step, ResetJob | DeleteJob)), None)
