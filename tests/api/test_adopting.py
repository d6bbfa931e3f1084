"""Jobs that somebody made in a served workspace, taken over: nothing is created, runs stay, the first plan is empty."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headway.adapters.clock import SystemClock
from headway.adapters.databricks import connect
from headway.adapters.filestore import FileStore
from headway.core.adoption import Selection
from headway.core.application import Application
from headway.core.configuration import Files, parse
from headway.core.events import ignore
from headway.core.plan import desired
from headway.core.release import Release, Version
from headway.delivery.adopting import Wishes, adopt, propose
from headway.delivery.configuration import application_of, known_fields
from headway.delivery.deploying import Target, change, make_plan
from headway.delivery.ledger import Ledger
from support.job_making import create, ended, task
from support.served_workspace import KEY, Served

TOML = """
[app]
name = "taken"
version = "1.0"
spark = "4.3.0"
[store]
url = "file:///unused"
[[artifact]]
name = "jar"
kind = "jar"
builder = "command"
command = "true"
output = "x"
[environments.production]
host = "{host}"
token_env = "TOKEN"
prefix = "taken-"
values = {{ bucket = "s3://prod-data" }}
"""
OWN = "resources: {jobs: {own: {name: own, tasks: [{task_key: t, spark_jar_task: {main_class_name: A}}]}}}"
ALL = Wishes(Selection(names=("taken-*",)), permissions=True)


@pytest.fixture
def target(served: Served, tmp_path: Path) -> Target:
    """An application that has a job of its own, not deployed yet."""
    app = parse(Files(TOML.format(host=served.url), {"jobs/own.yml": OWN}), {}, known_fields())
    assert isinstance(app, Application), app
    environment, store = app.environments["production"], FileStore(tmp_path / "store")
    connection = connect(environment, {"TOKEN": served.token})
    return Target(app, environment, connection, Ledger(store, "taken", "production"), store, SystemClock(), ignore)


def release() -> Release:
    at = "2026-01-01T00:00:00Z"
    return Release("taken", Version(1, 0, 1), "c", "main", "s", "a", at, "4.3.0", "2.13", KEY, {}, ())


def test_jobs_are_taken_over_with_their_runs_and_nothing_would_change(
    served: Served, target: Target, tmp_path: Path
) -> None:
    second = create(served.client, task("later"), name="taken-later", timeout_seconds=60)
    schedule = {"quartz_cron_expression": "0 0 1 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}
    first = create(
        served.client,
        task("ingest", max_retries=2, libraries=[{"jar": "dbfs:/FileStore/in.jar"}]),
        {"task_key": "then", "depends_on": [{"task_key": "ingest"}], "run_job_task": {"job_id": second}},
        task("read", "ingest", email_notifications={"on_failure": ["ops@example.org"]}, description="${not} ours"),
        name="taken-Nightly ingest",
        schedule=schedule,
        tags={"team": "data"},
        parameters=[{"name": "day", "default": "s3://prod-data/monday"}],
    )
    served.client.users.create(user_name="reader@example.org")
    rights = {"access_control_list": [{"user_name": "reader@example.org", "permission_level": "CAN_VIEW"}]}
    served.client.api_client.do("PATCH", f"/api/2.0/permissions/jobs/{second}", body=rights)
    run = ended(served.client, served.client.jobs.run_now(second).run_id or 0)

    def settings(job_id: int) -> dict[str, Any]:
        answer: Any = served.client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})
        return {name: value for name, value in answer["settings"].items() if name != "tags"}

    before = {job_id: settings(job_id) for job_id in (first, second)}
    proposal, state = adopt(target, tmp_path, ALL, None)
    assert {job_id: settings(job_id) for job_id in (first, second)} == before
    assert dict(state.jobs) == {"nightly-ingest": first, "later": second}
    assert state.version is None
    assert [entry.run_id for entry in served.client.jobs.list_runs(job_id=second)] == [run.run_id]
    text = (tmp_path / "jobs/nightly-ingest.yml").read_text()
    assert "job_id: ${resources.jobs.later.id}" in text
    assert "description: $${not} ours" in text
    assert "${var.bucket}/monday" in text
    assert "max_concurrent_runs" not in text
    assert "reader@example.org" in (tmp_path / "jobs/later.yml").read_text()
    assert proposal.refused == ()

    files = {f"jobs/{name}.yml": (tmp_path / f"jobs/{name}.yml").read_text() for name in ("nightly-ingest", "later")}
    app = application_of(Files(TOML.format(host=served.url), files), {})
    here = replace(target, app=app)
    made = make_plan(here, release(), desired(app, release(), here.environment))
    assert (made.steps, made.unchanged) == ((), ("later", "nightly-ingest"))
    assert propose(here, ALL, None).candidates == ()


def test_a_job_that_refers_to_another_new_one_is_created_after_it_with_its_number(
    served: Served, target: Target
) -> None:
    text = """
resources:
  jobs:
    a-caller:
      name: refers
      tasks: [{task_key: t, run_job_task: {job_id: "${resources.jobs.z-called.id}"}}]
    z-called:
      name: is called
      tasks: [{task_key: t, run_job_task: {job_id: "${resources.jobs.zz-last.id}"}}]
    zz-last:
      name: last
      tasks: [{task_key: t, condition_task: {op: EQUAL_TO, left: a, right: a}}]
"""
    app = application_of(Files(TOML.format(host=served.url), {"jobs/a.yml": text}), {})
    here = replace(target, app=app)
    wanted = desired(app, release(), here.environment)
    with here.ledger.locked(here.clock) as hold:
        state = change(here, release(), wanted, hold)
    job: Any = served.client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": state.jobs["a-caller"]})
    assert job["settings"]["tasks"][0]["run_job_task"]["job_id"] == state.jobs["z-called"]
    assert make_plan(here, release(), wanted).steps == ()
    served.client.jobs.delete(state.jobs["zz-last"])
    made = make_plan(here, release(), wanted)
    assert [step.action for step in made.steps] == ["reset", "create"]
    with here.ledger.locked(here.clock) as hold:
        state = change(here, release(), wanted, hold)
    called: Any = served.client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": state.jobs["z-called"]})
    assert called["settings"]["tasks"][0]["run_job_task"]["job_id"] == state.jobs["zz-last"]
    assert make_plan(here, release(), wanted).steps == ()
