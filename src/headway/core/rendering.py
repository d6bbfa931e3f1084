"""A plan for people: as text, and as Markdown for a pull request. Reads the very steps that are applied."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from headway.core.shapes import Group, groups, lines, name
from headway.core.steps import ArtifactChange, Plan

_NAMED = 6  # so many jobs of a group are named before the rest is counted
# Characters of Markdown: GitHub takes no comment longer than 65,536.
_MOST_ROWS, _MOST = 30_000, 60_000
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
    """The plan for a pull request: a table of what changes alike, and each job beneath it, folded. Never longer than
    what a pull request takes: what does not fit is counted."""
    told = "\n".join(_head(plan)) + "\n"
    if plan.steps:
        told += "\n".join(_details(plan, _MOST - len(told))) + "\n"
    if plan.orphans:
        orphans = [f"- {_code(o.key)} (job {o.job_id}): {_cell(o.reason)}" for o in plan.orphans]
        shown = _fitting(orphans, _MOST + 4_000 - len(told))
        more = len(orphans) - len(shown)
        told += "\n".join(["", "Left alone:", "", *shown, *([f"- and {more} more"] if more else [])]) + "\n"
    return told


def _head(plan: Plan) -> Iterator[str]:
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
        rows = [_row(group) for group in groups(plan)]
        shown = _fitting(rows, _MOST_ROWS)
        yield from shown
        if len(shown) < len(rows):
            yield f"| | and {len(rows) - len(shown)} more shapes of change | `headway plan` tells them | |"


def _row(group: Group) -> str:
    keys = [step.key for step in group.steps]
    who = _code(keys[0]) if len(keys) == 1 else f"{len(keys)} jobs: {_cell(_names(keys))}"
    told = "<br>".join(_cell(line) for line in group.lines) or _WORDS[group.action].removeprefix("to ")
    return f"| {group.sign} | {who} | {told} | {_cell(group.reason)} |"


def _details(plan: Plan, most: int) -> Iterator[str]:
    """Every step, as many of them as fit."""
    steps = [
        "\n".join(_group_text(Group(step.action, step.reason, tuple(lines(step, plan)), (step,))))
        for step in plan.steps
    ]
    shown = _fitting(steps, most - 300)
    fence = "`" * max(3, 1 + max((len(run) for text in shown for run in re.findall("`+", text)), default=0))
    yield ""
    yield f"<details><summary>every job ({len(steps)} steps)</summary>"
    yield ""
    yield f"{fence}text"
    yield from shown
    if len(shown) < len(steps):
        yield f"  … and {len(steps) - len(shown)} more steps: headway plan {plan.environment} --every-job"
    yield fence
    yield ""
    yield "</details>"


def _fitting(texts: Sequence[str], most: int) -> list[str]:
    """As many of the texts, from the first on, as make no more than so many characters together."""
    ends = list(accumulate(len(text) + 1 for text in texts))
    return list(texts[: bisect_right(ends, most)])


def _code(value: str) -> str:
    return f"`{value}`"


def _cell(value: str) -> str:
    """Text that stays in its table cell, and means nothing to Markdown."""
    for sign in "\\`*_[]<>|":
        value = value.replace(sign, "\\" + sign) if sign != "<" else value.replace(sign, "&lt;")
    return value.replace("\n", " ")
