"""Cluster policies through the official client: kept, granted, enforced on clusters and on the clusters of runs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import DatabricksError
from databricks.sdk.errors import InvalidParameterValue, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.iam import AccessControlRequest, ComplexValue, Patch, PatchOp, PatchSchema, PermissionLevel

from support.job_making import ended, results
from support.served_workspace import KEY, Served, as_user, serving

DEFINITION = {
    "node_type_id": {"type": "fixed", "value": "local.small"},
    "spark_version": {"type": "unlimited", "defaultValue": KEY},
    "spark_conf.spark.sql.shuffle.partitions": {"type": "range", "maxValue": 8, "isOptional": True},
    "custom_tags.team": {"type": "allowlist", "values": ["data"], "defaultValue": "data"},
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A workspace in which clusters are made by policies."""
    with serving(tmp_path_factory.mktemp("strict"), restrict_clusters=True) as found:
        yield found


def policy(served: Served, name: str, *users: str, definition: Any = None, **more: Any) -> str:
    """A policy that these users may use."""
    text = json.dumps(DEFINITION if definition is None else definition)
    policy_id = str(served.client.cluster_policies.create(name=name, definition=text, **more).policy_id)
    for user in users:
        as_user(served, user)
        request = AccessControlRequest(user_name=user, permission_level=PermissionLevel.CAN_USE)
        served.client.permissions.update("cluster-policies", policy_id, access_control_list=[request])
    return policy_id


def cluster(client: WorkspaceClient, **spec: Any) -> dict[str, Any]:
    """A cluster made of that, as the API tells of it."""
    made: Any = client.api_client.do("POST", "/api/2.1/clusters/create", body=spec)
    found: Any = client.api_client.do("GET", "/api/2.1/clusters/get", query={"cluster_id": made["cluster_id"]})
    return dict(found)


def test_a_policy_is_kept_changed_and_deleted(strict: Served) -> None:
    policies = strict.client.cluster_policies
    policy_id = policy(strict, "kept", description="for tests")
    found = policies.get(policy_id)
    assert (found.name, json.loads(found.definition or ""), found.description) == ("kept", DEFINITION, "for tests")
    with pytest.raises(ResourceAlreadyExists):
        policy(strict, "kept")
    policies.edit(policy_id, name="kept on", definition="{}", max_clusters_per_user=3)
    assert (policies.get(policy_id).max_clusters_per_user, policies.get(policy_id).definition) == (3, "{}")
    assert "kept on" in {one.name for one in policies.list()}
    policies.delete(policy_id)
    with pytest.raises(DatabricksError, match="does not exist"):
        policies.get(policy_id)


def test_only_those_who_were_given_a_policy_see_and_use_it(strict: Served) -> None:
    policy_id = policy(strict, "given", "ada@example.com")
    ada, bob = as_user(strict, "ada@example.com"), as_user(strict, "bob@example.com")
    spec = {"policy_id": policy_id, "apply_policy_default_values": True, "num_workers": 0}
    assert [one.policy_id for one in ada.cluster_policies.list()] == [policy_id]
    assert list(bob.cluster_policies.list()) == []
    found = cluster(ada, **spec)
    assert (found["node_type_id"], found["spark_version"], found["custom_tags"]) == (
        "local.small",
        KEY,
        {"team": "data"},
    )
    for refused in (
        lambda: bob.cluster_policies.get(policy_id),
        lambda: cluster(bob, **spec),
        lambda: ada.cluster_policies.delete(policy_id),
    ):
        with pytest.raises(PermissionDenied):
            refused()


def test_clusters_are_held_to_their_policy_when_made_edited_and_resized(strict: Served) -> None:
    limited = {**DEFINITION, "num_workers": {"type": "range", "maxValue": 2, "defaultValue": 0}}
    policy_id = policy(strict, "held", "ada@example.com", definition=limited)
    ada = as_user(strict, "ada@example.com")
    spec = {"policy_id": policy_id, "spark_version": KEY, "num_workers": 1, "custom_tags": {"team": "data"}}
    for wrong in (
        {"node_type_id": "local.large"},
        {"custom_tags": {"team": "ops"}},
        {"spark_conf": {"spark.sql.shuffle.partitions": "9"}},
        {"num_workers": 3},
    ):
        with pytest.raises(InvalidParameterValue, match="Validation failed for"):
            cluster(ada, **{**spec, **wrong})
    cluster_id = cluster(ada, **spec)["cluster_id"]
    body = {**spec, "cluster_id": cluster_id, "node_type_id": "local.large"}
    with pytest.raises(InvalidParameterValue, match="Validation failed for node_type_id"):
        ada.api_client.do("POST", "/api/2.1/clusters/edit", body=body)
    with pytest.raises(InvalidParameterValue, match="Validation failed for num_workers"):
        ada.clusters.resize(cluster_id, num_workers=5)


