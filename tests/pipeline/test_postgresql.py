"""A server and two workers on one PostgreSQL: one is killed, the database goes away and comes back."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from headway.pipeline.database import open_database
from headway.pipeline.events import Events
from headway.pipeline.workers import Workers
from headway.workspace.runtime.tasks import TaskRequest
from support.postgresql import Postgresql, binaries, cluster
from support.served_ci import Ci, Remote
from support.served_workspace import FunctionDriver, Served, until


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Postgresql]:
    """A cluster."""
    with cluster(binaries()) as made:
        yield made


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, postgresql: Postgresql, workspace: Served) -> Iterator[Ci]:
    """A server that executes nothing itself, and two workers that build one run at a time."""
    options = ("--database", postgresql.url, "--worker-timeout-seconds", "10")
    made = Ci(tmp_path_factory.mktemp("ci"), workspace, options)
    try:
        made.start(("--builds", "0", "--deliveries", "0"))
        for name in ("one", "two"):
            made.add_worker(name, ("--builds", "1"))
        until(lambda: made.works("one") and made.works("two"), 90)
        yield made
    finally:
        made.close()


def begun(run: dict[str, Any], name: str) -> bool:
    """Whether a run is at a step."""
    return any(step["name"] == name and step["state"] == "running" for step in run["steps"])


def at_test(run: dict[str, Any]) -> bool:
    """Whether a run's tests are running."""
    return begun(run, "test")


def test_what_a_killed_worker_had_is_done_by_the_other_one_once(fleet: Ci, workspace: Served, tmp_path: Path) -> None:
    hold, go, released = tmp_path / "hold", tmp_path / "go", tmp_path / "released"
    os.mkfifo(go)

    def slow(driver: FunctionDriver, request: TaskRequest, canceled: Any) -> None:
        hold.touch()
        go.read_text()

    workspace.fleet.acts["left"] = slow
    left, right, other = (Remote(tmp_path, name) for name in ("left", "right", "other"))
    for remote in (right, other):
        remote.write("test.sh", f"while [ ! -e {released} ]; do sleep 0.05; done")
    numbers = []
    for remote in (left, right, other):
        fleet.add(remote)
    numbers = [fleet.push(left, left.commit()).json()["run"]]
    until(hold.exists, 90)
    numbers += [fleet.push(remote, remote.commit()).json()["run"] for remote in (right, other)]
    runs = [fleet.run(numbers[0]), *(fleet.reaches(number, at_test) for number in numbers[1:])]
    assert begun(runs[0], "gate")
    by_pid = {str(worker.pid): worker for worker in fleet.workers}
    owners = [by_pid[run["worker"].split(":")[-2]] for run in runs]
    assert owners[1] is not owners[2]
    assert "headway_workers 3.0" in requests.get(f"{fleet.url}/metrics", timeout=10).text

    # It dies in the gate of one run and in the tests of another.
    dead = owners[0]
    dead.kill()
    dead.wait()
    released.touch()
    go.write_text("on")
    ended = [fleet.ended(number) for number in numbers]
    assert [(run["state"], run["reason"], run["version"]) for run in ended] == [("succeeded", "", "1.0.1")] * 3
    alive = next(str(worker.pid) for worker in fleet.workers if worker is not dead)
    assert ended[0]["worker"].split(":")[-2] == alive
    assert [step["state"] for step in ended[0]["steps"] if step["name"] == "gate"] == ["failed", "ok"]
    assert [step["name"] for step in ended[0]["steps"]].count("build") == 1
    shared = ended[1] if owners[1] is dead else ended[2]
    assert [step["state"] for step in shared["steps"] if step["name"] == "test"] == ["failed", "ok"]
    job = next(iter(workspace.client.jobs.list(name="stage-left")))
    assert len(list(workspace.client.jobs.list_runs(job_id=job.job_id))) == 1
    for remote in (left, right, other):
        found = fleet.ask("GET", f"/apps/{remote.name}/deployments")["deployments"]
        assert [entry["environment"] for entry in found] == ["stage", "production"]
        assert [entry["version"] for entry in fleet.ask("GET", f"/apps/{remote.name}/releases")["releases"]] == [
            "1.0.1"
        ]


def test_a_database_that_goes_away_and_comes_back_loses_nothing(
    fleet: Ci, postgresql: Postgresql, tmp_path: Path
) -> None:
    remote = Remote(tmp_path, "patient")
    go = tmp_path / "go"
    remote.write("test.sh", f"while [ ! -e {go} ]; do sleep 0.05; done; echo tested >> $HOME/tested")
    fleet.add(remote)
    run = fleet.push(remote, remote.commit()).json()["run"]
    fleet.reaches(run, at_test)
    secret = fleet.ask("GET", "/apps/patient/webhook")["secret"]
    postgresql.stop()
    until(lambda: requests.get(f"{fleet.url}/readyz", timeout=30).status_code == 503, 60)
    assert requests.get(f"{fleet.url}/healthz", timeout=10).status_code == 200
    body = {"ref": "refs/heads/main", "after": "a" * 40, "repository": {"full_name": "team/patient"}}
    assert fleet.hook("patient", "push", body, secret=secret).status_code == 503
    go.touch()
    postgresql.start()
    until(lambda: requests.get(f"{fleet.url}/readyz", timeout=30).status_code == 200, 60)
    ended = fleet.ended(run, 120)
    assert (ended["state"], ended["reason"]) == ("succeeded", "")
    assert fleet.times("patient", "tested") == 1


def test_who_follows_misses_no_event_that_is_committed_late(postgresql: Postgresql) -> None:
    database = open_database(postgresql.url)
    events = Events(database)
    begin = events.last()

    def blocked() -> bool:
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(database.run(lambda c: c.execute(waiting).scalar_one()))

    with database.engine.connect() as late, late.begin():
        events.write(late, 1, "late", "run", {"state": "waiting"})
        other = threading.Thread(
            target=lambda: database.run(lambda c: events.write(c, 2, "soon", "run", {"state": "waiting"}))
        )
        other.start()
        until(blocked)
        assert [event for event in events.after(begin) if event.app in ("late", "soon")] == []
    other.join()
    assert [event.app for event in events.after(begin) if event.app in ("late", "soon")] == ["late", "soon"]
    database.engine.dispose()


def test_of_several_servers_one_at_a_time_sends_news(postgresql: Postgresql) -> None:
    database = open_database(postgresql.url)
    with database.alone(7) as first, database.alone(7) as second, database.alone(8) as other:
        assert (first, second, other) == (True, False, True)
    with database.alone(7) as again:
        assert again
    database.engine.dispose()


def test_a_worker_of_another_machine_that_is_silent_is_declared_dead_and_learns_it(postgresql: Postgresql) -> None:
    database = open_database(postgresql.url)
    learnt: list[str] = []
    silent = Workers(database, 0.2, lambda: learnt.append("dead"))
    silent.id = "another-machine:boot:pid:7:7"
    silent.join()
    assert silent.beat() == []
    living = Workers(database, 0.2)
    living.id = "a-third-machine:boot:pid:8:8"
    living.join()
    dead = until(lambda: [found for found in living.beat() if found == silent.id])
    silent.beat()
    assert learnt == ["dead"]
    for worker in (dead[0], living.id):
        living.bury(worker)
    database.engine.dispose()
