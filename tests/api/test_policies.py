"""Cluster policies of an application: planned, applied and taken back with the jobs that go by them."""

import json
from typing import Any

import pytest
from databricks.sdk.service.compute import Policy

from headway.core.errors import HeadwayError
from headway.core.steps import DeletePolicy, SetPolicy
from headway.delivery.deploying import everything, make_plan, resume
from headway.delivery.drifting import drift
from headway.delivery.releasing import RECORD, record_bytes, release_folder
from headway.delivery.target import Target
from support.delivered_fleet import Fleet, Killed, faults

POLICY = """
  cluster_policies:
    small:
      name: {name}
      description: for the nightly jobs
      definition:
        num_workers: {{type: range, maxValue: {most}, isOptional: true}}
"""


class Ruled:
    """A fleet whose jobs' clusters go by a policy of the application."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def target(self, *keys: str, most: int = 4, policy: bool = True, task: str = "t") -> Target:
        """Where to; with the policy, and jobs that refer to it, or without either."""
        text = POLICY.format(name=f"{self.fleet.name}-small", most=most)

        def edit(jobs: str) -> str:
            if not policy:
                return jobs
            ruled = "node_type_id: local.small, policy_id: '${resources.cluster_policies.small.id}'}"
            return jobs.replace("node_type_id: local.small}", ruled) + text

        return self.fleet.target(*keys, edit=edit, task=task)

    @property
    def name(self) -> str:
        """The policy's name in the stage."""
        return f"stage-{self.fleet.name}-small"

    def policy(self) -> Policy | None:
        """It, as the workspace has it."""
        return next((one for one in self.fleet.served.client.cluster_policies.list() if one.name == self.name), None)

    def most(self) -> int | None:
        """What it allows."""
        policy = self.policy()
        return None if policy is None else json.loads(policy.definition or "")["num_workers"]["maxValue"]

    def by(self, target: Target) -> set[Any]:
        """The policies that the jobs' clusters go by."""
        jobs = self.fleet.standing(target).values()
        return {cluster["new_cluster"].get("policy_id") for job in jobs for cluster in job["job_clusters"]}


@pytest.fixture
def ruled(fleet: Fleet) -> Ruled:
    """It."""
    return Ruled(fleet)


def test_a_policy_is_made_before_its_jobs_changed_and_deleted_after_them(ruled: Ruled) -> None:
    target = ruled.target("a", "b")
    planned = make_plan(target, ruled.fleet.release(1), everything(target, ruled.fleet.release(1)))
    assert isinstance(planned.steps[0], SetPolicy)
    ruled.fleet.deploy(target, 1)
    policy = ruled.policy()
    assert policy is not None
    assert (policy.description, ruled.most()) == ("for the nightly jobs", 4)
    assert ruled.by(target) == {policy.policy_id}
    writes = faults(target).writes
    ruled.fleet.deploy(target, 1)
    assert faults(target).writes == writes, "nothing changed: nothing is written"

    target = ruled.target("a", "b", most=2)
    ruled.fleet.deploy(target, 1)
    assert faults(target).writes == 1, "the policy alone"
    assert ruled.most() == 2
    assert ruled.by(target) == {policy.policy_id}

    without = ruled.target("a", "b", policy=False)
    planned = make_plan(without, ruled.fleet.release(2), everything(without, ruled.fleet.release(2)))
    assert isinstance(planned.steps[-1], DeletePolicy)
    ruled.fleet.deploy(without, 2)
    assert ruled.policy() is None
    assert ruled.by(without) == {None}


