"""The commands of `docs/adopting.md` work as they stand, one after the other, on jobs that somebody else made."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headway.workspace.process import Status
from support.copying import copying
from support.job_making import create, task
from support.served_workspace import KEY, Served
from support.tiny_application import TinyApplication

PAGE = Path(__file__).parents[2] / "docs" / "adopting.md"
BLOCKS = dict(re.findall(r"<!-- guide: (\w+) -->\n```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
BUNDLE = """
bundle: {name: guide}
targets:
  prod: {mode: production}
resources:
  jobs:
    score:
      name: bundled-score
      tasks:
        - task_key: t
          job_cluster_key: main
          python_wheel_task: {package_name: greet, entry_point: main}
          libraries: [{whl: ./greet/dist/*.whl}]
      job_clusters:
        - job_cluster_key: main
          new_cluster: {spark_version: "THE_RUNTIME", node_type_id: local.small}
"""


class Guide:
    """A repository before there was Headway, and what runs the guide's blocks in it."""

    def __init__(self, served: Served, folder: Path, name: str) -> None:
        token = folder / "token"
        token.write_text(served.token)
        self.app = TinyApplication(folder, name, Status(True, served.data, url=served.url, token_file=token))
        self.app.git("rm", "-rq", "headway.toml", "jobs", "notebooks", "tests")
        self.app.commit("before Headway")

    def run(self, block: str, status: int = 0) -> str:
        """Run a block; return what it printed."""
        git = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in IDENTITY.items()}
        production = {
            "HEADWAY_PRODUCTION_HOST": self.app.variables["HEADWAY_STAGE_HOST"],
            "HEADWAY_PRODUCTION_TOKEN": self.app.variables["HEADWAY_STAGE_TOKEN"],
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", BLOCKS[block]],
            env={**self.app.variables, **production, **git, "PATH": path},
            cwd=self.app.root,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    def edit(self, deploy: str = 'jobs = "jobs/*.yml"\n', production: str = "") -> None:
        """As the guide says: production alone, and no example of a job. (This repository has no tests.)"""
        for file in (self.app.root / "jobs").glob("*.yml"):
            file.unlink()
        text = (self.app.root / "headway.toml").read_text()
        text = re.sub(r"\n\[\[test\]\].*?(?=\n\[)", "\n", text, flags=re.DOTALL)
        text = re.sub(r"\n\[environments.stage\].*(?=\n\[environments.production\])", "\n", text, flags=re.DOTALL)
        text = text.replace('name = "app"', f'name = "{self.app.name}"')
        text = text.replace('after = "stage"\n', production).replace('jobs = "jobs/*.yml"\n', deploy)
        self.app.write("headway.toml", text)


IDENTITY = {"NAME": "t", "EMAIL": "t@example.org"}


def settings(served: Served, job_id: int) -> dict[str, Any]:
    """A job's settings without its tags."""
    answer: Any = served.client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})
    return {key: value for key, value in answer["settings"].items() if key != "tags"}


def test_from_hand_made_jobs(served: Served, tmp_path: Path) -> None:
    served.fleet.acts["deployJar"] = copying(served)
    jobs = [
        create(
            served.client, task("a", libraries=[{"whl": "dbfs:/old/greet-0.1-py3-none-any.whl"}]), name="etl-orders"
        ),
        create(served.client, task("b"), name="etl-events", tags={"team": "data"}, max_concurrent_runs=3),
    ]
    other = create(served.client, task("c"), name="not ours")
    before = {job_id: settings(served, job_id) for job_id in (*jobs, other)}
    guide = Guide(served, tmp_path, "guide")
    assert "wrote headway.toml" in guide.run("init")
    guide.edit()
    told = guide.run("check", status=2)
    assert "no file matches jobs/*.yml" in told
    looked = guide.run("look")
    assert "2 can be taken over. Nothing was changed" in looked
    assert list((guide.app.root / "jobs").glob("*")) == []
    assert "2 jobs are taken over" in guide.run("adopt")
    assert "nothing to do: 2 jobs are as they should be" in guide.run("plan")
    assert "production stands at" in guide.run("deploy")
    assert {job_id: settings(served, job_id) for job_id in (*jobs, other)} == before


def test_from_a_bundle(served: Served, tmp_path: Path) -> None:
    served.fleet.acts["deployJar"] = copying(served)
    guide = Guide(served, tmp_path, "bundled")
    guide.app.write("databricks.yml", BUNDLE.replace("THE_RUNTIME", KEY))
    guide.run("init")
    toml = re.search(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert toml is not None
    deploy, _, environment = toml.group(1).partition("[environments.production]\n")
    guide.edit(deploy.removeprefix("[deploy]\n").strip() + "\n", environment)
    guide.app.commit("Headway reads the bundle")
    folder = "/Workspace/Shared/.bundle/guide/prod/artifacts/.internal/greet-0.1-py3-none-any.whl"
    wheel = {"package_name": "greet", "entry_point": "main"}
    made = {"task_key": "t", "job_cluster_key": "main", "python_wheel_task": wheel, "libraries": [{"whl": folder}]}
    cluster = {"job_cluster_key": "main", "new_cluster": {"spark_version": KEY, "node_type_id": "local.small"}}
    body = {
        "name": "bundled-score",
        "tasks": [made],
        "job_clusters": [cluster],
        "queue": {"enabled": True},
        "deployment": {"kind": "BUNDLE", "metadata_file_path": "/Workspace/Shared/.bundle/metadata.json"},
    }
    job_id: Any = served.client.api_client.do("POST", "/api/2.2/jobs/create", body=body)["job_id"]
    BLOCKS["bundle"] = BLOCKS["bundle"].replace(
        "--all", "--name bundled-score"
    )  # others' jobs are in this workspace too
    first = guide.run("bundle", status=3)
    assert "refers to a release, and there is none: make one first" in first
    guide.run("plan")
    assert "1 jobs are taken over" in guide.run("bundle")
    planned = guide.run("plan")
    assert "tasks[t].libraries" in planned
    assert "1 to change, 0 unchanged" in planned
    guide.run("deploy")
    assert settings(served, job_id)["tasks"][0]["libraries"][0]["whl"].startswith("dbfs:/FileStore/job-jars/bundled/")


@pytest.mark.parametrize("block", ["init", "check", "look", "adopt", "bundle", "plan", "deploy"])
def test_every_block_is_there(block: str) -> None:
    assert "headway" in BLOCKS[block]


def test_no_block_goes_untested() -> None:
    commands = re.findall(r"```sh\n", PAGE.read_text())
    assert len(commands) == len(BLOCKS) == 7
