"""A plan for people: as text, and as Markdown for a pull request. Reads the very steps that are applied."""

from collections.abc import Iterator, Sequence

from headway.core.shapes import Group, groups, lines, name
from headway.core.steps import ArtifactChange, Plan

_NAMED = 6  # so many jobs of a group are named before the rest is counted
_WORDS = {
    "create": "to create",
    "reset": "to change",
    "adopt": "to adopt",
    "permissions": "to permit anew",
    "restart": "to restart",
    "delete": "to delete",
    "set policy": "policies to set",
    "delete policy": "policies to delete",
}


def summary(plan: Plan) -> str:
    """One line: how many jobs are created, changed, deleted, unchanged."""
    if plan.empty:
        return f"nothing to do: {len(plan.unchanged)} jobs are as they should be"
    counts = {action: sum(step.action == action for step in plan.steps) for action in _WORDS}
    parts = [f"{count} {_WORDS[action]}" for action, count in counts.items() if count]
    return ", ".join([*parts, f"{len(plan.unchanged)} unchanged"])


def as_text(plan: Plan, *, every_job: bool = False) -> str:
    """The plan for a terminal: jobs that change alike are told together, unless `every_job` is wanted."""
    return "\n".join(_text(plan, every_job))


def _title(plan: Plan) -> str:
    return f"{plan.app} {plan.current or '(nothing)'} → {plan.version or '(nothing)'} in {plan.environment}"


def _text(plan: Plan, every_job: bool) -> Iterator[str]:
    yield _title(plan)
    for artifact in plan.artifacts:
        yield f"  artifact {artifact.name}: {_digests(artifact)}"
    if every_job:
        for step in plan.steps:
            group = Group(step.action, step.reason, tuple(lines(step, plan)), (step,))
            yield from _group_text(group)
    else:
        for group in groups(plan):
            yield from _group_text(group)
    for orphan in plan.orphans:
        yield f"  ! {orphan.key}  ({orphan.name}, job {orphan.job_id}): {orphan.reason}"
    yield summary(plan)


def _group_text(group: Group) -> Iterator[str]:
    what = {"permissions": "permissions: ", "restart": "restart: ", "delete policy": "delete: "}.get(group.action, "")
    if len(group.steps) == 1:
        step = group.steps[0]
        yield f"  {group.sign} {step.key}  ({name(step)}): {what}{group.reason}"
    else:
        yield f"  {group.sign} {len(group.steps)} jobs: {what}{group.reason}"
        yield f"      {_names([step.key for step in group.steps])}"
    for line in group.lines:
        yield f"      {line}"


def _names(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:_NAMED])
    return shown if len(keys) <= _NAMED else f"{shown} and {len(keys) - _NAMED} more"


def _digests(artifact: ArtifactChange) -> str:
    def short(digest: str | None) -> str:
        return "(none)" if digest is None else f"sha256 {digest[:12]}…"

    return f"{short(artifact.before)} → {short(artifact.after)}"


def as_markdown(plan: Plan) -> str:
    """The plan for a pull request: a table of what changes alike, and each job beneath it, folded."""
    return "\n".join(_markdown(plan)) + "\n"


def _markdown(plan: Plan) -> Iterator[str]:
    yield f"### {_cell(_title(plan))}"
    yield ""
    yield f"**{summary(plan)}** (state {plan.serial})"
    if plan.artifacts:
        yield ""
        yield "| artifact | was | will be |"
        yield "| --- | --- | --- |"
        for artifact in plan.artifacts:
            was, will = (_code((digest or "—")[:12]) for digest in (artifact.before, artifact.after))
            yield f"| {artifact.name} | {was} | {will} |"
    if plan.steps:
        yield ""
        yield "| | jobs | what changes | why |"
        yield "| --- | --- | --- | --- |"
        for group in groups(plan):
            keys = [step.key for step in group.steps]
            who = _code(keys[0]) if len(keys) == 1 else f"{len(keys)} jobs: {_cell(_names(keys))}"
            told = "<br>".join(_cell(line) for line in group.lines) or _WORDS[group.action].removeprefix("to ")
            yield f"| {group.sign} | {who} | {told} | {_cell(group.reason)} |"
        yield ""
        yield f"<details><summary>every job ({len(plan.steps)} steps)</summary>"
        yield ""
        yield "```text"
        for step in plan.steps:
            yield from _group_text(Group(step.action, step.reason, tuple(lines(step, plan)), (step,)))
        yield "```"
        yield ""
        yield "</details>"
    if plan.orphans:
        yield ""
        yield "Left alone:"
        yield ""
        for orphan in plan.orphans:
            yield f"- {_code(orphan.key)} (job {orphan.job_id}): {_cell(orphan.reason)}"


def _code(value: str) -> str:
    return f"`{value}`"


def _cell(value: str) -> str:
    """Text that stays in its table cell, and means nothing to Markdown."""
    for sign in "\\`*_[]<>|":
        value = value.replace(sign, "\\" + sign) if sign != "<" else value.replace(sign, "&lt;")
    return value.replace("\n", " ")
