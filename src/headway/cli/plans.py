"""`headway plan` and `headway deploy`: what would change, and changing it."""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headway.cli.context import load
from headway.cli.output import Format, Output, Result, Root, Verbose, progress, show
from headway.cli.states import Environment, Version, state_result
from headway.core.errors import HeadwayError
from headway.core.plan import Plan
from headway.core.planfile import from_json, shown
from headway.core.rendering import as_markdown, as_text
from headway.delivery.deploying import deploy as deploy_release
from headway.delivery.deploying import deploy_plan, plan_release
from headway.delivery.gates import require_verified

PANEL = "The line, step by step"


class PlanFormat(StrEnum):
    """What `--output` of `headway plan` takes."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("plan", rich_help_panel=PANEL)(plan)
    app.command("deploy", rich_help_panel=PANEL)(deploy)


def plan(
    environment: Environment,
    root: Root = ".",
    version: Version = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Also write the plan to a file, for `headway deploy --plan`.")
    ] = None,
    every_job: Annotated[
        bool, typer.Option("--every-job", help="Tell each job by itself, also those that change alike.")
    ] = False,
    output: Annotated[
        PlanFormat, typer.Option("--output", help="How to print it; markdown is for a pull request.")
    ] = PlanFormat.TEXT,
) -> None:
    """Show what deploying a release to an environment would change, field by field, and why. Changes nothing."""
    line, release = load(root, progress()).line_of(version)
    made = plan_release(line.target(environment), release)
    if save is not None:
        save_plan(made, save)
    if output is PlanFormat.MARKDOWN:
        typer.echo(as_markdown(made), nl=False)
        return

    def text(console: Console) -> None:
        console.print(as_text(made, every_job=every_job), markup=False)
        if save is not None:
            console.print(f"saved: headway deploy {environment} --plan {save}", markup=False)

    show(Result("plan", {"plan": shown(made), "digest": made.digest}, text), Format(output.value))


def save_plan(made: Plan, path: Path) -> None:
    """Write a plan to a file that only its owner reads: it holds what is applied, secrets of job settings too."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as target:
        json.dump({**made.to_json(), "digest": made.digest}, target, indent=1)


def read_plan(path: Path) -> Plan:
    """The plan of a file. Raise HeadwayError PLAN_INVALID where it is not one, or was changed after it was made."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        made = from_json(data)
    except OSError as error:
        raise HeadwayError("PLAN_INVALID", path=path, reason=error.strerror or str(error)) from None
    except ValueError as error:
        raise HeadwayError("PLAN_INVALID", path=path, reason=str(error)) from None
    if data.get("digest") != made.digest:
        raise HeadwayError("PLAN_INVALID", path=path, reason="it was changed after it was made")
    return made


def deploy(
    environment: Environment,
    root: Root = ".",
    version: Version = None,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="Apply exactly this saved plan, or refuse: something moved since.")
    ] = None,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Bring an environment to a release: publish, copy, plan, reset every job. All of it, or nothing.

    An environment that comes after another one takes only what passed there. Ctrl-C stops cleanly; `headway resume`
    goes on.
    """
    planned = read_plan(plan_file) if plan_file is not None else None
    if planned is not None and version is None:
        version = planned.version
    line, release = load(root, progress(verbose)).line_of(version)
    target = line.target(environment)
    after = target.environment.after
    if after is not None:
        digests = {artifact.name: artifact.sha256 for artifact in release.artifacts.values()}
        require_verified(line.target(after), str(release.version), digests)
    if planned is None:
        state = deploy_release(target, release)
    else:
        state = deploy_plan(target, release, planned, str(plan_file))
    show(state_result("deploy", environment, state), output)
