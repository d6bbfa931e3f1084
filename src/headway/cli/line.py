"""`headway run`: the whole line for one commit."""

import time

import typer
from rich.console import Console

from headway.cli.context import load, work_folder
from headway.cli.output import Format, Output, Result, Root, Verbose, progress, show
from headway.cli.releases import CommitOption, Work, release_json
from headway.core.events import Event, StepFinished
from headway.delivery.line import run_line
from headway.delivery.making import require_branch


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("run", rich_help_panel="The whole line")(run)


def run(
    root: Root = ".",
    commit: CommitOption = None,
    work: Work = None,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Take a commit through the whole line: test, build, store, then environment by environment with its gates.

    A release that a gate refuses is taken back from that environment; the next one is never touched.
    """
    tell, steps, began = progress(verbose), list[StepFinished](), time.monotonic()

    def emit(event: Event) -> None:
        if isinstance(event, StepFinished):
            steps.append(event)
        tell(event)

    context = load(root, emit)
    repository, reference = context.repository(commit)
    if commit is None:
        require_branch(context.line.app, repository.resolve(reference))
    with work_folder(work) as folder:
        release = run_line(context.line, repository, context.root, reference, folder)
    seconds = time.monotonic() - began
    data = {
        "release": release_json(release),
        "seconds": round(seconds, 3),
        "steps": [
            {"step": e.step, "environment": e.environment, "outcome": e.outcome, "seconds": round(e.seconds, 3)}
            for e in steps
        ],
    }

    def text(console: Console) -> None:
        places = ", ".join(context.line.order())
        console.print(f"{release.app} {release.version} stands in {places} after {seconds:.0f} s", markup=False)

    show(Result("run", data, text), output)