def test_a_policy_that_was_changed_or_deleted_by_hand_is_drift_and_is_put_right(ruled: Ruled) -> None:
    target = ruled.target("a")
    ruled.fleet.deploy(target, 1)
    release = ruled.fleet.release(1)
    ruled.fleet.store.put(f"{release_folder(release.app, release.version)}/{RECORD}", record_bytes(release))
    assert drift(target).deviations == ()
    policy = ruled.policy()
    assert policy is not None
    client = ruled.fleet.served.client.cluster_policies
    changed = json.dumps({**json.loads(policy.definition or ""), "num_workers": {"type": "range", "maxValue": 99}})
    client.edit(str(policy.policy_id), name=policy.name, definition=changed, description=policy.description)
    (found,) = drift(target).deviations
    assert (found.kind, found.key, found.path) == ("changed", "policy:small", "definition.num_workers")
    ruled.fleet.deploy(target, 1)
    assert ruled.most() == 4
    without = ruled.target("a", policy=False)
    client.delete(str(policy.policy_id))
    assert {(entry.kind, entry.key) for entry in drift(target).deviations} >= {("gone", "policy:small")}
    ruled.fleet.deploy(target, 1)
    again = ruled.policy()
    assert again is not None
    assert ruled.by(target) == {again.policy_id} != {policy.policy_id}
    assert drift(target).deviations == ()
    ruled.fleet.deploy(without, 2)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("position", [1, 2, 3, 4, 5])
def test_a_fault_at_any_call_leaves_policies_and_jobs_as_they_were(ruled: Ruled, position: int, after: bool) -> None:
    ruled.fleet.deploy(ruled.target("a", "old"), 1)
    before, policy = ruled.fleet.standing(ruled.target("a")), ruled.policy()
    target = ruled.target("a", "new", most=2)  # the policy, a reset, a creation, a deletion
    faults(target).fail_at, faults(target).after = position, after
    if position == 5:
        ruled.fleet.deploy(target, 2)
        assert ruled.most() == 2
        return
    lost = position == 4 and after  # the deletion was done, and is found to be
    with pytest.raises(HeadwayError) as caught:
        ruled.fleet.deploy(target, 2)
    assert caught.value.code == "APPLY_FAILED"
    standing = ruled.fleet.standing(ruled.target("a"))
    assert (standing == before) or lost
    assert set(standing) == {"a", "old"}
    assert ruled.policy() == policy


@pytest.mark.parametrize("way", ["forward", "back"])
@pytest.mark.parametrize("kill_at", [1, 2, 3, 4])
def test_killed_at_any_call_jobs_and_policies_end_all_new_or_all_old(ruled: Ruled, kill_at: int, way: Any) -> None:
    without = ruled.target("a", policy=False)
    ruled.fleet.deploy(without, 1)
    target = ruled.target("a", "b")  # the policy, a reset, a creation
    faults(target).kill_at = kill_at
    if kill_at < 4:
        with pytest.raises(Killed):
            ruled.fleet.deploy(target, 2)
    else:
        ruled.fleet.deploy(target, 2)
    fresh = ruled.target("a", "b")
    ended, state = resume(fresh, way)
    new = way == "forward" or kill_at == 4
    assert state.version == ("1.0.2" if new else "1.0.1")
    assert set(ruled.fleet.standing(fresh)) == ({"a", "b"} if new else {"a"})
    policy = ruled.policy()
    assert ruled.by(fresh) == ({policy.policy_id} if new and policy else {None})
    assert (policy is not None) == new
    assert (ended is None) == (kill_at == 4)
    assert make_plan(fresh, ruled.fleet.release(2), everything(fresh, ruled.fleet.release(2))).empty == new


def test_a_policy_that_comes_back_has_another_number_and_its_jobs_go_by_it(ruled: Ruled) -> None:
    ruled.fleet.deploy(ruled.target("a", "b"), 1)
    old = ruled.policy()
    assert old is not None
    without = ruled.target("a", policy=False)  # a reset, a deletion, the policy's deletion
    faults(without).fail_at, faults(without).after = 3, False
    with pytest.raises(HeadwayError, match="Every job was taken back"):
        ruled.fleet.deploy(without, 2)
    present = ruled.policy()
    assert present is not None
    assert ruled.by(without) == {present.policy_id}
    assert set(ruled.fleet.standing(without)) == {"a", "b"}
