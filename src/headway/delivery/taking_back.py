"""Take a deployment back: every job as it stood before its first call, whatever was done, half done or not begun."""

from collections.abc import Mapping
from typing import Any

from headway.core.errors import HeadwayError
from headway.core.events import Progress
from headway.core.ledger import Deployment, JournalStep
from headway.core.plan import PERMISSIONS, ObservedJob, differences
from headway.core.policies import policy_changes
from headway.delivery.applying import Site, numbered, only_tags_differ, restart
from headway.delivery.observing import observe, read_permissions
from headway.delivery.policies import delete_policy, observed_policies, set_policy, with_policy


def take_back(site: Site) -> Deployment:
    """Bring every job back whose step was begun. What stands is observed first, and what stands right is not touched.

    Return the deployment, rolled back. Raise HeadwayError ROLLBACK_FAILED, which says what stands where; Stopped.
    """
    there = _there(site)
    problems: dict[str, str] = {}
    steps = site.deployment().steps

    def undo(number: int) -> None:
        step = steps[number]
        try:
            if _undo(site, number, step, there.get(step.key, [])):
                site.target.emit(Progress(f"taken back: {step.action} {step.key}"))
        except HeadwayError as error:
            if error.code == "LOCK_LOST":
                raise
            problems[step.key] = error.message
            site.journal.note("not undone", number, message=error.message)

    # Policies stand as they were before the jobs that go by them do, and those that were created go last.
    for phase in (_policies_back, _jobs, _permissions, _restarts, _created_policies):
        begun = [n for n, s in enumerate(steps) if phase(s) and s.status in ("begun", "done", "failed")]
        site.all([n for n in begun if steps[n].key not in problems], undo)
    if not problems:
        return site.journal.end("rolled back")
    ended = site.journal.end("mixed", "; ".join(f"{key}: {why}" for key, why in sorted(problems.items())))
    raise HeadwayError(
        "ROLLBACK_FAILED",
        environment=site.target.environment.name,
        reason="; ".join(f"{key}: {why}" for key, why in sorted(problems.items())),
        standing=standing(site, ended),
    )


def _policies_back(step: JournalStep) -> bool:
    return step.action in ("set policy", "delete policy") and step.before is not None


def _created_policies(step: JournalStep) -> bool:
    return step.action == "set policy" and step.before is None


def _jobs(step: JournalStep) -> bool:
    return step.action in ("create", "reset", "adopt", "delete")


def _permissions(step: JournalStep) -> bool:
    return step.action == "permissions"


def _restarts(step: JournalStep) -> bool:
    return step.action == "restart"


def _there(site: Site) -> dict[str, list[ObservedJob]]:
    known = {step.key: step.job_id for step in site.deployment().steps if step.job_id is not None}
    found: dict[str, list[ObservedJob]] = {}
    target = site.target
    for job in observe(target.connection, target.app, target.environment, known):
        found.setdefault(job.key, []).append(job)
    return found


def _undo(site: Site, number: int, step: JournalStep, there: list[ObservedJob]) -> bool:
    """Bring one step back; whether anything had to be done."""
    site.may_write()
    match step.action:
        case "create":
            for job in there:
                site.journal.write("undoing", number)
                site.caller.delete(job.job_id, f"jobs/delete {step.key}")
            site.journal.note("undone", number)
            return bool(there)
        case "permissions":
            return _undo_permissions(site, number, step, there)
        case "set policy" | "delete policy":
            return _undo_policy(site, number, step)
        case "restart":
            return _undo_restart(site, number, step, there)
    return _undo_settings(site, number, step, there)


def _undo_policy(site: Site, number: int, step: JournalStep) -> bool:
    """A policy that was deleted and comes back has another number; the journal says which."""
    present = observed_policies(site.target.connection, {step.key: step.before or step.after or {}})
    names = [str(settings["name"]) for settings in (step.after, step.before) if settings]
    there = next((present[name] for name in names if name in present), None)
    if step.before is None:
        site.journal.write("undoing", number)
        gone = delete_policy(site.caller, step.key, names[0])
        site.journal.note("undone", number)
        return gone
    if there is not None and not policy_changes(there, step.before):
        site.journal.note("undone", number, message=str(there["policy_id"]))
        return False
    site.journal.write("undoing", number)
    policy = set_policy(site.caller, step.key, there, step.before)
    site.journal.note("undone", number, message=policy)
    return True


