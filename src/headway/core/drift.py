"""What of an environment does not stand as its last deployment left it. Pure.

Read from the plan that would bring back what the ledger recorded: so a deployment and this never disagree on what is a
difference.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from headway.core.fields import redacted
from headway.core.steps import (
    AdoptJob,
    CreateJob,
    DeleteJob,
    DeletePolicy,
    Plan,
    ResetJob,
    RestartJob,
    SetPermissions,
    SetPolicy,
    Step,
)

Kind = Literal["changed", "permissions", "gone", "untagged", "unknown", "copied", "artifact"]


@dataclass(frozen=True)
class Deviation:
    """One thing that is not as it was left: `left` is the value that the ledger knows, `stands` what there is now;
    `path` names the field, where it is one. `key` is the job's, or the artifact's name."""

    kind: Kind
    key: str
    job_id: int | None = None
    path: str = ""
    left: Any = None
    stands: Any = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """For machines; secrets are left out."""
        return {**asdict(self), "left": redacted(self.left, self.path), "stands": redacted(self.stands, self.path)}


@dataclass(frozen=True)
class Drift:
    """An environment against its ledger. `version` is None where nothing was deployed."""

    app: str
    environment: str
    version: str | None
    deployment: str | None
    jobs: int
    deviations: tuple[Deviation, ...]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "deviations": [entry.to_json() for entry in self.deviations]}


def deviations(back: Plan) -> tuple[Deviation, ...]:
    """What the plan `back` to the recorded state would undo."""
    found = [entry for step in back.steps for entry in _of(step)]
    found += [Deviation("copied", orphan.key, orphan.job_id, note=orphan.reason) for orphan in _copies(back)]
    return tuple(found)


def _copies(back: Plan) -> Iterator[Any]:
    return (orphan for orphan in back.orphans if orphan.reason.startswith("a copy of"))


def _of(step: Step) -> Iterator[Deviation]:
    match step:
        case CreateJob():
            yield Deviation("gone", step.key, note="the job was deleted from the workspace")
        case DeleteJob():
            name = str(step.before.get("name", ""))
            yield Deviation("unknown", step.key, step.job_id, note=f"{name} has our tags, but no deployment made it")
        case AdoptJob() | ResetJob():
            if isinstance(step, AdoptJob):
                yield Deviation("untagged", step.key, step.job_id, note="its tags were removed")
            for change in step.changes:
                if isinstance(step, AdoptJob) and change.path.startswith("tags."):
                    continue
                if change.origin == "release":
                    continue  # it stands as it was left: the number of a job that is gone, which is told by itself
                yield Deviation("changed", step.key, step.job_id, change.path, change.after, change.before)
        case SetPermissions() if step.job_id is not None:
            after, before = [dict(entry) for entry in step.after], [dict(entry) for entry in step.before]
            yield Deviation("permissions", step.key, step.job_id, "permissions", after, before)
        case SetPolicy() if step.before is None:
            yield Deviation("gone", step.key, note="the cluster policy was deleted from the workspace")
        case SetPolicy():
            for change in step.changes:
                yield Deviation("changed", step.key, None, change.path, change.after, change.before)
        case SetPermissions() | RestartJob() | DeletePolicy():
            return  # they come with a job that is created or changed, which is told


def as_text(drift: Drift) -> str:
    """For a terminal."""
    return "\n".join(_text(drift))


def _text(drift: Drift) -> Iterator[str]:
    if drift.deployment is None:
        yield f"{drift.environment}: nothing is deployed there"
        return
    title = f"{drift.app} {drift.version or '(nothing)'} in {drift.environment} (deployment {drift.deployment})"
    if not drift.deviations:
        yield f"{title}: no drift; {drift.jobs} jobs stand as they were left"
        return
    yield f"{title}: {len(drift.deviations)} thing(s) do not stand as they were left"
    key: str | None = None
    for entry in drift.deviations:
        if entry.key != key:
            key = entry.key
            yield f"  {key}" + (f"  (job {entry.job_id})" if entry.job_id is not None else "")
        yield f"      {_line(entry)}"
    yield f"`headway deploy {drift.environment} --version {drift.version}` brings back what was left; what shall stay"
    yield "belongs in the repository."


def _line(entry: Deviation) -> str:
    if entry.note:
        return f"{entry.kind}: {entry.note}"
    left, stands = (redacted(value, entry.path) for value in (entry.left, entry.stands))
    return f"{entry.path}: was left as {_shown(left)}, is {_shown(stands)}"


def _shown(value: Any) -> str:
    return "(not there)" if value is None else str(value)


def as_markdown(drift: Drift) -> str:
    """For an issue or a chat."""
    rows = [f"### Drift of {drift.app} in {drift.environment}: {len(drift.deviations) or 'none'}", ""]
    if drift.deviations:
        rows += ["| job | field | was left | stands |", "| --- | --- | --- | --- |"]
    for entry in drift.deviations:
        left, stands = (redacted(value, entry.path) for value in (entry.left, entry.stands))
        cells = (
            entry.key,
            entry.path or entry.kind,
            _shown(left) if not entry.note else "",
            entry.note or _shown(stands),
        )
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    for sign in "\\`*_[]|":
        text = text.replace(sign, "\\" + sign)
    return text.replace("<", "&lt;").replace("\n", " ")
