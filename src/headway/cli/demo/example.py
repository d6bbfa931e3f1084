"""`headway example`: the example application as a team has it, a repository with a remote and data in its workspace."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headway.adapters.process import run_command
from headway.cli.demo.data import load_generator, upload_folder
from headway.cli.demo.repository import DemoRepository
from headway.cli.demo.scenarios import ENVIRONMENTS, LIVE_LEARNERS, SEEDS, TRAINING_LEARNERS
from headway.cli.output import Format, Output, Result, Verbose, progress, show
from headway.core.errors import HeadwayError
from headway.core.events import Progress
from headway.workspace.process import status


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("example", rich_help_panel="The whole line")(example)


def example(
    folder: Annotated[Path, typer.Argument(help="Where to put it; must not be there yet.")] = Path("activity-scoring"),
    workspace_data: Annotated[
        Path, typer.Option(help="Folder of the embedded workspace that its data goes to.")
    ] = Path(".headway/workspace"),
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Lay the example application out, to try a CI engine with.

    A git repository in FOLDER, its remote in FOLDER.git, and its data in the embedded workspace, which has to run:
    `headway serve` starts it.
    """
    folder = folder.resolve()
    remote = folder.with_name(f"{folder.name}.git")
    for path in (folder, remote):
        if path.exists():
            raise HeadwayError("EXAMPLE_FOLDER_TAKEN", path=path)
    found = status(workspace_data.resolve())
    if found.url is None or found.token_file is None:
        raise HeadwayError("WORKSPACE_NOT_RUNNING", data=workspace_data)
    from databricks.sdk import WorkspaceClient

    emit = progress(verbose)
    client = WorkspaceClient(host=found.url, token=found.token_file.read_text().strip(), auth_type="pat")
    repository = DemoRepository.create(folder)
    repository.commit("Score learners' sessions")
    for command in (
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(remote)],
        ["git", "remote", "add", "origin", remote.as_uri()],
        ["git", "push", "--quiet", "--set-upstream", "origin", "main"],
    ):
        done = run_command(command, cwd=folder)
        if done.status != 0:
            raise HeadwayError("GIT_FAILED", command=command[1], reason=done.output.strip())
    emit(Progress(f"the repository is in {folder}, its remote in {remote}"))
    generator = load_generator(repository.example)
    size = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in ENVIRONMENTS:
            root, local = f"dbfs:/activity/{name}", Path(scratch) / name
            generator.generate(
                local / "training", learners=TRAINING_LEARNERS, seed=100 + SEEDS[name], labelled_fraction=1.0
            )
            generator.generate(local / "live", learners=LIVE_LEARNERS, seed=SEEDS[name], day=1)
            for part in ("training/statements", "training/labels", "live/statements"):
                size += upload_folder(client, local / part, f"{root}/{part}")
    emit(Progress(f"{size / 2**20:.1f} MiB of learners' activity are in the workspace at {found.url}"))
    better = repository.example / "commits" / "2-look-at-answers"
    data = {"folder": str(folder), "remote": remote.as_uri(), "workspace": found.url, "bytes": size}

    def text(console: Console) -> None:
        console.print(f"headway app add activity-scoring {remote.as_uri()} --poll 2", markup=False, soft_wrap=True)
        console.print("# a change:", markup=False)
        console.print(f"cp -r {better}/files/. {folder}", markup=False, soft_wrap=True)
        console.print(
            f"git -C {folder} commit -am 'Look at answers' && git -C {folder} push", markup=False, soft_wrap=True
        )

    show(Result("example", data, text), output)
