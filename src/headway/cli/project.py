"""`headway init` and `headway check`: an application's configuration."""

import os
import tomllib
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headway.cli.context import load
from headway.cli.output import Format, Output, Result, Root, progress, show
from headway.core.ci import KINDS, Facts, ci_file, facts_of
from headway.core.diagnostics import Diagnostic, Location
from headway.core.errors import BLOCKED, ConfigurationError, HeadwayError
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


class Ci(StrEnum):
    """What `--ci` takes."""

    JENKINS = "jenkins"
    GITHUB = "github"
    GITLAB = "gitlab"


def init(
    root: Root = ".",
    ci: Annotated[
        Ci | None, typer.Option("--ci", help="Also write the file with which another CI system runs the line.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the CI system's file.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """Write a headway.toml and a first job, from what the repository has (Maven, sbt, Gradle, Python, plain Scala).

    With --ci also a Jenkinsfile, a GitHub workflow or a GitLab pipeline: the same line, each step a stage of its own;
    a headway.toml that is there stays as it is. Files that exist are never overwritten; --force does, the CI system's.
    """
    folder = Path(root).resolve()
    if not folder.is_dir():
        raise HeadwayError("FOLDER_NOT_FOUND", path=folder)
    configured = (folder / "headway.toml").exists()
    if configured and ci is None:
        raise HeadwayError("INIT_EXISTS", path=folder / "headway.toml")
    top = _top(folder)
    if ci is not None and not force and (top / KINDS[ci][0]).exists():
        raise HeadwayError("FILES_EXIST", files=KINDS[ci][0])
    written = [] if configured else _propose(folder)
    if ci is not None:
        name, content = ci_file(ci, _facts(folder, top))
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content, encoding="utf-8")
        written.append(name)

    def text(console: Console) -> None:
        for name in written:
            console.print(f"wrote {name}", markup=False)
        console.print("Next: set what is marked TO SET, then `headway check`.", markup=False)

    show(Result("init", {"written": written}, text), output)


def _top(folder: Path) -> Path:
    """Where the repository begins that a folder is in; the folder itself where it is in none."""
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)


def _facts(folder: Path, top: Path) -> Facts:
    """What headway.toml says of the line. Raise ConfigurationError."""
    path = folder / "headway.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError((Diagnostic(Location("headway.toml"), "", f"cannot be read: {error}"),)) from None
    within = folder.relative_to(top).as_posix()
    return facts_of(data, "" if within == "." else within)


def _propose(folder: Path) -> list[str]:
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
    return written


def check(
    root: Root = ".",
    release: Annotated[
        bool, typer.Option("--release", help="Also whether a release's artifacts fit every job's runtime.")
    ] = False,
    version: Annotated[str | None, typer.Option("--version", help="Which release; without it the last one.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option("--environment", help="Only this one. May be given several times.")
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Read headway.toml and the job files and tell every problem at once, with file and line.

    With --release: read the artifacts of a release (class files, manifests, wheel tags) and each job's spark_version,
    and tell every mismatch. Exit status 3 where there is one that headway.toml does not allow.
    """
    app = load_application(Path(root).resolve(), os.environ)
    if release or version is not None:
        _check_release(root, version, environment or list(app.environments), output)
        return
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


def _check_release(root: str, version: str | None, names: list[str], output: Format) -> None:
    from headway.delivery.examining import compatibility

    line, found = load(root, progress()).line_of(version)
    targets = [line.target(name) for name in names]
    seen = [compatibility(line.store, t.app, t.environment, t.connection, found) for t in targets]
    refused = any(entry.refused for entry in seen)
    data = {"release": str(found.version), "fits": not refused, "environments": [entry.to_json() for entry in seen]}

    def text(console: Console) -> None:
        for entry in seen:
            word = "does not fit" if entry.refused else "fits"
            runtimes = ", ".join(entry.runtimes) or "no clusters"
            console.print(
                f"{found.app} {found.version} {word} {entry.environment}: {len(entry.uses)} tasks on {runtimes}",
                markup=False,
            )
            for mismatch in entry.mismatches:
                allowed = f" (allowed: {mismatch.allowed})" if mismatch.allowed else ""
                console.print(f"  {'–' if mismatch.allowed else '✗'} {mismatch}{allowed}", markup=False)

    show(Result("check", data, text), output)
    if refused:
        raise typer.Exit(BLOCKED)
