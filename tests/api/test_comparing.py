"""Drift and parity of environments in a served workspace, by the commands that people use."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headway.adapters.clock import SystemClock
from headway.adapters.filestore import FileStore
from headway.cli.main import app as program
from headway.core.errors import HeadwayError
from headway.core.events import ignore
from headway.core.plan import desired
from headway.core.release import Release, Version
from headway.delivery.configuration import load_application, read_files
from headway.delivery.deploying import change
from headway.delivery.gates import verify
from headway.delivery.line import Line
from headway.delivery.releasing import RECORD, configuration_bytes, record_bytes, release_folder
from support.served_workspace import KEY, Served

TOML = """
[app]
name = "{name}"
version = "1.0"
spark = "4.3.0"
[store]
url = "file://{folder}/store"
[[artifact]]
name = "jar"
kind = "jar"
builder = "command"
command = "true"
output = "x"
[environments.stage]
host = "{host}"
token_env = "TOKEN"
prefix = "stage-{name}-"
values = {{ runtime = "{spark}", retries = 1, day = "monday" }}
[[environments.stage.gates]]
kind = "parity"
against = "production"
[environments.production]
host = "{host}"
token_env = "TOKEN"
prefix = "{name}-"
values = {{ runtime = "{spark}", retries = 3, day = "monday" }}
after = "stage"
[[parity.allow]]
field = "*.timeout_seconds"
jobs = ["daily"]
reason = "stage has less data"
"""
JOBS = """
resources:
  jobs:
    daily: &job
      name: daily
      max_concurrent_runs: 2
      tasks:
        - task_key: t
          max_retries: ${var.retries}
          job_cluster_key: main
          spark_jar_task: {main_class_name: Main, parameters: ["${var.day}", "${release.version}"]}
      job_clusters:
        - job_cluster_key: main
          new_cluster: {spark_version: "${var.runtime}", node_type_id: local.small}
    hourly:
      <<: *job
      name: hourly
    both:
      name: both
      tasks:
        - {task_key: first, run_job_task: {job_id: "${resources.jobs.daily.id}"}}
        - {task_key: then, depends_on: [{task_key: first}], run_job_task: {job_id: "${resources.jobs.hourly.id}"}}
