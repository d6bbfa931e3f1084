"""Plan, apply, roll back against a served workspace through the official client, with a fault at every call."""

from typing import Any

import pytest
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel

from headway.core.errors import HeadwayError
from headway.core.plan import desired
from headway.delivery.deploying import Way, make_plan, resume
from headway.delivery.gates import require_verified, verify
from support.delivered_fleet import Fleet, Killed, faults


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


def test_permissions_are_taken_back_by_the_release_that_declares_them_no_more(fleet: Fleet) -> None:
    given = "\n      permissions: [{level: CAN_VIEW, group_name: users}]\n      tasks:"
    target, without = fleet.target("a", edit=lambda text: text.replace("\n      tasks:", given)), fleet.target("a")

    def groups() -> list[str | None]:
        rights = fleet.served.client.permissions.get("jobs", str(target.ledger.state().jobs["a"]))
        return [entry.group_name for entry in rights.access_control_list or []]

    fleet.deploy(target, 1)
    assert "users" in groups()
    fleet.deploy(without, 2)
    assert "users" not in groups()
    writes = faults(without).writes
    fleet.deploy(without, 2)
    assert faults(without).writes == writes
    fleet.served.client.permissions.update(
        "jobs",
        str(target.ledger.state().jobs["a"]),
        access_control_list=[AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_VIEW)],
    )
    fleet.deploy(without, 3)
    assert "users" in groups(), "what we never gave is not ours to take"
