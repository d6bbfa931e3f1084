"""A workflow for GitHub Actions. Source: GitHub Docs, "Workflow syntax for GitHub Actions".

Each stage is a job. One that needs an approval names a GitHub environment: its protection rules say who may approve.
"""

import json

from headway.core.ci.line import PACKAGE, TO_SET, WORK, Facts, Stage, stages

_COMMIT = '"$GITHUB_SHA"'
_HEAD = """\
# Written by `headway init --ci github`: the line of {app}, each step a job of its own.
# {to_set} below: what pip installs headway from, and the variables that headway.toml reads.
# Secrets of the repository: {secrets}.
name: headway
on:
  push:
    branches: [{branch}]
  pull_request:
permissions:
  contents: read
concurrency:
  group: headway-${{{{ github.ref }}}}
  cancel-in-progress: false
env:
  {package}: "{to_set}"
{variables}jobs:
"""
_SET_UP = """\
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - uses: actions/setup-java@v4
        with:
          distribution: temurin
          java-version: "17"
      - run: python -m pip install --quiet "$HEADWAY_PACKAGE"
"""


def render(facts: Facts) -> str:
    """The file."""
    known = stages(facts)
    names = dict.fromkeys(name for stage in known for name in stage.secrets)
    head = _HEAD.format(
        app=facts.app,
        to_set=TO_SET,
        secrets=", ".join(names),
        branch=json.dumps(facts.branch),
        package=PACKAGE,
        variables="".join(f'  {name}: "{TO_SET}"\n' for name in facts.variables),
    )
    parts, kept, before = [head], list[Stage](), ""
    for stage in known:
        parts.append(_job(stage, facts, before, kept))
        before = stage.id
        if stage.keeps:
            kept.append(stage)
    return "".join(parts)


def _job(stage: Stage, facts: Facts, before: str, kept: list[Stage]) -> str:
    lines = [f"  {stage.id}:", f"    name: {json.dumps(stage.title)}", "    runs-on: ubuntu-latest"]
    if before:
        lines.append(f"    needs: {before}")
    if not stage.every_branch:
        lines.append(f"    if: github.ref == {_expression(f'refs/heads/{facts.branch}')}")
    if stage.place:
        lines.append(f"    environment: {json.dumps(stage.place)}")
    publishes = stage.id == "test" and bool(facts.junit)
    if publishes:
        lines += ["    permissions:", "      contents: read", "      checks: write"]
    if stage.secrets:
        lines.append("    env:")
        lines += [f"      {name}: ${{{{ secrets.{name} }}}}" for name in stage.secrets]
    lines.append("    steps:")
    text = "\n".join(lines) + "\n" + _SET_UP
    for entry in kept:
        text += f"      - uses: actions/download-artifact@v4\n        with:\n          name: {entry.id}\n"
        text += f"          path: {WORK}\n"
    for command in stage.commands:
        text += f"      - run: {_scalar(command.format(commit=_COMMIT))}\n"
    if publishes:
        text += "      - uses: mikepenz/action-junit-report@v5\n        if: always()\n        with:\n"
        text += "          report_paths: |\n" + "".join(f"            {pattern}\n" for pattern in facts.junit)
    if stage.keeps:
        text += f"      - uses: actions/upload-artifact@v4\n        with:\n          name: {stage.id}\n"
        text += "          path: |\n" + "".join(f"            {path}\n" for path in stage.keeps)
        text += "          if-no-files-found: error\n"
    return text


def _expression(text: str) -> str:
    """A text in GitHub's expressions."""
    return "'" + text.replace("'", "''") + "'"


def _scalar(text: str) -> str:
    """A text in YAML, within single quotes."""
    return "'" + text.replace("'", "''") + "'"