def _policy_numbers(site: Site) -> dict[str, str]:
    """The new number of each policy that was deleted and brought back, by its old one."""
    return {
        str(step.before["policy_id"]): step.message
        for step in site.deployment().steps
        if step.action == "delete policy" and step.before and step.status == "taken back" and step.message
    }


def _undo_settings(site: Site, number: int, step: JournalStep, there: list[ObservedJob]) -> bool:
    before: Mapping[str, Any] = with_policy(dict(step.before or {}), _policy_numbers(site))
    job = next((job for job in there if job.job_id == step.job_id), None)
    # A job that was deleted and brought back has another number.
    recreated = there[0] if job is None and there else None
    job = job or recreated
    if job is not None and not differences(job.settings, before):
        site.journal.note("undone", number, job_id=job.job_id)
        return False
    site.journal.write("undoing", number)
    if job is not None and step.action == "adopt" and only_tags_differ(step):
        site.tag(job.job_id, before.get("tags") or {}, step.key)
        site.journal.note("undone", number, job_id=job.job_id)
    elif job is not None:
        site.reset(job.job_id, before, step.key)
        site.journal.note("undone", number, job_id=job.job_id)
    else:
        site.journal.note("undone", number, job_id=site.create(step.key, before, look_first=True))
    return True


def _undo_permissions(site: Site, number: int, step: JournalStep, there: list[ObservedJob]) -> bool:
    job_id = step.job_id
    if step.before is None or job_id is None or not any(job.job_id == job_id for job in there):
        site.journal.note("undone", number)  # with the job that was created
        return False
    before = step.before[PERMISSIONS]
    if sorted(map(str, read_permissions(site.target.connection, job_id, before))) == sorted(map(str, before)):
        site.journal.note("undone", number)
        return False
    site.journal.write("undoing", number)
    site.permit(job_id, before, step.key)
    site.journal.note("undone", number)
    return True


def _undo_restart(site: Site, number: int, step: JournalStep, there: list[ObservedJob]) -> bool:
    """A stream that ran before runs again, with its old settings."""
    if step.message != "was running" or step.job_id is None:
        site.journal.note("undone", number)
        return False
    settings: Mapping[str, object] = next(
        (other.before for other in site.deployment().steps if other.key == step.key and other.before), {}
    )
    site.journal.write("undoing", number, message=step.message)
    restart(site, step.key, step.job_id, settings, step.message)
    site.journal.note("undone", number)
    return True


def standing(site: Site, made: Deployment) -> str:
    """What stands where, job by job, for a person who must finish it: looked up, where the workspace lets itself be
    asked."""
    try:
        there: dict[str, list[ObservedJob]] | None = _there(site)
    except HeadwayError:
        there = None
    told = []
    for key in sorted({step.key for step in made.steps}):
        own = [step for step in made.steps if step.key == key]
        number = next((step.job_id for step in own if step.job_id is not None), None)
        if all(step.status in ("taken back", "planned") for step in own):
            what = f"as in {made.previous or 'the time before'}"
        else:
            failed = next((step for step in own if step.status == "failed"), own[0])
            what = f"{_seen(site, made, own, there)} ({failed.action}: {failed.message})"
        told.append(f"{key} ({'no job' if number is None else f'job {number}'}): {what}")
    return "; ".join(told)


def _seen(site: Site, made: Deployment, own: list[JournalStep], there: dict[str, list[ObservedJob]] | None) -> str:
    """Of one job that could not be taken back: which of the two it is like now."""
    old, new = f"as in {made.previous or 'the time before'}", f"as in {made.version or 'the new state'}"
    step = next((step for step in own if _jobs(step)), None)
    if there is None or step is None:
        return f"perhaps {new}"
    jobs = there.get(step.key, [])
    job = next((job for job in jobs if job.job_id == step.job_id), jobs[0] if jobs else None)
    if job is None:
        return f"{old if step.before is None else new}, it is not there"
    before = with_policy(dict(step.before or {}), _policy_numbers(site))
    if step.before is not None and not differences(job.settings, before):
        return old
    if step.after is not None and not differences(job.settings, numbered(site, step.after)):
        return new
    return "like neither of the two" if step.after is not None else old
