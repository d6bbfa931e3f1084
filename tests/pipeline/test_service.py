"""What people and programs ask of the engine, against a real database; runs are set off into a list."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from headway.adapters.gitmirror import Mirror, git_variables
from headway.core.errors import HeadwayError
from headway.core.plan import CreateJob, Plan
from headway.pipeline.database import Database, lock_for_one, now_ms
from headway.pipeline.engine import partition
from headway.pipeline.model import App, Run
from headway.pipeline.service import PipelineService, full_name_of
from headway.pipeline.tables import metadata

COMMIT = "a" * 40


@pytest.fixture
def off() -> list[int]:
    """The runs that were set off."""
    return []


@pytest.fixture
def service(database: Database, off: list[int], tmp_path: Path) -> PipelineService:
    """A service with one application."""

    def mirror(app: App) -> Mirror:
        return Mirror(app.repository, tmp_path / "mirror", git_variables())

    made = PipelineService(database, lambda run: off.append(run.id), mirror, {})
    made.apps.add(App("scores", "file:///nowhere", branches=("main",)))
    return made


def new_run(service: PipelineService, **values: Any) -> Run:
    """A run, set off."""
    fields: Mapping[str, Any] = {
        "app": "scores",
        "kind": "line",
        "commit": COMMIT,
        "branch": "main",
        "trigger": "push",
        "triggered_by": "ann",
        **values,
    }
    run = service.runs.get(service.database.run(lambda c: service.runs.add(c, fields)))
    return service.set_off(service.app("scores"), run)


def a_plan(serial: int) -> Plan:
    """A plan of one job."""
    return Plan("scores", "production", "1.0.2", "1.0.1", serial, (CreateJob("score", {"name": "score"}),), ())


def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "headway_version"})
        assert compare_metadata(context, metadata) == []


def test_a_newer_commit_supersedes_what_waits_and_nothing_else(service: PipelineService, off: list[int]) -> None:
    deploying, waiting, other = new_run(service), new_run(service), new_run(service, branch="release")
    service.runs.move(waiting.id, "superseded", "waiting")
    service.runs.move(deploying.id, "superseded", "delivering")
    newest = new_run(service)
    states = {run.id: run.state for run in service.list_runs("scores")}
    assert states == {
        deploying.id: "delivering",
        waiting.id: "superseded",
        other.id: "waiting",
        newest.id: "waiting",
    }
    assert service.run(waiting.id).superseded_by == newest.id
    assert off == [deploying.id, waiting.id, other.id, newest.id]


def test_an_approval_holds_for_the_digest_that_was_read_and_no_other(service: PipelineService, off: list[int]) -> None:
    run = new_run(service)
    service.runs.move(run.id, "waiting", "awaiting_approval")
    asked = service.records.ask(run, "production", a_plan(1))
    assert service.plan_for_approval(run.id) == asked
    assert "+ score" in asked.text
    with pytest.raises(HeadwayError) as caught:
        service.approve(run.id, a_plan(2).digest, "ann")
    assert caught.value.code == "APPROVAL_OUTDATED"
    assert service.run(run.id).state == "awaiting_approval"

    newer = service.records.ask(run, "production", a_plan(2))
    with pytest.raises(HeadwayError, match="another plan"):
        service.approve(run.id, asked.digest, "ann")
    assert service.approve(run.id, newer.digest, "ann").decided_by == "ann"
    again = service.run(run.id)
    assert (again.state, again.attempt) == ("ready", 2)
    assert off == [run.id, run.id]
    with pytest.raises(HeadwayError) as caught:
        service.approve(run.id, newer.digest, "bob")
    assert caught.value.code == "APPROVAL_NOT_ASKED"


def test_a_rejected_plan_ends_the_run(service: PipelineService) -> None:
    run = new_run(service)
    service.runs.move(run.id, "waiting", "awaiting_approval")
    asked = service.records.ask(run, "production", a_plan(1))
    service.reject(run.id, asked.digest, "bob", "not on a Friday")
    ended = service.run(run.id)
    assert ended.state == "cancelled"
    assert ended.reason == "bob rejected the plan for production: not on a Friday"


def test_a_run_that_ended_waits_for_no_approval_and_a_retry_asks_anew(service: PipelineService) -> None:
    run = new_run(service)
    service.runs.move(run.id, "waiting", "awaiting_approval")
    asked = service.records.ask(run, "production", a_plan(1))
    service.cancel(run.id, "ann")
    assert service.plan_for_approval(run.id) is None
    with pytest.raises(HeadwayError) as caught:
        service.approve(run.id, asked.digest, "bob")
    assert caught.value.code == "APPROVAL_NOT_ASKED"
    service.retry(run.id, "ann")
    again = service.records.ask(run, "production", a_plan(1))
    assert (again.id > asked.id, again.digest) == (True, asked.digest)
    assert service.records.approved(run.id, "production") is None


def test_lines_that_the_database_took_before_it_went_away_are_written_once(service: PipelineService) -> None:
    run = new_run(service)
    step = service.runs.begin_step(run, "test", None, "unit")
    for _ in range(2):
        service.runs.append_log(run, step, [(0, "one")])
    assert service.tail_log(run.id, step).lines == ("one",)


def test_a_waiting_run_is_cancelled_at_once_and_a_working_one_is_asked(service: PipelineService) -> None:
    waiting, working = new_run(service, branch="a"), new_run(service, branch="b")
    service.runs.move(working.id, "waiting", "making")
    assert service.cancel(waiting.id, "ann").state == "cancelled"
    asked = service.cancel(working.id, "ann")
    assert (asked.state, asked.cancel_requested) == ("making", "ann")
    with pytest.raises(HeadwayError) as caught:
        service.cancel(waiting.id, "ann")
    assert caught.value.code == "RUN_STATE"


def test_a_log_is_read_on_from_where_one_stopped(service: PipelineService) -> None:
    run = new_run(service)
    step = service.runs.begin_step(run, "test", None, "unit")
    service.runs.append_log(run, step, [(0, "one\ntwo"), (1, "three")])
    page = service.tail_log(run.id, step)
    assert (page.lines, page.ended) == (("one", "two", "three"), False)
    service.runs.append_log(run, step, [(2, "four")])
    service.runs.end_step(run, step, "ok", 1.5, "1 test passed")
    rest = service.tail_log(run.id, step, page.next)
    assert (rest.lines, rest.ended) == (("four",), True)
    with pytest.raises(HeadwayError) as caught:
        service.tail_log(run.id, 9)
    assert caught.value.code == "STEP_UNKNOWN"


def test_followers_see_every_change_in_order(service: PipelineService) -> None:
    begin = service.last_event()
    run = new_run(service)
    step = service.runs.begin_step(run, "test", None, "unit")
    service.runs.end_step(run, step, "failed", 2.0, "no")
    service.runs.move(run.id, "waiting", "failed", reason="no")
    found = service.follow(begin, run.id)
    assert [(event.kind, event.data["state"]) for event in found] == [
        ("run", "waiting"),
        ("step", "running"),
        ("step", "failed"),
        ("run", "failed"),
    ]
    assert service.follow(found[-1].seq, run.id, seconds=0) == []


def test_a_retry_forgets_what_comes_after_the_chosen_step(service: PipelineService, off: list[int]) -> None:
    run = new_run(service)
    for name, environment in (("test", None), ("build", None), ("apply", "stage"), ("apply", "production")):
        number = service.runs.begin_step(run, name, environment, "")  # type: ignore[arg-type]
        service.runs.end_step(run, number, "ok", 1, "")
    for key, value in (("tests", []), ("release", "1.0.1"), ("done", ["stage", "production"])):
        service.runs.remember(run.id, key, value)
    service.runs.move(run.id, "waiting", "failed")
    service.retry(run.id, "ann", from_step=4)
    assert service.runs.memory(run.id)["done"] == ["stage"]
    assert (service.run(run.id).state, service.run(run.id).attempt) == ("ready", 2)
    service.runs.move(run.id, "ready", "failed")
    service.retry(run.id, "ann", from_step=2)
    assert service.runs.memory(run.id) == {"tests": []}
    assert service.run(run.id).state == "waiting"
    assert off == [run.id] * 3


def test_a_decision_whose_server_was_killed_then_is_carried_out_later(service: PipelineService, off: list[int]) -> None:
    approved, rejected = new_run(service, branch="a"), new_run(service, branch="b")
    for run, verdict in ((approved, "approved"), (rejected, "rejected")):
        service.runs.move(run.id, "waiting", "awaiting_approval")
        asked = service.records.ask(run, "production", a_plan(1))
        service.settle(service.run(run.id))
        assert service.run(run.id).state == "awaiting_approval"
        service.records.decide(run, asked.digest, verdict, "ann", "")  # type: ignore[arg-type]
        service.settle(service.run(run.id))
    assert [service.run(run.id).state for run in (approved, rejected)] == ["ready", "cancelled"]
    assert off == [approved.id, rejected.id, approved.id]


def test_a_newer_head_of_a_pull_request_supersedes_its_older_one_only(service: PipelineService) -> None:
    one = new_run(service, kind="pull_request", pull_request=1)
    other = new_run(service, kind="pull_request", pull_request=2)
    line = new_run(service)
    newer = new_run(service, kind="pull_request", pull_request=1)
    states = [service.run(run.id).state for run in (one, other, line, newer)]
    assert states == ["superseded", "waiting", "waiting", "waiting"]
    assert partition(line) != partition(newer)


def test_a_run_that_ends_leaves_no_step_running_and_is_retried_once(service: PipelineService) -> None:
    run = new_run(service)
    service.runs.begin_step(run, "test", None, "unit")
    service.runs.move(run.id, "waiting", "failed")
    assert [(step.state, step.detail) for step in service.steps(run.id)] == [("cancelled", "the run was failed here")]
    service.retry(run.id, "ann")
    with pytest.raises(HeadwayError) as caught:
        service.retry(run.id, "bob")
    assert caught.value.code == "RUN_STATE"


def test_old_logs_are_forgotten_and_those_of_living_runs_kept(service: PipelineService) -> None:
    old, living = new_run(service, branch="a"), new_run(service, branch="b")
    for run in (old, living):
        service.runs.append_log(run, service.runs.begin_step(run, "test", None, ""), [(0, "a line")])
    service.runs.move(old.id, "waiting", "failed")
    assert service.runs.forget_logs(now_ms() + 1) == 1
    assert service.tail_log(old.id, 1).lines == ()
    assert service.tail_log(living.id, 1).lines == ("a line",)


def test_who_waits_for_a_database_gives_up_when_the_process_stops(tmp_path: Path) -> None:
    hurry = threading.Event()
    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    hurry.set()
    with pytest.raises(HeadwayError) as caught:
        Database(engine).patient(3600, hurry).run(lambda c: c.execute(text("SELECT 1")))
    assert caught.value.code == "PIPELINE_DATABASE"


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("https://github.com/team/scores.git", "team/scores"),
        ("https://git.example.org:8443/a/b/c/", "a/b/c"),
        ("git@git.example.org:team/scores.git", "team/scores"),
        ("ssh://git@git.example.org/team/scores", "team/scores"),
        ("file:///srv/git/scores.git", ""),
    ],
)
def test_a_repositorys_name_is_read_from_its_url(repository: str, name: str) -> None:
    assert full_name_of(repository) == name


def test_a_second_server_on_one_sqlite_file_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/headway.db"
    first = lock_for_one(url, tmp_path)
    with pytest.raises(HeadwayError, match="serves on the database"):
        lock_for_one(url, tmp_path)
    assert first is not None
    first.close()
    third = lock_for_one(url, tmp_path)
    assert third is not None
    (tmp_path / "headway.db").touch()
    (tmp_path / "another-name.db").symlink_to(tmp_path / "headway.db")
    with pytest.raises(HeadwayError, match="serves on the database"):
        lock_for_one(f"sqlite:///{tmp_path}/another-name.db", tmp_path)
    third.close()
