"""`headway release` and `headway history`."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headway.cli.context import load, work_folder
from headway.cli.deployments import show_deployments
from headway.cli.output import Format, Output, Result, Root, Verbose, progress, show
from headway.core.release import Release
from headway.delivery.line import release_commit
from headway.delivery.making import require_branch
from headway.delivery.releasing import list_releases
from headway.delivery.standing import standings

PANEL = "The line, step by step"

CommitOption = Annotated[
    str | None, typer.Option("--commit", help="Commit, branch or tag; without it HEAD, and nothing may be uncommitted.")
]
Work = Annotated[
    str | None, typer.Option("--work", help="Folder to keep checkouts, logs and built files in.", envvar="HEADWAY_WORK")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("release", rich_help_panel=PANEL)(release)
    app.command("history", rich_help_panel="Looking")(history)


def release_json(found: Release) -> dict[str, Any]:
    """A release for machines."""
    return found.to_json()


def release(
    root: Root = ".",
    commit: CommitOption = None,
    work: Work = None,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Test a commit, build it once, and store it as a new version. Nothing is deployed."""
    context = load(root, progress(verbose))
    repository, reference = context.repository(commit)
    if commit is None:
        require_branch(context.line.app, repository.resolve(reference))
    with work_folder(work) as folder:
        made = release_commit(context.line, repository, context.root, reference, folder)

    def text(console: Console) -> None:
        console.print(f"{made.app} {made.version} (commit {made.commit[:12]})", markup=False)
        for artifact in made.artifacts.values():
            console.print(f"  {artifact.file_name}  sha256 {artifact.sha256}", markup=False)
        console.print(f"Next: headway deploy stage --version {made.version}", markup=False)

    show(Result("release", {"release": release_json(made)}, text), output)


def history(
    environment: Annotated[
        str | None, typer.Argument(help="Environment whose deployments to list, instead of the releases.")
    ] = None,
    root: Root = ".",
    output: Output = Format.TEXT,
) -> None:
    """List the releases, the newest first, and where each of them stands or stood; or an environment's deployments."""
    if environment is not None:
        show_deployments(root, environment, output)
        return
    line = load(root, progress()).line
    releases = list_releases(line.store, line.app.name)
    where = standings(line)
    data = [{**release_json(found), "environments": where.get(str(found.version), {})} for found in releases]

    def text(console: Console) -> None:
        table = Table("version", "commit", "made at", "subject", "stands in", "stood in", box=None, pad_edge=False)
        for found in releases:
            places = where.get(str(found.version), {})
            table.add_row(
                str(found.version),
                found.commit[:12],
                found.created_at,
                found.subject,
                ", ".join(name for name, now in places.items() if now),
                ", ".join(name for name, now in places.items() if not now),
            )
        console.print(table)

    show(Result("history", {"releases": data}, text), output)
