"""Apply the steps of a deployment: journalled before and after each call, concurrent, phase by phase.

A phase begins when the one before it has ended. Jobs are deleted last, because a deleted job cannot be had back with
its number and history. `delivery.taking_back` goes the other way.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headway.core.errors import HeadwayError
from headway.core.events import Progress
from headway.core.jobfiles import PRINCIPALS
from headway.core.ledger import Deployment, JournalStep
from headway.core.pacing import MOST
from headway.core.plan import (
    PERMISSIONS,
    TAG_APP,
    TAG_ENVIRONMENT,
    TAG_JOB,
    CreateJob,
    DeleteJob,
    ResetJob,
    RestartJob,
    SetPermissions,
    Step,
)
from headway.core.references import POLICY, job_references, with_job_ids
from headway.core.steps import DeletePolicy, SetPolicy
from headway.delivery import streaming
from headway.delivery.calling import Caller
from headway.delivery.journal import Journal
from headway.delivery.locking import Hold
from headway.delivery.observing import OWNER
from headway.delivery.policies import delete_policy, set_policy
from headway.delivery.target import Target

PHASES = (
    ("set policy",),
    ("create", "reset", "adopt"),
    ("permissions",),
    ("restart",),
    ("delete",),
    ("delete policy",),
)


def journal_step(step: Step) -> JournalStep:
    """A step of a plan as the journal holds it before it is done."""
    match step:
        case CreateJob(key, after):
            return JournalStep("create", key, None, None, after)
        case ResetJob(key, job_id, before, after):
            return JournalStep(step.action, key, job_id, before, after)
        case DeleteJob(key, job_id, before):
            return JournalStep("delete", key, job_id, before, None)
        case SetPermissions(key, job_id, before, after):
            old = None if job_id is None else {PERMISSIONS: list(before)}
            return JournalStep("permissions", key, job_id, old, {PERMISSIONS: list(after)})
        case RestartJob(key, job_id):
            return JournalStep("restart", key, job_id, None, None)
        case SetPolicy(key, before, after):
            return JournalStep("set policy", key, None, before, after)
        case DeletePolicy(key, before):
            return JournalStep("delete policy", key, None, before, None)


class Stopped(Exception):
    """Somebody asked to stop; what was under way has ended."""


class StepFailed(Exception):
    """A step failed for good. `cause` says with what."""

    def __init__(self, step: JournalStep, cause: HeadwayError) -> None:
        super().__init__(cause.message)
        self.step, self.cause = step, cause


class Site:
    """Where the steps of one deployment are done, forward or back."""

    def __init__(self, target: Target, journal: Journal, hold: Hold, stop: Callable[[], bool]) -> None:
        self.target, self.journal, self.hold, self.stop = target, journal, hold, stop
        self.caller = Caller(target.connection, target.clock, target.emit)

    def deployment(self) -> Deployment:
        """As it stands by now."""
        return self.journal.deployment

    def all(self, numbers: Sequence[int], act: Callable[[int], None]) -> None:
        """Act on each of these steps, many at once. After the first failure no further one begins. Raise what was
        raised first, Stopped where that was asked for."""
        failed: list[BaseException] = []

        def guarded(number: int) -> None:
            if failed or self.stop():
                return
            try:
                act(number)
            except BaseException as error:  # noqa: BLE001  (handed on below, once all that is under way has ended)
                failed.append(error)

        with ThreadPoolExecutor(max(1, min(int(MOST), len(numbers)))) as pool:
            list(pool.map(guarded, numbers))
        if failed:
            raise failed[0]
        if self.stop():
            raise Stopped

    def may_write(self) -> None:
        """Raise HeadwayError LOCK_LOST where the environment is in other hands."""
        self.hold.check()

    # calls

    def find(self, key: str, name: str) -> int | None:
        """The job of a key, by the tags that it was created with; None where there is none."""
        target = self.target
        answer = self.caller.get("/api/2.2/jobs/list", {"name": name, "limit": 100}, f"jobs/list {name}")
        for job in reversed(answer.get("jobs") or ()):
            tags = (job.get("settings") or {}).get("tags") or {}
            if (tags.get(TAG_APP), tags.get(TAG_ENVIRONMENT), tags.get(TAG_JOB)) == (
                target.app.name,
                target.environment.name,
                key,
            ):
                return int(job["job_id"])
        return None

    def create(self, key: str, settings: Any, look_first: bool) -> int:
        """Create a job, or find the one that an earlier attempt created."""
        name = str(settings.get("name", ""))

        def find() -> int | None:
            return self.find(key, name)

        found = find() if look_first else None
        if found is not None:
            return self.reset(found, settings, key)
        token = hashlib.sha256(f"{self.target.app.name}/{self.deployment_token()}/{key}".encode()).hexdigest()[:48]
        return self.caller.create({**settings, "idempotency_token": token}, f"jobs/create {key}", find)

    def deployment_token(self) -> str:
        """What makes this deployment's idempotency tokens its own."""
        made = self.journal.deployment
        return f"{self.target.environment.name}/{made.id}/{made.started_at}/{made.direction}"

    def reset(self, job_id: int, settings: Any, key: str) -> int:
        """Put new settings in the place of the old ones."""
        body = {"job_id": job_id, "new_settings": dict(settings)}
        self.caller.write("POST", "/api/2.2/jobs/reset", body, f"jobs/reset {key}")
        return job_id

    def tag(self, job_id: int, tags: Any, key: str) -> int:
        """Put these tags in the place of the old ones, and leave everything else of the job untouched."""
        body = {"job_id": job_id, "new_settings": {"tags": dict(tags)}}
        self.caller.write("POST", "/api/2.2/jobs/update", body, f"jobs/update {key}")
        return job_id

    def permit(self, job_id: int, rights: Sequence[Any], key: str) -> None:
        """Give a job exactly these permissions. Its owner stays, unless they name one."""
        path = f"/api/2.0/permissions/jobs/{job_id}"
        entries = [{**{who: r[who] for who in PRINCIPALS if who in r}, "permission_level": r["level"]} for r in rights]
        if not any(right["level"] == OWNER for right in rights):
            present = self.caller.get(path, {}, f"permissions/jobs/{job_id}")
            entries += [
                {**{who: entry[who] for who in PRINCIPALS if entry.get(who)}, "permission_level": OWNER}
                for entry in present.get("access_control_list") or ()
                if any(r["permission_level"] == OWNER and not r.get("inherited") for r in entry["all_permissions"])
            ]
        self.caller.write("PUT", path, {"access_control_list": entries}, f"permissions of {key}")


