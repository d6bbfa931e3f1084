"""`headway adopt`: take over jobs that a workspace has already."""

from typing import Annotated, Any

import typer
from rich.console import Console

from headway.cli.context import Context, load
from headway.cli.output import Format, Output, Result, Root, progress, show
from headway.cli.states import Environment
from headway.core.adoption import Candidate, Selection
from headway.core.errors import BLOCKED, HeadwayError
from headway.core.release import Release
from headway.delivery.adopting import Proposal, Wishes, propose
from headway.delivery.adopting import adopt as adopt_jobs
from headway.delivery.releasing import last_build


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("adopt", rich_help_panel="The line, step by step")(adopt)


def adopt(
    environment: Environment,
    root: Root = ".",
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Jobs whose name fits, as `etl-*`. Repeatable.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Jobs with this tag: NAME or NAME=VALUE.")] = None,
    job: Annotated[list[int] | None, typer.Option("--job", help="The job with this number.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every job that the token sees.")] = False,
    without: Annotated[list[str] | None, typer.Option("--without", help="But not those whose name fits.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Do it. Without, it is only shown.")] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave those that cannot be taken over; take the others.")
    ] = False,
    permissions: Annotated[
        bool, typer.Option("--permissions", help="Also write who may do what; from then on deploys see to it.")
    ] = False,
    from_bundle: Annotated[
        bool,
        typer.Option("--from-bundle", help="Also jobs that a Databricks bundle deploys now; their lock is lifted."),
    ] = False,
    differing: Annotated[
        bool, typer.Option("--differing", help="Also jobs that their definition here would change; the plan shows it.")
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Take over a workspace's existing jobs: write their `jobs/*.yml`, tag and record them. `--write` does it.

    No job is created, deleted or restarted, and none changes but by its tags: numbers and run history stay, and the
    first plan is empty. Exit status 3 where a job cannot be taken over.
    """
    selection = Selection(tuple(name or ()), tuple(tag or ()), tuple(job or ()), tuple(without or ()), everything)
    if write and not selection.chosen:
        raise HeadwayError("ADOPT_NOTHING_MEANT")
    context = load(root, progress(), without_jobs=True)
    target = context.line.target(environment)
    wishes = Wishes(selection, from_bundle, differing, permissions)
    release = _last(context)
    if not write:
        proposal = propose(target, wishes, release)
        show(_result(environment, target.connection.host, proposal, None), output)
        if proposal.refused:
            raise typer.Exit(BLOCKED)
        return
    proposal, state = adopt_jobs(target, context.root, wishes, release, skip=skip)
    show(_result(environment, target.connection.host, proposal, state.deployment), output)


def _last(context: Context) -> Release | None:
    return context.release(None) if last_build(context.line.store, context.line.app.name) else None


def _result(environment: str, host: str, proposal: Proposal, deployment: str | None) -> Result:
    data = {
        "environment": environment,
        "written": deployment is not None,
        "deployment": deployment,
        "jobs_seen": proposal.seen,
        "jobs": [_candidate(entry) for entry in proposal.candidates],
    }

    def text(console: Console) -> None:
        count = len(proposal.candidates)
        console.print(f"{environment}: {count} of the {proposal.seen} jobs of {host} are meant", markup=False)
        for entry in proposal.candidates:
            console.print(f"  {_line(entry)}", markup=False)
            for told in (*entry.problems, *entry.notes):
                console.print(f"      {told}", markup=False)
        refused = len(proposal.refused)
        if deployment is None:
            left = f"; {refused} cannot be" if refused else ""
            console.print(
                f"{count - refused} can be taken over{left}. Nothing was changed: `--write` does it", markup=False
            )
            return
        left = f"; {refused} were left" if refused else ""
        console.print(
            f"{count - refused} jobs are taken over (deployment {deployment}){left}. Commit the files; `headway "
            f"release` and `headway plan {environment}` then show that nothing would change",
            markup=False,
        )

    return Result("adopt", data, text)


def _line(entry: Candidate) -> str:
    job = f"{entry.name}, job {entry.job_id}"
    if entry.problems:
        return f"✗ {entry.key}  ({job})"
    if entry.definition is None:
        return f"= {entry.key}  ({job}): defined already"
    return f"+ {entry.key}  ({job}) → {entry.file}"


def _candidate(entry: Candidate) -> dict[str, Any]:
    return {
        "key": entry.key,
        "job_id": entry.job_id,
        "name": entry.name,
        "file": entry.file or None,
        "defined": entry.definition is None,
        "problems": list(entry.problems),
        "notes": list(entry.notes),
    }
