"""`headway release` and `headway history`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headway.cli.context import load, work_folder
from headway.cli.deployments import show_deployments
from headway.cli.output import Format, Output, Result, Root, Verbose, progress, show
from headway.cli.signing import verification_lines
from headway.core.errors import HeadwayError
from headway.core.release import Release, TestResult
from headway.delivery.line import Tested, release_commit, test_commit
from headway.delivery.making import require_branch
from headway.delivery.releasing import last_build, list_releases, load_release
from headway.delivery.standing import standings

PANEL = "The line, step by step"
TESTED = "headway.tested/1"

releases = typer.Typer(invoke_without_command=True, subcommand_metavar="[show VERSION]")

CommitOption = Annotated[
    str | None, typer.Option("--commit", help="Commit, branch or tag; without it HEAD, and nothing may be uncommitted.")
]
Work = Annotated[
    str | None, typer.Option("--work", help="Folder to keep checkouts, logs and built files in.", envvar="HEADWAY_WORK")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    releases.callback()(release)
    releases.command("show")(show_release)
    app.add_typer(releases, name="release", rich_help_panel=PANEL)
    app.command("test", rich_help_panel=PANEL)(run_tests)
    app.command("history", rich_help_panel="Looking")(history)


def release_json(found: Release) -> dict[str, Any]:
    """A release for machines."""
    return found.to_json()


def release(
    context: typer.Context,
    root: Root = ".",
    commit: CommitOption = None,
    work: Work = None,
    tested: Annotated[
        Path | None, typer.Option("--tested", help="What `headway test --save` wrote: its tests are not run again.")
    ] = None,
    version_file: Annotated[
        Path | None, typer.Option("--version-file", help="Also write the version to this file.")
    ] = None,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Test a commit, build it once, sign it, and store it as a new version. Nothing is deployed."""
    if context.invoked_subcommand is not None:
        return
    application = load(root, progress(verbose))
    repository, reference = application.repository(commit)
    if commit is None:
        require_branch(application.line.app, repository.resolve(reference))
    with work_folder(work) as folder:
        known = None if tested is None else _read_tested(tested)
        made = release_commit(application.line, repository, application.root, reference, folder, known)
    if version_file is not None:
        version_file.parent.mkdir(parents=True, exist_ok=True)
        version_file.write_text(f"{made.version}\n")

    def text(console: Console) -> None:
        console.print(f"{made.app} {made.version} (commit {made.commit[:12]})", markup=False)
        for artifact in made.artifacts.values():
            console.print(f"  {artifact.file_name}  sha256 {artifact.sha256}", markup=False)
        console.print(f"Next: headway deploy stage --version {made.version}", markup=False)

    show(Result("release", {"release": release_json(made)}, text), output)


def run_tests(
    root: Root = ".",
    commit: CommitOption = None,
    work: Work = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write what they said to a file, for `headway release --tested`.")
    ] = None,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Run a commit's tests in a clean checkout. Nothing is built or stored."""
    application = load(root, progress(verbose))
    repository, reference = application.repository(commit)
    with work_folder(work) as folder:
        found = test_commit(application.line, repository, application.root, reference, folder)
    data = {"schema": TESTED, "commit": found.commit, "results": [asdict(result) for result in found.results]}
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.write_text(json.dumps(data, indent=2) + "\n")

    def text(console: Console) -> None:
        for result in found.results:
            console.print(f"{result.step}: {result.passed} passed, {result.skipped} skipped", markup=False)

    show(Result("test", {"tested": data}, text), output)


def _read_tested(path: Path) -> Tested:
    try:
        data = json.loads(path.read_text())
        if data["schema"] != TESTED:
            raise ValueError(f"its schema is {data['schema']!r}")
        return Tested(str(data["commit"]), tuple(TestResult(**entry) for entry in data["results"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HeadwayError("TESTED_ANOTHER", path=path, commit="that is released", reason=str(error)) from None


def show_release(
    version: Annotated[str | None, typer.Argument(help="Release; without it the last one.")] = None,
    root: Root = ".",
    output: Output = Format.TEXT,
) -> None:
    """Show a release: its commit, tests, artifacts, what it needs, who signed it, and where it stands."""
    from headway.delivery.verifying import load_sbom, verify_release

    line = load(root, progress()).line
    found = load_release(line.store, line.app.name, version or str(last_build(line.store, line.app.name)))
    verified = verify_release(line.store, found.app, str(found.version), line.app.signing, artifacts=False)
    components = load_sbom(line.store, found)
    where = standings(line).get(str(found.version), {})
    data = {
        "release": release_json(found),
        "verification": verified.to_json(),
        "statement": verified.statement,
        "components": components,
        "environments": where,
    }

    def text(console: Console) -> None:
        console.print(f"{found.app} {found.version}: {found.subject}", markup=False)
        console.print(f"  commit {found.commit} of {found.branch or '(no branch)'} by {found.author}", markup=False)
        console.print(f"  made {found.created_at} for Spark {found.spark}, Scala {found.scala}", markup=False)
        passed = sum(test.passed for test in found.tests)
        console.print(f"  tests: {passed} passed in {len(found.tests)} steps", markup=False)
        for artifact in found.artifacts.values():
            console.print(f"  {artifact.file_name}  {artifact.size} bytes  sha256 {artifact.sha256}", markup=False)
        places = [f"{name} ({'now' if now else 'before'})" for name, now in where.items()]
        console.print(f"  stands in: {', '.join(places) or 'no environment yet'}", markup=False)
        console.print(f"Needs {len(components)} libraries:" if components else "Needs no libraries.", markup=False)
        for component in components:
            console.print(f"  {component}", markup=False)
        console.print("Signed:" if verified.signer else "Not verified:", markup=False)
        for entry in verification_lines(verified):
            console.print(entry, markup=False)

    show(Result("release show", data, text), output)


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
