"""`headway gc`: remove what no environment, job, run or notebook needs."""

from typing import Annotated

import typer

from headway.cli.context import load
from headway.cli.output import Format, Output, Result, Root, progress, show
from headway.core.garbage import Rules, as_text
from headway.delivery.collecting import collect


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("gc", rich_help_panel="Housekeeping")(gc)


def gc(
    root: Root = ".",
    keep: Annotated[int, typer.Option("--keep", min=1, help="So many of the newest releases stay.")] = Rules().builds,
    rollbacks: Annotated[
        int, typer.Option("--rollbacks", min=1, help="So many versions that stood in an environment stay, for each.")
    ] = Rules().rollbacks,
    apply: Annotated[bool, typer.Option("--apply", help="Remove them; without it they are only shown.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Show, or with --apply remove, the artifacts and libraries of releases that nothing needs.

    A release stays while it stands in an environment or can be rolled back to, is among the newest, or is named by a
    job, an active run, a cluster's library or a notebook of any of the workspaces. Records of releases always stay.
    """
    found = collect(load(root, progress()).line, Rules(keep, rollbacks), apply=apply)
    show(
        Result("gc", {"garbage": found.to_json()}, lambda console: console.print(as_text(found), markup=False)), output
    )
