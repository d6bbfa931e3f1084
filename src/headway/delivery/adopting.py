"""Take over jobs that a workspace has already: they keep their numbers and their run history, nothing is created."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from headway.adapters.clock import stamp
from headway.core.adoption import Candidate, Circumstances, Selection, candidates
from headway.core.application import Application, JobDefinition
from headway.core.diagnostics import Diagnostic
from headway.core.errors import HeadwayError
from headway.core.fields import kept, sendable
from headway.core.jobfiles import check_jobs, read_jobs
from headway.core.jobwriting import as_yaml
from headway.core.ledger import Deployment, EnvironmentState
from headway.core.plan import PERMISSIONS, TAG_APP, TAG_ENVIRONMENT, TAG_JOB, Settings, desired, differences
from headway.core.references import found_in, with_job_ids
from headway.core.release import Release, Version
from headway.core.steps import AdoptJob
from headway.delivery.applying import journal_step
from headway.delivery.configuration import known_fields
from headway.delivery.deploying import apply, finish_interrupted
from headway.delivery.ledger import owner
from headway.delivery.observing import list_jobs, read_permissions
from headway.delivery.steps import step
from headway.delivery.target import Target


@dataclass(frozen=True)
class Proposal:
    """What adoption would do: `seen` jobs were looked at; `texts` are the files to write, by path."""

    seen: int
    candidates: tuple[Candidate, ...]
    texts: Mapping[str, str]
    wanted: Mapping[str, Settings]

    @property
    def refused(self) -> tuple[Candidate, ...]:
        """Those that cannot be taken over."""
        return tuple(found for found in self.candidates if found.problems)


@dataclass(frozen=True)
class Wishes:
    """How jobs are taken over. `differing`: also those that their definition would change. `permissions`: also who may
    do what with them is written."""

    selection: Selection
    from_bundle: bool = False
    differing: bool = False
    permissions: bool = False


def propose(target: Target, wishes: Wishes, release: Release | None) -> Proposal:
    """What would become of the jobs that are meant. `release` is the last one, for definitions that refer to it. Reads
    only. Raise HeadwayError."""
    state = target.ledger.state()
    ours = {job_id: key for key, job_id in state.jobs.items()}
    jobs = list_jobs(target.connection)
    there = {job_id for job_id, _ in jobs}
    unknown = [job_id for job_id in wishes.selection.ids if job_id not in there]
    if unknown:
        missing = ", ".join(map(str, unknown))
        raise HeadwayError("ADOPT_NO_SUCH_JOB", host=target.connection.host, jobs=missing)
    meant = [
        (job_id, settings)
        for job_id, settings in jobs
        if job_id not in ours and not _tagged(target, settings) and wishes.selection.takes(job_id, settings)
    ]
    if wishes.permissions:
        meant = [
            (job_id, {**settings, PERMISSIONS: read_permissions(target.connection, job_id)})
            for job_id, settings in meant
        ]
    around = Circumstances(target.app, target.environment, known_fields(), ours, wishes.from_bundle)
    found = candidates(meant, around)
    texts = {
        entry.file: as_yaml(
            entry.key, entry.definition, f"Adopted from job {entry.job_id} of {target.environment.name}."
        )
        for entry in found
        if entry.definition is not None and entry.file
    }
    app, problems = _with_files(target.app, texts)
    wanted = _desired(app, target, release, found)
    checked = tuple(_checked(entry, target, app, problems, wanted, wishes, release, found) for entry in found)
    good = {entry.key for entry in checked if not entry.problems}
    return Proposal(
        len(jobs),
        checked,
        {entry.file: texts[entry.file] for entry in checked if entry.file in texts and entry.key in good},
        {key: settings for key, settings in wanted.items() if key in good},
    )


def _tagged(target: Target, settings: Settings) -> bool:
    tags = settings.get("tags") or {}
    mine = (target.app.name, target.environment.name)
    if tags.get(TAG_APP) == mine[0] and "headway_role" in tags:
        return True  # deployJar, which is no job of the application
    return (tags.get(TAG_APP), tags.get(TAG_ENVIRONMENT)) == mine and TAG_JOB in tags


def _with_files(app: Application, texts: Mapping[str, str]) -> tuple[Application, dict[str, list[Diagnostic]]]:
    """The application as it is with these files too, and what its own checks say of them, by file."""
    jobs, problems = read_jobs(texts, known_fields())
    merged = replace(app, jobs={**app.jobs, **jobs}) if jobs else app
    found: dict[str, list[Diagnostic]] = {}
    for problem in (*problems, *(check_jobs(merged) if jobs else ())):
        found.setdefault(problem.location.file, []).append(problem)
    return merged, found


def _desired(
    app: Application, target: Target, release: Release | None, found: tuple[Candidate, ...]
) -> dict[str, Settings]:
    """What the definitions of these jobs would deploy."""
    defined = app.jobs_in(target.environment)
    keys = {entry.key for entry in found} & set(defined)
    comparable = {key: defined[key] for key in keys if release is not None or not _needs_release(defined[key])}
    few = replace(app, jobs=comparable)
    environment = replace(target.environment, jobs=comparable if target.environment.jobs is not None else None)
    at = "2000-01-01T00:00:00Z"
    stand_in = Release(app.name, Version(0, 0, 0), "", "", "", "", at, app.spark, "", "", {}, ())
    # Every job may be referred to, not only those.
    known = replace(
        few, jobs={**{key: JobDefinition(key, {"name": ""}, defined[key].location) for key in defined}, **comparable}
    )
    if environment.jobs is not None:
        environment = replace(environment, jobs=known.jobs)
    everything = desired(known, release or stand_in, environment)
    return {key: everything[key] for key in comparable}


def _needs_release(job: JobDefinition) -> bool:
    return any(found.name.startswith(("release.", "artifact.")) for found in found_in(job.settings))


def _checked(
    entry: Candidate,
    target: Target,
    app: Application,
    problems: Mapping[str, list[Diagnostic]],
    wanted: Mapping[str, Settings],
    wishes: Wishes,
    release: Release | None,
    found: tuple[Candidate, ...],
) -> Candidate:
    """The candidate, with what its definition would change: nothing may be left out or altered."""
    if entry.problems:
        return entry
    told = [f"{problem.path}: {problem.message}" for problem in problems.get(entry.file, ())]
    settings = wanted.get(entry.key)
    if told:
        return replace(entry, problems=tuple(told))
    if settings is None:
        defined = app.jobs_in(target.environment)[entry.key].location
        why = f"{defined} refers to a release, and there is none: make one first"
        return replace(entry, problems=(why,))
    ids = {**target.ledger.state().jobs, **{other.key: other.job_id for other in found}}
    after = kept(entry.settings, with_job_ids(settings, ids))
    changed = [change for change in differences(entry.settings, after) if not change.path.startswith("tags.headway_")]
    if not changed:
        return entry
    lines = tuple(f"{change.path}: {change.before} → {change.after}" for change in changed[:10])
    if entry.definition is None and wishes.differing:
        return replace(entry, notes=(*entry.notes, *(f"its first deploy changes {line}" for line in lines)))
    where = "cannot be carried" if entry.definition is not None else "its definition differs"
    return replace(entry, problems=tuple(f"{where}: {line}" for line in lines))


def adopt(
    target: Target, root: Path, wishes: Wishes, release: Release | None, *, skip: bool = False
) -> tuple[Proposal, EnvironmentState]:
    """Take the jobs over: write their files below `root`, tag them, record them in the ledger.

    Killed anywhere it may be done again. Raise HeadwayError ADOPT_REFUSED where one cannot be taken over (unless `skip`
    leaves it), ADOPT_NOTHING; nothing is changed then.
    """
    name = target.environment.name
    with target.ledger.locked(target.clock) as hold:
        finish_interrupted(target, hold)
        proposal = propose(target, wishes, release)
        if proposal.refused and not skip:
            told = "; ".join(f"job {entry.job_id}: {entry.problems[0]}" for entry in proposal.refused[:5])
            raise HeadwayError("ADOPT_REFUSED", environment=name, count=len(proposal.refused), problems=told)
        taken = [entry for entry in proposal.candidates if not entry.problems]
        if not taken:
            raise HeadwayError("ADOPT_NOTHING", environment=name, host=target.connection.host)
        _require_free(root, proposal.texts)
        with step(target.emit, "apply", f"{len(taken)} jobs", name) as note:
            for file, text in proposal.texts.items():
                path = root / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            hold.check()
            state = target.ledger.state()
            recorded = target.ledger.deployment(state.deployment).settings if state.deployment else {}
            deployment = Deployment(
                id=target.ledger.next_id(),
                app=target.app.name,
                environment=name,
                version=state.version,
                previous=state.version,
                owner=owner(),
                started_at=stamp(target.clock.now()),
                outcome="running",
                steps=tuple(journal_step(_step(target, entry)) for entry in taken),
                settings={**recorded, **{entry.key: proposal.wanted[entry.key] for entry in taken}},
                artifacts=state.artifacts,
                kind="adopt",
            )
            ended = apply(target, target.ledger.open(deployment, target.clock), hold)
            note.detail = (
                f"deployment {ended.id}: {len(taken)} jobs tagged and recorded, {len(proposal.texts)} files written"
            )
        return proposal, target.ledger.state()


def _require_free(root: Path, texts: Mapping[str, str]) -> None:
    taken = [file for file, text in texts.items() if (root / file).exists() and (root / file).read_text() != text]
    if taken:
        raise HeadwayError("ADOPT_FILE_EXISTS", files=", ".join(taken))


def _step(target: Target, entry: Candidate) -> AdoptJob:
    """Only tags change; of a job that a bundle had locked, also that."""
    own = {TAG_APP: target.app.name, TAG_ENVIRONMENT: target.environment.name, TAG_JOB: entry.key}
    before = sendable(entry.settings)
    after = {**before, "tags": {**(before.get("tags") or {}), **own}}
    if entry.settings.get("deployment"):
        lock = {key: entry.settings[key] for key in ("deployment", "edit_mode") if key in entry.settings}
        before = {**before, **lock}
    return AdoptJob(entry.key, entry.job_id, before, after, (), "it is taken over")
