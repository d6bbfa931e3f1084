"""`headway resume`, `headway lock` and the deployments of an environment: what was interrupted, by whom, and how to
go on."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from headway.cli.context import load
from headway.cli.output import Format, Output, Result, Root, Verbose, progress, show
from headway.cli.states import Environment, state_result
from headway.core.errors import HeadwayError
from headway.core.ledger import Deployment
from headway.delivery.deploying import resume as resume_deployment
from headway.delivery.ledger import Ledger
from headway.delivery.line import Line

lock = typer.Typer(help="The lock of an environment: who deploys there now.", no_args_is_help=True)
_NEWEST = 20


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("resume", rich_help_panel="The line, step by step")(resume)
    app.add_typer(lock, name="lock", rich_help_panel="Looking")


def resume(
    environment: Environment,
    root: Root = ".",
    back: Annotated[bool, typer.Option("--back", help="Take it back instead of going on with it.")] = False,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Go on with a deployment that was interrupted, from any machine: every job new, or with `--back` every job old.

    One that was being taken back is taken back. Nothing is done where nothing was interrupted.
    """
    target = load(root, progress(verbose)).line.target(environment)
    ended, state = resume_deployment(target, "back" if back else "forward")
    told = state_result("resume", environment, state)

    def text(console: Console) -> None:
        if ended is None:
            console.print("nothing was interrupted", markup=False)
        else:
            console.print(f"deployment {ended.id} to {ended.version or 'nothing'}: {ended.outcome}", markup=False)
        told.text(console)

    data = {**told.data, "deployment": None if ended is None else _brief(ended)}
    show(Result("resume", data, text), output)


def _ledger(root: str, environment: str) -> tuple[Line, Ledger]:
    line = load(root, progress()).line
    if environment not in line.app.environments:
        raise HeadwayError("ENVIRONMENT_UNKNOWN", name=environment, known=", ".join(line.app.environments) or "none")
    return line, Ledger(line.store, line.app.name, environment)


def _brief(made: Deployment) -> dict[str, object]:
    done = sum(step.status in ("done", "taken back") for step in made.steps)
    return {
        "id": made.id,
        "kind": made.kind,
        "version": made.version,
        "previous": made.previous,
        "owner": made.owner,
        "started_at": made.started_at,
        "ended_at": made.ended_at,
        "outcome": made.outcome if made.finished or made.outcome == "mixed" else "unfinished",
        "direction": made.direction,
        "steps": len(made.steps),
        "done": done,
        "message": made.message,
    }


def show_deployments(root: str, environment: str, output: Format) -> None:
    """The newest deployments of an environment, one in full detail where it needs somebody."""
    _, ledger = _ledger(root, environment)
    found = ledger.deployments(_NEWEST)
    data = {"environment": environment, "deployments": [{**_brief(made), "journal": _journal(made)} for made in found]}

    def text(console: Console) -> None:
        table = Table("deployment", "what", "from", "to", "started", "by", "outcome", "steps", box=None, pad_edge=False)
        for made in found:
            brief = _brief(made)
            table.add_row(
                made.id,
                made.kind,
                made.previous or "nothing",
                made.version or "nothing",
                made.started_at,
                made.owner,
                str(brief["outcome"]),
                f"{brief['done']} of {brief['steps']}",
            )
        console.print(table)
        for made in found:
            if not made.finished:
                console.print(f"\n{made.id} needs `headway resume {environment}`; step by step:", markup=False)
                for step in made.steps:
                    console.print(f"  {step.status:10} {step.action} {step.key}  {step.message}".rstrip(), markup=False)

    show(Result("history", data, text), output)


def _journal(made: Deployment) -> list[dict[str, object]]:
    return [
        {
            "action": step.action,
            "key": step.key,
            "job_id": step.job_id,
            "status": step.status,
            "message": step.message,
        }
        for step in made.steps
    ]


@lock.command("show")
def show_lock(environment: Environment, root: Root = ".", output: Output = Format.TEXT) -> None:
    """Tell who holds the lock of an environment, and until when."""
    line, ledger = _ledger(root, environment)
    lease = ledger.holder(line.clock)

    def text(console: Console) -> None:
        if lease is None:
            console.print(f"nobody holds the lock of {environment}", markup=False)
        else:
            until = f"its lease ends at {lease.until} unless it is renewed"
            console.print(f"{environment} is locked by {lease.owner} since {lease.since}; {until}", markup=False)

    held = None if lease is None else {k: v for k, v in asdict(lease).items() if k in ("owner", "since", "until")}
    show(Result("lock show", {"environment": environment, "lease": held}, text), output)


@lock.command("break")
def break_lock(
    environment: Environment,
    root: Root = ".",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Take the lock of an environment from its holder, who stops before its next call. Then `headway resume` goes
    on."""
    line, ledger = _ledger(root, environment)
    lease = ledger.holder(line.clock)
    if lease is not None and not yes:
        typer.confirm(f"{lease.owner} holds it since {lease.since}. Break it?", abort=True, err=True)
    broken = ledger.break_lock(line.clock)

    def text(console: Console) -> None:
        said = "nobody held it" if broken is None else f"it was {broken.owner}'s"
        console.print(f"the lock of {environment} is free: {said}", markup=False)

    owner = None if broken is None else broken.owner
    show(Result("lock break", {"environment": environment, "former_owner": owner}, text), output)
