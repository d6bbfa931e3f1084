"""`headway demo`: set the stage, run the scenarios, show what came of them."""

import os
import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.demo import readback, report
from headway.cli.demo.data import load_generator
from headway.cli.demo.repository import DemoRepository
from headway.cli.demo.scenarios import Demo, Scenario
from headway.cli.output import Format, Output, Result, Verbose, progress, progress_console, show
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress
from headway.workspace.process import Status, start, stop
from headway.workspace.settings import WorkspaceSettings

MARKER = ".headway-demo"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("demo", rich_help_panel="The whole line")(demo)


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where to put everything; emptied first.")] = Path(
        "build/demo"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the workspace running at the end.")] = False,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Take a real Spark application from git commits to production on a workspace of this machine: five scenarios.

    (a) a first commit to production; (b) a better one; (c) one whose test fails; (d) one that fails on the stage's real
    data; (e) production rolled back. What it claims is checked by reading the workspace back; exit status 1 otherwise.
    """
    folder = folder.resolve()
    _empty(folder)
    emit = progress(verbose)
    began = time.monotonic()
    emit(Progress(f"everything is in {folder}"))
    settings = WorkspaceSettings(data=folder / "workspace", port=0, allow_download=("127.0.0.1",), standby=1)
    workspace = start(settings, emit)
    try:
        made, ready = _run(folder, workspace, began, emit)
    finally:
        if not keep:
            stop(settings.data)
    seconds = time.monotonic() - began
    good = all(check.holds for scenario in made.scenarios for check in scenario.checks)
    data = {
        "holds": good,
        "seconds": round(seconds, 3),
        "set_up_seconds": round(ready, 3),
        "folder": str(folder),
        "workspace": workspace.url if keep else None,
        "scenarios": [report.as_json(scenario) for scenario in made.scenarios],
    }
    look = {"everything": str(folder), "seconds": f"{seconds:.0f}, {ready:.0f} of them to start the workspace"}
    if keep:
        look["workspace"] = str(workspace.url)
        look["look further"] = (
            f"source {folder}/environment.sh; headway status --root {folder}/repository; "
            f"headway history --root {folder}/repository"
        )
        look["stop it"] = f"headway workspace stop --data {settings.data}"
    else:
        look["look further"] = (
            f"less {folder}/workspace/runs/*/logs/*.log; git -C {folder}/repository log; find {folder}/store; "
            "`headway demo --keep` leaves the workspace running"
        )
    show(Result("demo", data, lambda console: report.show(console, made.scenarios, look)), output)
    if not good:
        raise typer.Exit(1)


def _empty(folder: Path) -> None:
    """Make an empty folder; never remove one that is not a former demo's."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise HeadwayError("DEMO_FOLDER_TAKEN", path=folder)
        stop(folder / "workspace")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def _run(folder: Path, workspace: Status, began: float, emit: Emit) -> tuple[Demo, float]:
    assert workspace.url is not None  # noqa: S101  (it was started)
    assert workspace.token_file is not None  # noqa: S101
    token = workspace.token_file.read_text()
    own = {
        "HEADWAY_STORE": (folder / "store").as_uri(),
        "HEADWAY_STAGE_HOST": workspace.url,
        "HEADWAY_STAGE_TOKEN": token,
        "HEADWAY_PRODUCTION_HOST": workspace.url,
        "HEADWAY_PRODUCTION_TOKEN": token,
        "HEADWAY_CONFIG": str(folder / "configuration"),  # the demo's own signing key
    }
    os.environ["HEADWAY_CONFIG"] = own["HEADWAY_CONFIG"]
    _write_environment(folder / "environment.sh", workspace, own)
    from databricks.sdk import WorkspaceClient

    client = WorkspaceClient(host=workspace.url, token=token, auth_type="pat")
    repository = DemoRepository.create(folder / "repository")
    generator = load_generator(repository.example)
    made = Demo(folder, repository, generator, client, {**os.environ, **own}, emit)
    made.label_training_sets()
    ready = time.monotonic() - began
    emit(Progress(f"workspace at {workspace.url}, data of learners laid in"))
    _scenarios(made)
    return made, ready


def _write_environment(path: Path, workspace: Status, own: dict[str, str]) -> None:
    lines = []
    for name, value in own.items():
        secret = name.endswith("_TOKEN")
        lines.append(
            f'export {name}="$(cat {workspace.token_file})"' if secret else f"export {name}={shlex.quote(value)}"
        )
    path.write_text("\n".join(lines) + "\n")


def _scenarios(made: Demo) -> None:
    levels: dict[str, float] = {}
    standing: dict[str, object] = {}

    def first(scenario: Scenario) -> None:
        made.new_day()
        release = made.delivered(scenario, made.repository.commit("Score learners' sessions"))
        if release is not None:
            levels["first"] = made.production_scores(scenario)
            standing["settings"] = readback.settings(made.client)["production"]
            standing["version"] = str(release.version)

    def better(scenario: Scenario) -> None:
        made.new_day()
        release = made.delivered(scenario, made.repository.lay_over("2-look-at-answers"))
        if release is not None:
            levels["second"] = made.production_scores(scenario)
            claim = f"scores agree better with the truth ({levels.get('first', 0):.0%} → {levels['second']:.0%})"
            scenario.check(claim, levels["second"] > levels.get("first", 1.0))

    def broken(scenario: Scenario) -> None:
        before = made.store_content()
        commit = made.repository.lay_over("3-broken-test")
        made.stopped(scenario, commit, "TESTS_FAILED", "stopped at test")
        made.untouched_store(scenario, before)
        made.repository.revert(commit)

    def unfit(scenario: Scenario) -> None:
        made.new_day()
        commit = made.repository.lay_over("4-strict-durations")
        made.stopped(scenario, commit, "GATE_FAILED", "stopped on stage")

    def back(scenario: Scenario) -> None:
        made.rolled_back(scenario, standing["settings"], str(standing["version"]))  # type: ignore[arg-type]

    for name, title, act in (
        ("a", "a first commit goes to production", first),
        ("b", "a better commit goes to production, every job re-pointed", better),
        ("c", "a commit whose test fails changes nothing anywhere", broken),
        ("d", "a commit that fails on the stage's real data is taken back; production is never touched", unfit),
        ("e", "production is rolled back by one command", back),
    ):
        if name == "e" and "settings" not in standing:
            continue
        progress_console.rule(f"({name}) {title}", align="left")
        made.run(name, title, act)
