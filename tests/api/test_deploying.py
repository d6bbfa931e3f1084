"""Plan, apply, roll back against a served workspace through the official client, with a fault at every call."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.errors.platform import BadRequest

from headway.adapters.clock import SystemClock
from headway.adapters.databricks import connect
from headway.adapters.filestore import FileStore
from headway.core.application import Application
from headway.core.configuration import Files, parse
from headway.core.errors import HeadwayError
from headway.core.events import ignore
from headway.core.plan import desired
from headway.core.release import Release, Version
from headway.delivery.configuration import known_fields
from headway.delivery.deploying import Target, Way, change, finish_interrupted, make_plan, resume
from headway.delivery.gates import require_verified, verify
from headway.delivery.ledger import Ledger
from headway.delivery.observing import observe
from support.served_workspace import KEY, Served

TOML = """
[app]
name = "{name}"
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
[environments.stage]
host = "{host}"
token_env = "TOKEN"
prefix = "stage-"
[[environments.stage.gates]]
kind = "run"
jobs = ["{gated}"]
"""
JOB = """
    {key}:
      name: {name}-{key}
      tasks:
        - task_key: {task}
          job_cluster_key: main
          spark_jar_task: {{main_class_name: Main, parameters: ["${{release.version}}"]}}
      job_clusters:
        - job_cluster_key: main
          new_cluster: {{spark_version: "{spark}", node_type_id: local.small}}
"""


class Killed(BaseException):
    """As SIGKILL: nothing is caught, nothing is cleaned up."""


@dataclass
class Faults:
    """Stands between the client and the workspace: counts writes, and makes the n-th one fail."""

    do: Callable[..., Any]
    fail_at: int | None = None
    after: bool = False
    writes: int = 0
    kill_at: int | None = None

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A call of the client."""
        if method != "POST":
            return self.do(method, *arguments, **named)
        self.writes += 1
        if self.kill_at is not None and self.writes >= self.kill_at:
            raise Killed
        broken = self.writes == self.fail_at
        if broken and not self.after:
            raise BadRequest("it broke before it was done")
        answer = self.do(method, *arguments, **named)
        if broken:
            raise BadRequest("it was done, and the answer was lost")
        return answer


class Fleet:
    """An application with jobs of the given keys, deployed to a served workspace."""

    def __init__(self, served: Served, folder: Path, name: str) -> None:
        self.served, self.name, self.store = served, name, FileStore(folder)

    def target(self, *keys: str, task: str = "t") -> Target:
        """Where to, with a definition for each of these jobs."""
        jobs = "".join(JOB.format(key=key, name=self.name, spark=KEY, task=task) for key in keys)
        toml = TOML.format(name=self.name, host=self.served.url, gated=keys[0])
        app = parse(Files(toml, {"jobs/j.yml": f"resources:\n  jobs:{jobs}"}), {}, known_fields())
        assert isinstance(app, Application), app
        environment = app.environments["stage"]
        connection = connect(environment, {"TOKEN": self.served.token})
        connection.client.api_client.do = Faults(connection.client.api_client.do)  # type: ignore[method-assign]
        ledger = Ledger(self.store, app.name, "stage")
        return Target(app, environment, connection, ledger, self.store, SystemClock(), ignore)

    def release(self, build: int) -> Release:
        """A release without artifacts."""
        at = "2026-01-01T00:00:00Z"
        return Release(self.name, Version(1, 0, build), "c", "main", "s", "a", at, "4.3.0", "2.13", KEY, {}, ())

    def deploy(self, target: Target, build: int) -> None:
        """Bring the environment to a release, as `deploy` does once the artifacts are there."""
        release = self.release(build)
        with target.ledger.locked(target.clock) as hold:
            finish_interrupted(target, hold)
            change(target, release, desired(target.app, release, target.environment), hold)

    def standing(self, target: Target) -> dict[str, Any]:
        """The settings of every job, as the workspace has them."""
        return {job.key: job.settings for job in observe(target.connection, target.app, target.environment)}


def faults(target: Target) -> Faults:
    """What stands between."""
    found = target.connection.client.api_client.do
    assert isinstance(found, Faults)
    return found