def go_forward(site: Site) -> None:
    """Do every step that is not done yet. Steps that were begun before and whose end is not known are done again: each
    may be.

    Raise StepFailed for the first that failed, Stopped where that was asked for, HeadwayError LOCK_LOST.
    """
    for phase in PHASES:
        steps = site.deployment().steps
        numbers = [n for n, step in enumerate(steps) if step.action in phase and step.status in ("planned", "begun")]
        for wave in _waves(steps, numbers):
            site.all(wave, lambda number: _forward(site, number))


def _waves(steps: Sequence[JournalStep], numbers: Sequence[int]) -> Iterator[list[int]]:
    """The steps in groups: a job whose settings name the number of another one comes after that one's creation."""
    waiting = list(numbers)
    needed = {number: job_references(steps[number].after) for number in waiting}
    while waiting:
        coming = {steps[number].key for number in waiting if steps[number].action == "create"}
        ready = [number for number in waiting if not coming.intersection(needed[number])]
        yield ready or waiting
        waiting = [number for number in waiting if number not in set(ready)] if ready else []


def _forward(site: Site, number: int) -> None:
    made = site.deployment()
    step = made.steps[number]
    again = step.status == "begun"
    site.may_write()
    site.journal.write("begun", number, message=_found_before(site, step))
    try:
        if step.action in ("set policy", "delete policy"):
            policy = _do_policy(site, step)
            site.journal.note("done", number, message=policy)
            site.target.emit(Progress(f"{step.action} {step.key.removeprefix(POLICY)} ({policy})"))
            return
        job_id = _do(site, made, step, again, number)
    except HeadwayError as error:
        if error.code == "LOCK_LOST":
            raise
        site.journal.note("failed", number, message=error.message)
        raise StepFailed(step, error) from error
    site.journal.note("done", number, job_id=job_id)
    site.target.emit(Progress(f"{step.action} {step.key} (job {job_id})"))


