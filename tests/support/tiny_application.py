"""A small Python application in a git repository of its own, driven by the command line as a user does."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.workspace.process import Status

FILES = {
    "headway.toml": """
[app]
name = "{name}"
version = "2.5"
spark = "4.3.0"

[store]
url = "${{env.HEADWAY_STORE}}"

[[test]]
name = "unit"
command = "python -m unittest discover -s tests"

[[artifact]]
name = "greet"
kind = "wheel"
builder = "wheel"
path = "greet"

[[artifact]]
name = "notebooks"
kind = "notebooks"
builder = "notebooks"
path = "notebooks"

[environments.stage]
host = "${{env.HEADWAY_STAGE_HOST}}"
token_env = "HEADWAY_STAGE_TOKEN"
prefix = "stage-"
values = {{ who = "stage" }}
[[environments.stage.gates]]
kind = "run"
jobs = ["greet"]

[environments.production]
host = "${{env.HEADWAY_STAGE_HOST}}"
token_env = "HEADWAY_STAGE_TOKEN"
prefix = ""
after = "stage"
values = {{ who = "production" }}
""",
    "jobs/greet.yml": """
resources:
  jobs:
    greet:
      name: {name}
      tasks:
        - task_key: greet
          job_cluster_key: main
          python_wheel_task: {{package_name: greet, entry_point: main, parameters: ["${{var.who}}"]}}
          libraries: [{{whl: "${{artifact.greet.path}}"}}]
        - task_key: tell
          job_cluster_key: main
          depends_on: [{{task_key: greet}}]
          notebook_task:
            notebook_path: ${{artifact.notebooks.path}}/tell
            base_parameters: {{version: "${{release.version}}"}}
      job_clusters:
        - job_cluster_key: main
          new_cluster: {{spark_version: "${{release.spark_version}}", node_type_id: local.small, num_workers: 0}}
""",
    "greet/pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "greet"
dynamic = ["version"]
[project.entry-points.jobs]
main = "greet:main"
[tool.setuptools]
py-modules = ["greet"]
""",
    "greet/setup.py": """
import os
from setuptools import setup
setup(version=os.environ.get("HEADWAY_VERSION", "0"))
""",
    "greet/greet.py": """
import sys
from pyspark.sql import SparkSession


def greeting(who):
    return f"hello {{who}}"


def main():
    print(SparkSession.builder.getOrCreate().createDataFrame([(greeting(sys.argv[1]),)], "text string").first().text)
""",
    "tests/test_greet.py": """
import pathlib, sys, unittest
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "greet"))
import greet


class GreetTest(unittest.TestCase):
    def test_greeting(self):
        self.assertEqual(greet.greeting("you"), "hello you")
""",
    "notebooks/tell.py": """# Databricks notebook source
dbutils.notebook.exit("told " + dbutils.widgets.get("version"))
""",
}


@dataclass(frozen=True)
class Answer:
    """What the command line said. `out` is standard output, `err` standard error."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class TinyApplication:
    """A small Python application in a git repository, with a store of its own."""

    def __init__(self, folder: Path, name: str, workspace: Status) -> None:
        self.root, self.store, self.name = folder / "app", folder / "store", name
        assert workspace.token_file is not None
        assert workspace.url is not None
        self.variables = {
            **os.environ,
            "HEADWAY_STORE": self.store.as_uri(),
            "HEADWAY_STAGE_HOST": workspace.url,
            "HEADWAY_STAGE_TOKEN": workspace.token_file.read_text(),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }
        for path, text in FILES.items():
            self.write(path, text.format(name=name))
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("first")

    def write(self, path: str, text: str) -> None:
        """Put a file into the work tree."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a file of the work tree."""
        text = (self.root / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def git(self, *arguments: str) -> str:
        """Run git in the work tree."""
        return subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def headway(self, *arguments: str, **variables: str) -> Answer:
        """Run the command line in the work tree, as a user does."""
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=300)
        return Answer(process.returncode, out, err)

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        """The same, without waiting for its end."""
        return subprocess.Popen(
            [sys.executable, "-m", "headway.cli", *arguments],
            cwd=self.root,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stored(self) -> dict[str, bytes]:
        """Every file of the store but locks."""
        files = (path for path in self.store.rglob("*") if path.is_file() and ".headway" not in path.parts)
        return {
            path.relative_to(self.store).as_posix(): path.read_bytes() for path in files if path.name != "lock.json"
        }