def test_a_user_has_so_many_clusters_and_no_more(strict: Served) -> None:
    policy_id = policy(strict, "few", "carl@example.com", definition={}, max_clusters_per_user=1)
    carl = as_user(strict, "carl@example.com")
    spec = {"policy_id": policy_id, "spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}
    cluster_id = cluster(carl, **spec, idempotency_token="once")["cluster_id"]
    assert cluster(carl, **spec, idempotency_token="once")["cluster_id"] == cluster_id
    with pytest.raises(InvalidParameterValue, match="1 clusters per user"):
        cluster(carl, **spec)
    carl.clusters.delete(cluster_id).result()
    cluster(carl, **spec)


def test_without_a_policy_only_who_is_entitled_makes_clusters(strict: Served) -> None:
    dora = as_user(strict, "dora@example.com")
    spec = {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}
    with pytest.raises(PermissionDenied, match="allow-cluster-create"):
        cluster(dora, **spec)
    with pytest.raises(PermissionDenied, match="allow-cluster-create"):
        job(dora, spec)
    user = next(iter(strict.client.users.list(filter='userName eq "dora@example.com"')))
    entitled = [ComplexValue(value="allow-cluster-create").as_dict()]
    add = Patch(op=PatchOp.ADD, path="entitlements", value=entitled)
    schema = PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP
    strict.client.users.patch(str(user.id), operations=[add], schemas=[schema])
    assert cluster(dora, **spec)["creator_user_name"] == "dora@example.com"


def job(client: WorkspaceClient, spec: dict[str, Any]) -> int:
    """A job on a cluster of that."""
    task = {"task_key": "ruled", "spark_jar_task": {"main_class_name": "Main"}, "new_cluster": spec}
    made: Any = client.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "ruled", "tasks": [task]})
    return int(made["job_id"])


def test_a_run_makes_its_cluster_by_the_policy_and_the_job_stays_as_it_was_written(strict: Served) -> None:
    only_jobs = {**DEFINITION, "cluster_type": {"type": "fixed", "value": "job"}}
    policy_id = policy(strict, "runs", "ada@example.com", definition=only_jobs)
    ada = as_user(strict, "ada@example.com")
    spec = {"policy_id": policy_id, "apply_policy_default_values": True, "num_workers": 0}
    with pytest.raises(InvalidParameterValue, match="cluster_type"):
        cluster(ada, **spec)
    with pytest.raises(InvalidParameterValue, match="Validation failed for node_type_id"):
        job(ada, {**spec, "node_type_id": "local.large"})
    job_id = job(ada, spec)
    assert ada.jobs.get(job_id).as_dict()["settings"]["tasks"][0]["new_cluster"] == spec
    run = ended(ada, ada.jobs.run_now(job_id).run_id)
    assert results(run)["run"] == "SUCCESS"
    made = ada.clusters.get(str(run.tasks[0].cluster_instance.cluster_id))  # type: ignore[index, union-attr]
    assert (made.node_type_id, made.custom_tags) == ("local.small", {"team": "data"})
    # The policy is taken away: the job is still there, its next run says why it does not start.
    strict.client.permissions.set("cluster-policies", policy_id, access_control_list=[])
    run = ended(ada, ada.jobs.run_now(job_id).run_id)
    assert results(run)["run"] == "FAILED"
    assert "CAN_USE" in (run.tasks[0].state.state_message or "")  # type: ignore[index, union-attr]


def test_families_and_libraries_of_policies_are_refused_by_choice(strict: Served) -> None:
    for more in ({"policy_family_id": "personal-vm"}, {"libraries": [{"jar": "dbfs:/x.jar"}]}):
        body = {"name": "odd", "definition": "{}", **more}
        with pytest.raises(DatabricksError, match="not served"):
            strict.client.api_client.do("POST", "/api/2.0/policies/clusters/create", body=body)