@pytest.fixture
def fleet(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Fleet:
    """An application of its own for each test."""
    return Fleet(served, tmp_path, f"app-{abs(hash(request.node.name)) % 10**8}")


def test_deploying_again_writes_nothing(fleet: Fleet) -> None:
    target = fleet.target("a", "b", "c")
    fleet.deploy(target, 1)
    assert faults(target).writes == 3
    serial = target.ledger.state().serial
    fleet.deploy(target, 1)
    assert faults(target).writes == 3
    assert target.ledger.state().serial == serial
    assert make_plan(target, fleet.release(1), desired(target.app, fleet.release(1), target.environment)).empty


def test_a_deploy_creates_resets_and_deletes(fleet: Fleet) -> None:
    fleet.deploy(fleet.target("a", "b"), 1)
    target = fleet.target("b", "c")
    ids = dict(target.ledger.state().jobs)
    fleet.deploy(target, 2)
    standing = fleet.standing(target)
    assert set(standing) == {"b", "c"}
    assert standing["b"]["tasks"][0]["spark_jar_task"]["parameters"] == ["1.0.2"]
    assert standing["b"]["name"] == f"stage-{fleet.name}-b"
    assert target.ledger.state().jobs["b"] == ids["b"]
    assert set(target.ledger.state().jobs) == {"b", "c"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("position", [1, 2, 3, 4])
def test_a_fault_at_any_call_leaves_every_job_as_it_was(fleet: Fleet, position: int, after: bool) -> None:
    fleet.deploy(fleet.target("a", "b", "old"), 1)
    target = fleet.target("a", "b", "new")
    before = fleet.standing(target)
    state = target.ledger.state()
    faults(target).fail_at, faults(target).after = position, after
    with pytest.raises(HeadwayError) as caught:
        fleet.deploy(target, 2)
    assert caught.value.code == "APPLY_FAILED"
    assert "Every job was taken back" in caught.value.message
    assert fleet.standing(target) == before
    assert target.ledger.state() == state
    assert [entry.outcome for entry in target.ledger.deployments()] == ["rolled back", "converged"]
    fleet.deploy(target, 3)
    assert set(fleet.standing(target)) == {"a", "b", "new"}


def test_a_deployer_that_was_killed_when_all_was_done_has_deployed(fleet: Fleet) -> None:
    fleet.deploy(fleet.target("a", "old"), 1)
    target = fleet.target("a", "new")
    before = fleet.standing(target)

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    target.ledger.write = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        fleet.deploy(target, 2)
    fresh = fleet.target("a", "new")
    assert fleet.standing(fresh) != before
    assert fresh.ledger.state().version == "1.0.1"
    ended, state = resume(fresh)
    assert ended is not None
    assert (ended.outcome, state.version) == ("converged", "1.0.2"), "all was done; only the state was not written"
    assert set(fleet.standing(fresh)) == {"a", "new"}
    assert fresh.ledger.unfinished() == []


@pytest.mark.parametrize("way", ["forward", "back"])
def test_what_a_killed_deployer_left_half_done_is_finished_or_taken_back(fleet: Fleet, way: Way) -> None:
    fleet.deploy(fleet.target("a", "b", "old"), 1)
    target = fleet.target("a", "b", "new")
    before = fleet.standing(target)
    faults(target).kill_at = 2
    with pytest.raises(Killed):
        fleet.deploy(target, 2)
    fresh = fleet.target("a", "b", "new")
    ended, state = resume(fresh, way)
    assert ended is not None
    if way == "back":
        assert fleet.standing(fresh) == before
        assert (ended.outcome, state.version) == ("rolled back", "1.0.1")
    else:
        assert set(fleet.standing(fresh)) == {"a", "b", "new"}
        assert (ended.outcome, state.version) == ("converged", "1.0.2")
        assert make_plan(fresh, fleet.release(2), ended.settings).empty
    assert resume(fresh) == (None, state)


def test_a_job_that_was_deleted_by_hand_comes_back(fleet: Fleet) -> None:
    target = fleet.target("a", "b")
    fleet.deploy(target, 1)
    target.connection.client.jobs.delete(target.ledger.state().jobs["a"])
    fleet.deploy(target, 1)
    assert set(fleet.standing(target)) == {"a", "b"}


def test_only_what_passed_may_go_further(fleet: Fleet) -> None:
    target = fleet.target("a", task="passes")
    fleet.deploy(target, 1)
    with pytest.raises(HeadwayError) as caught:
        require_verified(target, "1.0.1", {})
    assert caught.value.code == "NOT_VERIFIED"
    verdict = verify(target)
    assert [(entry["job"], entry["result"]) for entry in verdict.evidence] == [("a", "SUCCESS")]
    require_verified(target, "1.0.1", {})
    for version, digests in (("1.0.2", {}), ("1.0.1", {"jar": "other bytes"})):
        with pytest.raises(HeadwayError, match="has not passed"):
            require_verified(target, version, digests)
    fleet.deploy(target, 2)
    with pytest.raises(HeadwayError, match="has not passed"):
        require_verified(target, "1.0.1", {})


def test_a_gate_that_refuses_says_which_task_failed_and_is_recorded(fleet: Fleet) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("the data is not like that")

    fleet.served.fleet.acts["unfit"] = fail
    target = fleet.target("a", task="unfit")
    fleet.deploy(target, 1)
    with pytest.raises(HeadwayError, match="task unfit: ValueError: the data is not like that") as caught:
        verify(target)
    assert (caught.value.code, caught.value.exit_status) == ("GATE_FAILED", 3)
    verdict = target.ledger.state().verdict
    assert verdict is not None
    assert not verdict.passed
    assert verdict.evidence[0]["result"] == "FAILED"
