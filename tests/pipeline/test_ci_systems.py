"""The line as another CI system runs it: each job of the GitHub workflow in a clone of its own, with what the workflow
gives it and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from headway.adapters.stores import open_store
from headway.cli.main import app
from headway.core.application import StoreSettings
from headway.core.release import Version
from headway.delivery.releasing import list_releases
from support.served_ci import TOML, Remote
from support.served_workspace import Served

APPROVED = TOML.replace('prefix = ""', 'prefix = ""\napproval = true')


class Runner:
    """Does what GitHub's runners do, as far as these workflows need it."""

    def __init__(self, folder: Path, remote: Remote, values: dict[str, str]) -> None:
        self.folder, self.remote, self.values = folder, remote, values
        self.workflow: Any = yaml.safe_load((remote.clone / ".github/workflows/headway.yml").read_text())
        self.commit = remote.git("rev-parse", "HEAD")
        self.commands: list[str] = []

    def run(self) -> None:
        """Every job in order. Raise CalledProcessError for the first that fails."""
        for name, job in self.workflow["jobs"].items():
            clone = self.folder / name
            subprocess.run(["git", "clone", "--quiet", self.remote.url, str(clone)], check=True)
            given = {**self.workflow["env"], **job.get("env", {})}
            variables = {key: self.values[key] for key in given if key in self.values}
            for step in job["steps"]:
                self._step(clone, step, variables)

    def _step(self, clone: Path, step: dict[str, Any], variables: dict[str, str]) -> None:
        uses, options = step.get("uses", ""), step.get("with", {})
        if uses.startswith("actions/download-artifact"):
            shutil.copytree(self.folder / f"kept-{options['name']}", clone / options["path"], dirs_exist_ok=True)
        elif uses.startswith("actions/upload-artifact"):
            kept = self.folder / f"kept-{options['name']}"
            kept.mkdir()
            for path in options["path"].split():
                shutil.copy(clone / path, kept)  # GitHub keeps what lies below the paths' common folder
        elif "junit" in uses:
            (pattern,) = options["report_paths"].split()
            assert list(clone.glob(pattern)), pattern
        elif "run" in step and "pip install" not in step["run"]:
            self.commands.append(step["run"])
            own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.folder / "home")}
            environment = {**own, **variables, "GITHUB_SHA": self.commit, "NO_COLOR": "1"}
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=clone, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{step['run']}\n{done.stdout}\n{done.stderr}"


def test_the_line_runs_by_the_commands_of_a_workflow(workspace: Served, tmp_path: Path) -> None:
    remote = Remote(tmp_path / "remote", "elsewhere")
    remote.write("headway.toml", APPROVED.format(name="elsewhere"))
    made = CliRunner().invoke(app, ["init", "--root", str(remote.clone), "--ci", "github"])
    assert made.exit_code == 0, made.output
    remote.commit("with a workflow")
    store = tmp_path / "store"
    values = {
        "HEADWAY_STAGE_HOST": workspace.url,
        "HEADWAY_STAGE_TOKEN": workspace.token,
        "HEADWAY_STORE": store.as_uri(),
    }
    runner = Runner(tmp_path, remote, values)
    runner.run()
    assert [command.split()[1] for command in runner.commands] == [
        "check", "test", "release", "deploy", "verify", "plan", "deploy",
    ]  # fmt: skip
    names = {job.settings.name for job in workspace.client.jobs.list() if job.settings}
    assert {"elsewhere", "stage-elsewhere"} <= names
    (release,) = list_releases(open_store(StoreSettings(store.as_uri())), "elsewhere")
    assert (release.version, release.commit) == (Version(1, 0, 1), runner.commit)
    assert [(test.step, test.passed) for test in release.tests] == [("unit", 1)]