"""


class House:
    """An application with a stage and a production in one workspace, both at a release."""

    def __init__(self, served: Served, folder: Path, name: str) -> None:
        self.served, self.folder = served, folder
        (folder / "jobs").mkdir()
        (folder / "jobs" / "j.yml").write_text(JOBS)
        (folder / "headway.toml").write_text(TOML.format(name=name, folder=folder, host=served.url, spark=KEY))
        self.deploy("stage", 1)
        self.deploy("production", 1)

    @property
    def line(self) -> Line:
        """As the folder says now."""
        application = load_application(self.folder, {"TOKEN": self.served.token})
        return Line(application, FileStore(self.folder / "store"), {"TOKEN": self.served.token}, SystemClock(), ignore)

    def deploy(self, environment: str, build: int) -> None:
        """Bring a release of what the folder says there."""
        target = self.line.target(environment)
        at = "2026-01-01T00:00:00Z"
        release = Release(
            target.app.name, Version(1, 0, build), "c", "main", "s", "a", at, "4.3.0", "2.13", KEY, {}, ()
        )
        place = release_folder(target.app.name, release.version)
        target.store.put(f"{place}/{RECORD}", record_bytes(release))
        target.store.put(f"{place}/configuration.json", configuration_bytes(read_files(self.folder)))
        with target.ledger.locked(target.clock) as hold:
            change(target, release, desired(target.app, release, target.environment), hold)

    def job(self, environment: str, key: str) -> int:
        """The number of a job."""
        return self.line.target(environment).ledger.state().jobs[key]

    def by_hand(self, environment: str, key: str, **settings: Any) -> None:
        """Somebody changes a job."""
        body = {"job_id": self.job(environment, key), "new_settings": settings}
        self.served.client.api_client.do("POST", "/api/2.2/jobs/update", body=body)

    def edit(self, before: str, after: str) -> None:
        """Change headway.toml."""
        path = self.folder / "headway.toml"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    def run(self, *arguments: str) -> tuple[int, str]:
        """A command of `headway`: its exit status and what it printed."""
        found = CliRunner(env={"TOKEN": self.served.token}).invoke(program, [*arguments, "--root", str(self.folder)])
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found.exit_code, found.stdout

    def told(self, *arguments: str) -> Mapping[str, Any]:
        """What it told in JSON."""
        return dict(json.loads(self.run(*arguments, "--output", "json")[1]))


@pytest.fixture
def house(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> House:
    """One of its own for each test."""
    return House(served, tmp_path, f"app-{abs(hash(request.node.name)) % 10**8}")


def test_nothing_drifts_that_nobody_changed(house: House) -> None:
    status, text = house.run("drift", "stage")
    assert status == 0, text
    assert "no drift; 3 jobs stand as they were left" in text


def test_drift_tells_what_was_changed_and_what_it_was(house: House) -> None:
    house.by_hand("stage", "daily", max_concurrent_runs=7, description="by hand")
    house.served.client.jobs.delete(house.job("stage", "hourly"))
    status, text = house.run("drift", "stage")
    assert status == 2
    assert "max_concurrent_runs: was left as 2, is 7" in text
    assert "description: was left as (not there), is by hand" in text
    assert "gone: the job was deleted from the workspace" in text
    assert "`headway deploy stage --version 1.0.1` brings back" in text
    found = house.told("drift", "stage")["drift"]
    assert {(entry["key"], entry["kind"], entry["path"]) for entry in found["deviations"]} == {
        ("daily", "changed", "max_concurrent_runs"),
        ("daily", "changed", "description"),
        ("hourly", "gone", ""),
    }
    markdown = house.run("drift", "stage", "--output", "markdown")[1]
    assert "| daily | max\\_concurrent\\_runs | 2 | 7 |" in markdown
    house.deploy("stage", 1)
    assert house.run("drift", "stage")[0] == 0


def test_what_the_configuration_declares_is_parity(house: House) -> None:
    status, text = house.run("parity", "stage", "production", "--all")
    assert status == 0, text
    assert "= daily  tasks[t].max_retries: 1 in stage, 3 in production" in text
    assert "headway.toml gives ${var.retries} a value for each" in text
    assert verify(house.line.target("stage")).passed


def test_numbers_of_jobs_differ_by_nature_unless_they_mean_another_job(house: House) -> None:
    assert house.job("stage", "daily") != house.job("production", "daily")
    found = house.told("parity", "stage", "production")["parity"]["differences"]
    assert not [entry for entry in found if "run_job_task" in entry["path"]]
    # A stage's job that was deleted and deployed again has another number, and so has what runs it.
    house.served.client.jobs.delete(house.job("stage", "daily"))
    house.deploy("stage", 2)
    status, text = house.run("parity", "stage", "production")
    assert status == 0, text
    # In production somebody lets `both` run another job.
    hourly = house.job("production", "hourly")
    tasks: list[dict[str, Any]] = [
        {"task_key": "first", "run_job_task": {"job_id": hourly}},
        {"task_key": "then", "run_job_task": {"job_id": hourly}, "depends_on": [{"task_key": "first"}]},
    ]
    house.by_hand("production", "both", tasks=tasks)
    status, text = house.run("parity", "stage", "production")
    assert status == 2
    assert f"≠ both  tasks[first].run_job_task.job_id: ${{resources.jobs.daily.id}} in stage, {hourly}" in text
    assert "tasks[then]" not in text


def test_another_runtime_is_none_whatever_declares_it(house: House) -> None:
    house.edit(f'runtime = "{KEY}", retries = 3', 'runtime = "3.5.x-scala2.12", retries = 3')
    status, text = house.run("parity", "stage", "production")
    assert status == 2
    where = "job_clusters[main].new_cluster.spark_version"
    assert f"≠ daily  {where}: {KEY} in stage, 3.5.x-scala2.12 in production" in text
    assert "parity.strict wants it equal" in text
    house.edit("[[parity.allow]]", "[parity]\nstrict = []\n[[parity.allow]]")
    assert house.run("parity", "stage", "production")[0] == 0


def test_what_hands_changed_is_told_unless_a_rule_allows_it(house: House) -> None:
    house.by_hand("production", "daily", timeout_seconds=60, max_concurrent_runs=9)
    found = house.told("parity", "stage", "production")["parity"]["differences"]
    told = {entry["path"]: (entry["allowed"], entry["origin"], entry["left"], entry["right"]) for entry in found}
    assert told["max_concurrent_runs"] == (False, "hand", 2, 9)
    assert told.get("timeout_seconds") == (False, "hand", None, 60)  # the rule means those of tasks
    house.edit('field = "*.timeout_seconds"', 'field = "*timeout_seconds"')
    allowed = {e["path"]: e["allowed"] for e in house.told("parity", "stage", "production")["parity"]["differences"]}
    assert allowed["timeout_seconds"]
    house.edit('reason = "stage has less data"', 'reason = "stage has less data"\nuntil = 2020-01-01')
    text = house.run("parity", "stage", "production")[1]
    assert "the rule that allowed it is over: stage has less data (until 2020-01-01)" in text
    with pytest.raises(HeadwayError, match=r"production in 2 field\(s\): daily max_concurrent_runs: 2 ≠ 9"):
        verify(house.line.target("stage"))
    verdict = house.line.target("stage").ledger.state().verdict
    assert verdict is not None
    assert not verdict.passed
    assert verdict.evidence[0]["gate"] == "parity"


def test_a_release_on_its_way_is_no_difference_a_missing_job_is(house: House) -> None:
    jobs = house.folder / "jobs" / "j.yml"
    jobs.write_text(jobs.read_text().replace("max_concurrent_runs: 2", "max_concurrent_runs: 5"))
    house.deploy("stage", 2)
    assert house.run("parity", "stage", "production")[0] == 0
    house.served.client.jobs.delete(house.job("production", "hourly"))
    status, text = house.run("parity", "stage", "production")
    assert status == 2
    assert "≠ hourly  (the job): is there in stage, is not there in production" in text


def test_a_gate_that_cannot_be_is_told_with_its_line(house: House) -> None:
    house.edit('against = "production"', 'against = "nowhere"')
    with pytest.raises(HeadwayError) as caught:
        _ = house.line
    assert "a parity gate needs `against`, another environment (production)" in str(caught.value.diagnostics[0])  # type: ignore[attr-defined]
