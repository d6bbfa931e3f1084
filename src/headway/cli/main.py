"""The `headway` command: puts the groups together and turns errors into exit statuses.

Exit status: 0 done, 1 the work failed, 2 wrong use, 3 blocked by a gate or a lock, 130 interrupted.
"""

import gc
import sys
from itertools import pairwise

import typer

from headway import __version__
from headway.cli import (
    adopting,
    ci,
    collecting,
    comparing,
    deployments,
    environments,
    line,
    plans,
    project,
    releases,
    report,
    serve,
    signing,
    workspace,
)
from headway.cli.demo import command as demo
from headway.cli.demo import example
from headway.cli.output import Format, progress_console, show_error
from headway.core.errors import HeadwayError

INTERRUPTED = 130

app = typer.Typer(
    name="headway",
    help="Continuous integration and delivery for Apache Spark applications.\n\n"
    "A commit is tested, built once, stored, published to a workspace, rolled out to every job of a stage, "
    "rehearsed there, promoted as the same bytes, and rolled back as one unit.\n\n"
    "New here: `headway demo` shows all of it on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options that stand before the command."""


project.register(app)
releases.register(app)
plans.register(app)
adopting.register(app)
environments.register(app)
deployments.register(app)
comparing.register(app)
collecting.register(app)
signing.register(app)
line.register(app)
demo.register(app)
example.register(app)
serve.register(app)
report.register(app)
app.add_typer(ci.app_group, name="app", rich_help_panel=serve.PANEL)
app.add_typer(ci.runs_group, name="runs", rich_help_panel=serve.PANEL)
app.add_typer(workspace.app, name="workspace", rich_help_panel="The embedded workspace")


def main() -> None:
    """The console script. An error that is not a HeadwayError is our bug and keeps its traceback."""
    output = Format.JSON if _asks_for_json(sys.argv[1:]) else Format.TEXT
    # Job files of a thousand jobs are some hundred thousand objects, none of them garbage: looking through them again
    # and again takes longer than reading them.
    gc.set_threshold(100_000, 20, 20)
    try:
        app()
    except HeadwayError as error:
        show_error(error, output)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        progress_console.print("interrupted", style="yellow")
        sys.exit(INTERRUPTED)


def _asks_for_json(arguments: list[str]) -> bool:
    """Whether `--output json` was given; read here because an error may come before the command has its options."""
    return "--output=json" in arguments or any(
        first == "--output" and second == "json" for first, second in pairwise(arguments)
    )
