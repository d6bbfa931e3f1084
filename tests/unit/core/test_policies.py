"""Policies are read from job files, wrong ones are told with file and line; planning after apply is empty."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.application import Application
from headway.core.configuration import Files, parse
from headway.core.plan import Plan
from headway.core.planfile import from_json, shown, to_json
from headway.core.policies import desired_policies, policy_steps
from headway.core.release import Artifact, Release, Version
from headway.core.rendering import as_markdown, as_text
from headway.core.steps import DeletePolicy, SetPolicy
from headway.delivery.configuration import known_fields
from unit.core.test_configuration import JOB, TOML, VARIABLES

POLICIES = """resources:
  cluster_policies:
    small:
      name: small
      definition: {spark_version: {type: fixed, value: "${release.spark_version}"}}
    large:
      name: large
      max_clusters_per_user: 3
      definition: '{"num_workers": {"type": "range", "maxValue": 40}}'
"""
RELEASE = Release(
    "demo", Version(1, 0, 7), "c", "main", "s", "a", "t", "4.3.0", "2.13", "key-4.3",
    {"jar": Artifact("jar", "jar", "jar-1.0.7.jar", "k", "0" * 64, 1)}, (),
)  # fmt: skip
rules = st.dictionaries(st.sampled_from(["num_workers", "spark_conf.a", "node_type_id"]), st.integers(0, 3), min_size=1)
fleets = st.dictionaries(st.sampled_from(["policy:a", "policy:b", "policy:c"]), rules, max_size=3)


def read(policies: str, job: str = JOB) -> Any:
    return parse(Files(TOML, {"jobs/main.yml": job, "jobs/policies.yml": policies}), VARIABLES, known_fields())


def test_policies_are_read_and_resolved() -> None:
    app = read(POLICIES, JOB.replace("node_type_id: n", "policy_id: '${resources.cluster_policies.small.id}'"))
    assert isinstance(app, Application), app
    found = desired_policies(app, RELEASE, app.environments["stage"])
    assert set(found) == {"policy:small", "policy:large"}
    assert found["policy:small"]["name"] == "stage-small"
    assert json.loads(found["policy:small"]["definition"]) == {"spark_version": {"type": "fixed", "value": "key-4.3"}}
    assert json.loads(found["policy:large"]["definition"])["num_workers"]["maxValue"] == 40


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: small", "title: small", "jobs/policies.yml:3: resources.cluster_policies.small.name: a policy needs a"),
        ("name: small", "name: large", "has the same name"),
        (
            "max_clusters_per_user: 3",
            "max_clusters_per_user: 0",
            "policies.yml:8: resources.cluster_policies.large.max",
        ),
        ("max_clusters_per_user: 3", "clusters: 3", "large.clusters: unknown key"),
        ('"maxValue": 40}}', '"maxValue": 40}', "large.definition: a policy needs a definition"),
        ("${release.spark_version}", "${release.spark}", "${release.spark}: unknown reference"),
        ("  cluster_policies:", "  cluster_policy:", "resources.jobs: expected a mapping of jobs"),
    ],
)
def test_a_bad_policy_is_told_with_its_line(old: str, new: str, expected: str) -> None:
    assert old in POLICIES
    found = [str(problem) for problem in read(POLICIES.replace(old, new, 1))]
    assert any(expected in problem for problem in found), found


def test_a_job_that_refers_to_a_policy_that_is_not_there_is_told() -> None:
    job = JOB.replace("node_type_id: n", "policy_id: '${resources.cluster_policies.tiny.id}'")
    assert any("there is no cluster policy tiny" in str(problem) for problem in read(POLICIES, job))


def settings(fleet: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: {"name": key, "definition": json.dumps(definition)} for key, definition in fleet.items()}


def as_answered(wanted: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By name, as a workspace lists them: with what it says, and the definition written otherwise."""
    return {
        policy["name"]: {
            **policy,
            "definition": json.dumps(dict(reversed(json.loads(policy["definition"]).items())), indent=2),
            "description": "",
            "policy_id": f"id-{key}",
            "creator_user_name": "eve",
            "is_default": False,
        }
        for key, policy in wanted.items()
    }


@given(fleets, fleets)
def test_each_policy_has_one_fate_and_planning_after_apply_is_empty(old: dict[str, Any], new: dict[str, Any]) -> None:
    first, last = policy_steps(settings(new), as_answered(settings(old)), settings(old))
    assert {step.key for step in first} == {key for key in new if old.get(key) != new[key]}
    assert all(isinstance(step, SetPolicy) and (step.before is None) == (step.key not in old) for step in first)
    assert {step.key for step in last} == set(old) - set(new)
    assert policy_steps(settings(new), as_answered(settings(new)), settings(new)) == ((), ())


def test_a_plan_with_policies_is_shown_and_read_again() -> None:
    old, new = (
        settings({"policy:a": {"n": 1}, "policy:gone": {"n": 1}}),
        settings({"policy:a": {"n": 2}, "policy:b": {}}),
    )
    first, last = policy_steps(new, as_answered(old), old)
    assert isinstance(last[0], DeletePolicy)
    plan = Plan("app", "stage", "1.0.2", "1.0.1", 3, (*first, *last), (), settings=new)
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan
    text = as_text(plan)
    assert "definition.n: 1 → 2" in text
    assert "2 policies to set, 1 policies to delete" in text
    assert "definition.n" in as_markdown(plan)
    assert [step["action"] for step in shown(plan)["steps"]] == ["set policy", "set policy", "delete policy"]
