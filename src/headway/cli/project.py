"""`headway init` and `headway check`: an application's configuration."""

import os
from importlib.metadata import version
from pathlib import Path

import typer
from rich.console import Console

from headway.cli.output import Format, Output, Result, Root, show
from headway.core.errors import HeadwayError
from headway.core.proposal import propose
from headway.delivery.configuration import load_application

PANEL = "An application"
IGNORED = {".git", ".venv", "venv", "node_modules", "target", "build", "dist", "__pycache__", ".headway"}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("init", rich_help_panel=PANEL)(init)
    app.command("check", rich_help_panel=PANEL)(check)


def _files(root: Path) -> list[str]:
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in IGNORED)
        found.extend(Path(folder, name).relative_to(root).as_posix() for name in files)
    return found


def init(root: Root = ".", output: Output = Format.TEXT) -> None:
    """Write a headway.toml and a first job, from what the repository has (Maven, sbt, Gradle, Python, plain Scala).

    Files that exist are never overwritten.
    """
    folder = Path(root).resolve()
    if not folder.is_dir():
        raise HeadwayError("FOLDER_NOT_FOUND", path=folder)
    if (folder / "headway.toml").exists():
        raise HeadwayError("INIT_EXISTS", path=folder / "headway.toml")
    files = _files(folder)
    proposed = propose(files, folder.name, version("pyspark"))
    written = []
    for name, content in proposed.items():
        target = folder / name
        if target.exists() or (name.startswith("jobs/") and any(file.startswith("jobs/") for file in files)):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        written.append(name)

    def text(console: Console) -> None:
        for name in written:
            console.print(f"wrote {name}", markup=False)
        console.print("Next: set what is marked TO SET, then `headway check`.", markup=False)

    show(Result("init", {"written": written}, text), output)


def check(root: Root = ".", output: Output = Format.TEXT) -> None:
    """Read headway.toml and the job files and tell every problem at once, with file and line."""
    app = load_application(Path(root).resolve(), os.environ)
    data = {
        "app": app.name,
        "artifacts": [artifact.name for artifact in app.artifacts],
        "environments": list(app.environments),
        "jobs": list(app.jobs),
    }

    def text(console: Console) -> None:
        console.print(
            f"{app.name}: {len(app.artifacts)} artifacts, {len(app.jobs)} jobs, "
            f"environments {', '.join(app.environments)}: no problems",
            markup=False,
        )

    show(Result("check", data, text), output)