def _do_policy(site: Site, step: JournalStep) -> str:
    """The number of the policy that was set; the journal keeps it for the jobs that refer to it."""
    if step.after is not None:
        return set_policy(site.caller, step.key, step.before, step.after)
    before = step.before or {}
    delete_policy(site.caller, step.key, str(before["name"]))
    return str(before["policy_id"])


def _job_id(site: Site, step: JournalStep) -> int:
    """A step's job; that of the same key's creation where the plan created it."""
    if step.job_id is not None:
        return step.job_id
    for other in site.deployment().steps:
        if other.key == step.key and other.job_id is not None:
            return other.job_id
    raise ValueError(f"{step.action} of {step.key} before its job was created")


def _found_before(site: Site, step: JournalStep) -> str:
    """What a restart finds when it begins first: the runs that it drains. Kept in the journal, because afterwards
    nobody could tell that there were any."""
    if step.action != "restart" or step.message or step.job_id is None:
        return step.message
    runs = streaming.active_runs(site.caller, _job_id(site, step))
    return "was running" if runs else "was idle"


def _do(site: Site, made: Deployment, step: JournalStep, again: bool, number: int) -> int:
    match step.action:
        case "create":
            return site.create(step.key, numbered(site, step.after), look_first=again)
        case "adopt" if only_tags_differ(step):
            return site.tag(_job_id(site, step), (step.after or {})["tags"], step.key)
        case "reset" | "adopt":
            return site.reset(_job_id(site, step), numbered(site, step.after), step.key)
        case "permissions":
            job_id = _job_id(site, step)
            site.permit(job_id, (step.after or {})[PERMISSIONS], step.key)
            return job_id
        case "delete":
            job_id = _job_id(site, step)
            site.caller.delete(job_id, f"jobs/delete {step.key}")
            return job_id
        case "restart":
            job_id = _job_id(site, step)
            restart(site, step.key, job_id, made.settings.get(step.key, {}), site.deployment().steps[number].message)
            return job_id
        case "set policy" | "delete policy":
            raise ValueError(f"{step.action} is no step of a job")


def numbered(site: Site, settings: Any) -> Any:
    """Settings with the numbers of the jobs that this deployment has created meanwhile."""
    if not job_references(settings):
        return settings
    steps = site.deployment().steps
    made: dict[str, int | str] = {step.key: step.job_id for step in steps if step.job_id is not None}
    made |= {step.key: step.message for step in steps if step.action == "set policy" and step.status == "done"}
    return with_job_ids(settings, made)


def only_tags_differ(step: JournalStep) -> bool:
    """Whether a step changes nothing but a job's tags: then nothing else of it is sent."""
    before, after = step.before or {}, step.after or {}
    return {**before, "tags": None} == {**after, "tags": None}


def restart(site: Site, key: str, job_id: int, settings: Any, found: str) -> None:
    """Drain a stream, start it again, watch it. A stream that stood still (`found` is `was idle`) stays so, unless it
    is continuous. Raise HeadwayError."""
    continuous = isinstance(settings.get("continuous"), dict) and settings["continuous"].get("pause_status") != "PAUSED"
    before = streaming.active_runs(site.caller, job_id)
    clock, emit = site.target.clock, site.target.emit
    if found == "was idle" and not before and not continuous:
        return
    if found == "" and not continuous:
        return  # a new job: nothing streams yet
    if found:  # else it is new and continuous: the workspace starts it
        emit(Progress(f"{key}: draining {len(before)} run(s)"))
        streaming.drain(site.caller, clock, job_id, before)
    else:
        before = []
    token = hashlib.sha256(f"{site.deployment_token()}/restart/{key}/{before}".encode()).hexdigest()[:48]
    run_id = streaming.start(site.caller, clock, job_id, continuous, token, before)
    settle = site.target.app.deploy.settle_seconds
    streaming.watch_running(site.caller, clock, run_id, key, emit, settle)
