"""Jobs that a workspace has already, taken over: over generated job settings, against a model of a workspace."""

import copy
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.adoption import Selection, job_file
from headway.core.application import Application
from headway.core.errors import HeadwayError
from headway.core.jobfiles import read_jobs
from headway.core.plan import TAG_JOB, desired
from headway.delivery.adopting import Wishes, adopt, propose
from headway.delivery.configuration import known_fields
from headway.delivery.deploying import change, finish_interrupted, make_plan
from headway.delivery.rolling_back import settings_at, take_environment_back
from headway.delivery.target import Target
from support.delivery_model import APP, ENVIRONMENT, Killed, Model, release, target

ALL = Wishes(Selection(everything=True))
VALUES = {"bucket": "s3://prod-data", "team": "ops@example.org"}

texts = st.text(st.sampled_from("aZ0 _-/.:${}#'\"\né%"), max_size=12) | st.sampled_from(
    ["${date}", "s3://prod-data/x", "ops@example.org", "on", "1.0", "{{job.id}}", "stage", "- a", "$${x}"]
)
words = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
small = st.integers(0, 3)
libraries = st.lists(st.sampled_from([{"jar": "dbfs:/a.jar"}, {"whl": "/Volumes/w.whl"}, {"pypi": {"package": "x"}}]))
clusters = st.fixed_dictionaries(
    {"spark_version": st.just("4.3.x-scala2.13")},
    optional={
        "node_type_id": words,
        "driver_node_type_id": words,
        "num_workers": small,
        "spark_conf": st.dictionaries(words, texts, max_size=2),
        "custom_tags": st.dictionaries(words, texts, max_size=2),
        "aws_attributes": st.fixed_dictionaries({"availability": st.sampled_from(["SPOT", "ON_DEMAND"])}),
        "init_scripts": st.just([]),
        "enable_elastic_disk": st.booleans(),
    },
)
tasks = st.fixed_dictionaries(
    {"spark_jar_task": st.fixed_dictionaries({"main_class_name": words, "parameters": st.lists(texts, max_size=3)})},
    optional={
        "libraries": libraries,
        "max_retries": small,
        "timeout_seconds": small,
        "run_if": st.sampled_from(["ALL_SUCCESS", "ALL_DONE"]),
        "description": texts,
        "email_notifications": st.sampled_from([{}, {"on_failure": ["ops@example.org"]}, {"on_start": []}]),
        "disabled": st.booleans(),
        "new_cluster": clusters,
    },
)
schedules = st.fixed_dictionaries(
    {
        "quartz_cron_expression": st.just("0 0 1 * * ?"),
        "timezone_id": st.just("UTC"),
        "pause_status": st.sampled_from(["PAUSED", "UNPAUSED"]),  # which every server fills in
    }
)
jobs = st.fixed_dictionaries(
    {"tasks": st.lists(tasks, min_size=1, max_size=3)},
    optional={
        "description": texts,
        "tags": st.dictionaries(words, texts, max_size=2),
        "schedule": schedules,
        "max_concurrent_runs": small,
        "timeout_seconds": small,
        "email_notifications": st.sampled_from([{}, {"on_failure": ["ops@example.org"]}]),
        "webhook_notifications": st.just({"on_start": []}),
        "queue": st.fixed_dictionaries({"enabled": st.booleans()}),
        "parameters": st.lists(st.fixed_dictionaries({"name": words, "default": texts}), max_size=2),
        "run_as": st.just({"user_name": "me@example.org"}),
        "health": st.just({"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 9}]}),
    },
)


def fill(model: Model, fleet: list[dict[str, Any]]) -> None:
    """Put jobs into the model, as somebody else made them."""
    for number, job in enumerate(fleet, 1):
        listed = [{**task, "task_key": f"t{place}"} for place, task in enumerate(job["tasks"])]
        model.jobs[number] = {"name": f"stage-Job {number}", **copy.deepcopy(job), "tasks": listed}
        model.last = number


def at(model: Model, folder: str, pause: Any = None) -> Target:
    environment = replace(ENVIRONMENT, prefix="stage-", values=VALUES, trigger_pause_status=pause)
    return target(model, folder, replace(APP, environments={"stage": environment}), environment)


def with_files(to: Target, root: Path) -> Application:
    """The application as its folder says once the files are there."""
    found = {path.relative_to(root).as_posix(): path.read_text() for path in root.glob("jobs/*.yml")}
    read, problems = read_jobs(found, known_fields())
    assert problems == []
    return replace(to.app, jobs=read)


@settings(max_examples=60, deadline=None)
@given(st.lists(jobs, min_size=1, max_size=3), st.sampled_from([None, "PAUSED", "UNPAUSED"]))
def test_the_first_plan_after_adoption_is_empty_whatever_the_jobs(fleet: list[dict[str, Any]], pause: Any) -> None:
    model = Model()
    fill(model, fleet)
    before = copy.deepcopy(model.jobs)
    with tempfile.TemporaryDirectory() as folder:
        to, root = at(model, f"{folder}/store", pause), Path(folder, "app")
        proposal, state = adopt(to, root, ALL, None)
        assert proposal.refused == ()
        assert set(state.jobs.values()) == set(before)
        assert model.creates == 0
        for number, job in model.jobs.items():
            tags = {name: value for name, value in job["tags"].items() if not name.startswith("headway_")}
            assert {**job, "tags": tags} == {**before[number], "tags": before[number].get("tags", {})}
        app = with_files(to, root)
        here = replace(to, app=app)
        made = make_plan(here, release(1), desired(app, release(1), here.environment))
        assert made.steps == ()
        assert made.orphans == ()
        assert propose(here, ALL, None).candidates == (), "what is ours is not offered again"


@settings(max_examples=10, deadline=None)
@given(st.lists(jobs, min_size=2, max_size=3), st.integers(1, 3))
def test_adoption_that_was_killed_at_any_write_may_be_done_again(fleet: list[dict[str, Any]], killed_at: int) -> None:
    model = Model()
    fill(model, fleet)

    def die(number: int) -> None:
        if number >= killed_at:
            raise Killed

    model.before_write = die
    with tempfile.TemporaryDirectory() as folder:
        to, root = at(model, f"{folder}/store"), Path(folder, "app")
        try:
            adopt(to, root, ALL, None)
        except Killed:
            model.before_write = lambda _: None
            to = replace(to, app=with_files(to, root))
            adopt(to, root, ALL, None)
        state = to.ledger.state()
        assert set(state.jobs.values()) == set(model.jobs)
        assert to.ledger.unfinished() == []
        assert {job["tags"][TAG_JOB] for job in model.jobs.values()} == set(state.jobs)


PLAIN = {"tasks": [{"spark_jar_task": {"main_class_name": "A"}, "libraries": [{"jar": "dbfs:/a.jar"}]}]}


def one(tmp_path: Path, **more: Any) -> tuple[Model, Target]:
    model = Model()
    fill(model, [{**PLAIN, **more}])
    return model, at(model, str(tmp_path / "store"))


@pytest.mark.parametrize(
    ("change_", "told"),
    [
        ({"name": "prod-x"}, "name: 'prod-x' does not begin with 'stage-', the prefix of stage"),
        ({"novelty": 1}, "novelty: a field that this Headway does not know; a deploy would drop it"),
        ({"format": "SINGLE_TASK"}, "tasks: a job without tasks"),
        ({"deployment": {"kind": "BUNDLE"}}, "deployment: a bundle deploys it; `--from-bundle`"),
        ({"tags": {"headway_app": "other", "headway_environment": "e", "headway_job": "k"}}, "it is k of other in e"),
        ({"tasks": [{"task_key": "t", "spark_jar_task": {}, "surprise": 1}]}, "tasks.0.surprise: a field that this"),
        ({"parameters": [{"name": "api_token", "default": "[REDACTED]"}]}, "parameters.0.default: the workspace does"),
        (
            {"job_clusters": [{"job_cluster_key": "m", "new_cluster": {"spark_conf": {"fs.s3a.secret.key": "abc"}}}]},
            "job_clusters.0.new_cluster.spark_conf.fs.s3a.secret.key: a secret in plain text",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_by_field_and_nothing_is_changed(
    tmp_path: Path, change_: dict[str, Any], told: str
) -> None:
    model, to = one(tmp_path, **change_)
    if "tasks" in change_:
        model.jobs[1]["tasks"] = change_["tasks"]
    problems = propose(to, ALL, None).candidates[0].problems
    assert any(told in problem for problem in problems), problems
    with pytest.raises(HeadwayError) as caught:
        adopt(to, tmp_path / "app", ALL, None)
    assert (caught.value.code, caught.value.exit_status) == ("ADOPT_REFUSED", 3)
    assert (model.writes, list(tmp_path.glob("app/**/*.yml"))) == (0, [])
    assert "abc" not in caught.value.message


def test_a_secret_that_the_environment_holds_is_written_as_its_name(tmp_path: Path) -> None:
    cluster = {"job_cluster_key": "m", "new_cluster": {"spark_conf": {"fs.s3a.secret.key": "s3://prod-data"}}}
    _, to = one(tmp_path, job_clusters=[cluster])
    proposal = propose(to, ALL, None)
    assert proposal.refused == ()
    assert "fs.s3a.secret.key: ${var.bucket}" in proposal.texts["jobs/job-1.yml"]


def test_what_is_written_reads_as_a_person_would_write_it(tmp_path: Path) -> None:
    server = {
        "format": "MULTI_TASK",
        "max_concurrent_runs": 1,
        "timeout_seconds": 0,
        "email_notifications": {},
        "schedule": {"quartz_cron_expression": "0 0 1 * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED"},
    }
    model, to = one(tmp_path, **server)
    model.jobs[1]["tasks"] = [
        {
            "libraries": [{"jar": "dbfs:/a.jar"}],
            "spark_jar_task": {"main_class_name": "A", "parameters": ["s3://prod-data/in", "${date}"]},
            "task_key": "ingest",
            "run_if": "ALL_SUCCESS",
            "new_cluster": {"spark_version": "k", "node_type_id": "n", "driver_node_type_id": "n", "num_workers": 0},
        },
        {"task_key": "next", "run_job_task": {"job_id": 2}, "depends_on": [{"task_key": "ingest"}]},
    ]
    model.jobs[2] = {**copy.deepcopy(model.jobs[1]), "name": "stage-Other", "tasks": model.jobs[1]["tasks"][:1]}
    assert propose(to, ALL, None).texts["jobs/job-1.yml"] == (
        """# Adopted from job 1 of stage.
resources:
  jobs:
    job-1:
      name: Job 1
      schedule:
        quartz_cron_expression: 0 0 1 * * ?
        timezone_id: UTC
      tasks:
        - task_key: ingest
          spark_jar_task:
            main_class_name: A
            parameters:
              - ${var.bucket}/in
              - $${date}
          libraries:
            - jar: dbfs:/a.jar
          new_cluster:
            spark_version: k
            node_type_id: n
        - task_key: next
          depends_on:
            - task_key: ingest
          run_job_task:
            job_id: ${resources.jobs.other.id}
"""
    )


def test_a_job_that_is_defined_already_is_recorded_or_refused_by_what_differs(tmp_path: Path) -> None:
    model, to = one(tmp_path)
    adopt(to, tmp_path / "app", ALL, None)
    app = with_files(to, tmp_path / "app")
    other = replace(target(model, str(tmp_path / "other"), app, app.environments["stage"]))
    for job in model.jobs.values():
        job["tags"] = {}
    assert propose(other, ALL, None).texts == {}
    assert propose(other, ALL, None).refused == ()
    model.jobs[1]["timeout_seconds"] = 5
    assert propose(other, ALL, None).refused[0].problems == ("its definition differs: timeout_seconds: 5 → None",)
    taken = propose(other, replace(ALL, differing=True), None)
    assert taken.refused == ()
    assert taken.candidates[0].notes == ("its first deploy changes timeout_seconds: 5 → None",)


def test_no_release_and_no_rollback_deletes_a_job_that_was_there_before_us(tmp_path: Path) -> None:
    model, to = one(tmp_path)
    adopt(to, tmp_path / "app", ALL, None)
    unaware = make_plan(to, release(1), {})
    assert unaware.steps == ()
    assert unaware.orphans[0].reason == "it was adopted, and this release does not define it yet; it is left alone"
    before = to.ledger.state()
    with to.ledger.locked(to.clock) as hold:
        finish_interrupted(to, hold)
        change(to, release(1), {}, hold)
    assert set(to.ledger.state().jobs.values()) == {1}
    app = with_files(to, tmp_path / "app")
    with to.ledger.locked(to.clock) as hold:
        wanted = desired(app, release(2), to.environment)
        change(to, release(2), {key: {**job, "timeout_seconds": 8} for key, job in wanted.items()}, hold)
    assert model.jobs[1]["timeout_seconds"] == 8
    assert to.ledger.state().adopted == ()
    assert set(settings_at(to, to.ledger.state().history[0])) == {"job-1"}
    take_environment_back(to, before)
    assert "timeout_seconds" not in model.jobs[1]
    assert make_plan(to, release(2), desired(app, release(2), to.environment)).steps == ()


def test_a_selection_takes_what_fits_each_kind() -> None:
    settings_ = {"name": "etl-orders", "tags": {"team": "data"}}
    assert Selection(names=("etl-*",), tags=("team=data",)).takes(1, settings_)
    assert Selection(names=("x", "etl-*")).takes(1, settings_)
    assert Selection(tags=("team",)).takes(1, settings_)
    assert not Selection(tags=("team=other",)).takes(1, settings_)
    assert not Selection(names=("etl-*",), ids=(2,)).takes(1, settings_)
    assert not Selection(everything=True, without=("*orders",)).takes(1, settings_)


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("jobs/*.yml", "jobs/a.yml"),
        ("ops/**/*.yaml", "ops/a.yaml"),
        ("*.job.yml", "a.job.yml"),
        ("jobs/all.yml", ""),
        ("teams/*/jobs/*.yml", ""),
    ],
)
def test_a_file_goes_where_the_configuration_looks_for_it(pattern: str, file: str) -> None:
    assert job_file(pattern, "a") == file
