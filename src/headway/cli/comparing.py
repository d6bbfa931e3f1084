"""`headway drift` and `headway parity`: what stands otherwise than it should."""

from typing import Annotated

import typer

from headway.cli.context import load
from headway.cli.output import Format, Result, Root, progress, show
from headway.cli.plans import PlanFormat
from headway.cli.states import Environment
from headway.core import drift as drifts
from headway.core import parity as parities
from headway.delivery.comparing import compare
from headway.delivery.drifting import drift as find_drift

PANEL = "Looking"
FOUND = 2

How = Annotated[PlanFormat, typer.Option("--output", help="How to print it; markdown is for an issue or a chat.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("drift", rich_help_panel=PANEL)(drift)
    app.command("parity", rich_help_panel=PANEL)(parity)


def drift(environment: Environment, root: Root = ".", output: How = PlanFormat.TEXT) -> None:
    """Compare an environment with what its last deployment left there. Exit status 2 where anything differs.

    What the server fills in, or reorders, is no difference. Changes nothing.
    """
    found = find_drift(load(root, progress()).line.target(environment))
    if output is PlanFormat.MARKDOWN:
        typer.echo(drifts.as_markdown(found), nl=False)
    else:
        result = Result(
            "drift", {"drift": found.to_json()}, lambda console: console.print(drifts.as_text(found), markup=False)
        )
        show(result, Format(output.value))
    if found.deviations:
        raise typer.Exit(FOUND)


def parity(
    left: Annotated[str, typer.Argument(help="The environment that mirrors, as headway.toml names it: the stage.")],
    right: Annotated[str, typer.Argument(help="The environment that is mirrored: production.")],
    root: Root = ".",
    every: Annotated[
        bool, typer.Option("--all", help="Also show the differences that are allowed or declared.")
    ] = False,
    output: How = PlanFormat.TEXT,
) -> None:
    """Show every difference between two environments that headway.toml does not allow. Exit status 2 where any is.

    What headway.toml itself declares (`values`, prefix, pause status) is allowed, except on the fields of
    `parity.strict`; other differences need an entry of `[[parity.allow]]`. Changes nothing.
    """
    line = load(root, progress()).line
    found = compare(line.target(left), line.target(right))
    if output is PlanFormat.MARKDOWN:
        typer.echo(parities.as_markdown(found), nl=False)
    else:
        text = parities.as_text(found, every=every)
        result = Result("parity", {"parity": found.to_json()}, lambda console: console.print(text, markup=False))
        show(result, Format(output.value))
    if found.refused:
        raise typer.Exit(FOUND)
