"""All-purpose clusters, through the official client; their drivers run functions."""

import threading
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, InvalidParameterValue, InvalidState, ResourceDoesNotExist
from databricks.sdk.service import compute

from headway.workspace.runtime.tasks import DriverFailed, TaskRequest
from support.served_workspace import KEY, FunctionDriver, FunctionFleet, Served, serving, until

SPEC: dict[str, Any] = {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}


def create(served: Served, **more: Any) -> str:
    """A cluster that runs. (The client's own waiting sleeps for a second or more each time.)"""
    made = served.client.api_client.do("POST", "/api/2.1/clusters/create", body={**SPEC, **more})
    return in_state(served, made["cluster_id"], "RUNNING")


def in_state(served: Served, cluster_id: str, state: str) -> str:
    """Wait until the cluster is in that state."""
    until(lambda: served.client.clusters.get(cluster_id).state is compute.State(state))
    return cluster_id


def submit(served: Served, cluster_id: str, *keys: str, **more: Any) -> int:
    """A run whose tasks run on the cluster, all at once."""
    body = {
        "run_name": "r",
        "tasks": [
            {"task_key": key, "existing_cluster_id": cluster_id, "spark_jar_task": {"main_class_name": "M"}, **more}
            for key in keys
        ],
    }
    return int(served.client.api_client.do("POST", "/api/2.1/jobs/runs/submit", body=body)["run_id"])


def result(served: Served, run_id: int) -> tuple[str, str]:
    """How a run ended, and what it told."""
    run = until(lambda: (found := served.client.jobs.get_run(run_id)).state.result_state and found)  # type: ignore[union-attr]
    return run.state.result_state.value, run.state.state_message


def events(served: Served, cluster_id: str) -> list[str]:
    """What happened to a cluster, oldest first."""
    found = served.client.clusters.events(cluster_id, order=compute.GetEventsOrder.ASC)
    return [event.type.value for event in found if event.type]


def test_a_cluster_starts_ends_and_starts_again_as_the_client_expects(served: Served) -> None:
    client = served.client.clusters
    cluster = client.create_and_wait(KEY, node_type_id="local.small", num_workers=0, cluster_name="etl")
    cluster_id = str(cluster.cluster_id)
    assert (cluster.state, cluster.cluster_name) == (compute.State.RUNNING, "etl")
    assert cluster.cluster_source is compute.ClusterSource.API
    assert (cluster.cluster_cores, cluster.cluster_memory_mb) == (2, 1024)
    with pytest.raises(InvalidState, match=f"Cluster {cluster_id} is in unexpected state Running"):
        client.start(cluster_id)
    client.delete(cluster_id)
    client.delete(cluster_id)
    in_state(served, cluster_id, "TERMINATED")
    ended = client.get(cluster_id)
    assert ended.termination_reason is not None
    assert ended.termination_reason.code is compute.TerminationReasonCode.USER_REQUEST
    assert ended.terminated_time
    with pytest.raises(InvalidState):
        client.resize(cluster_id, num_workers=2)
    client.ensure_cluster_is_running(cluster_id)
    assert client.get(cluster_id).termination_reason is None
    assert events(served, cluster_id) == ["CREATING", "RUNNING", "TERMINATING", "STARTING", "RUNNING"]


def test_a_cluster_tells_of_the_processes_that_it_has(served: Served) -> None:
    cluster_id = create(served)
    driver = served.fleet.live[-1]
    found = served.client.clusters.get(cluster_id)
    assert found.driver is not None
    assert (found.driver.node_id, found.driver.private_ip) == (driver.folder.name, "10.0.0.1")
    assert (found.driver.start_timestamp, found.executors) == (1_700_000_000_000, [])
    driver.workers = [{"id": "3", "host": "10.0.0.9:4711", "cores": 2, "memory": 1, "active": 0, "started_ms": 7}]
    (worker,) = served.client.clusters.get(cluster_id).executors or []
    assert (worker.node_id, worker.host_private_ip, worker.start_timestamp) == ("3", "10.0.0.9", 7)
    served.client.clusters.delete(cluster_id)
    in_state(served, cluster_id, "TERMINATED")
    assert served.client.clusters.get(cluster_id).driver is None


def test_what_is_asked_of_a_cluster_is_checked(served: Served) -> None:
    client = served.client.clusters
    for spec, message in (
        ({"spark_version": "1.x"}, "Invalid spark_version: 1.x"),
        ({"node_type_id": "i3.xlarge"}, "Node type i3.xlarge is not supported"),
        ({"autotermination_minutes": 5}, "autotermination_minutes must be 0"),
        ({"num_workers": -1}, "num_workers must be a whole number"),
        ({"autoscale": {"min_workers": 3, "max_workers": 1}}, "autoscale needs whole numbers"),
        ({"spark_conf": {"a": 1}}, "spark_conf must be an object whose values are strings"),
        ({"instance_pool_id": "none"}, "Instance pool none does not exist"),
    ):
        with pytest.raises(BadRequest, match=message):
            served.client.api_client.do("POST", "/api/2.1/clusters/create", body={**SPEC, **spec})
    for call in (client.get, client.start, client.delete, client.restart, client.pin, client.permanent_delete):
        with pytest.raises((ResourceDoesNotExist, InvalidParameterValue), match="Cluster no-such does not exist"):
            call("no-such")


def test_edit_restarts_a_running_cluster_and_keeps_what_it_does_not_know(served: Served) -> None:
    client = served.client.clusters
    cluster_id = create(served, future_field={"a": [1]}, cluster_name="one")
    body = {
        **SPEC,
        "cluster_id": cluster_id,
        "spark_conf": {"spark.sql.shuffle.partitions": "3"},
        "cluster_name": "two",
    }
    served.client.api_client.do("POST", "/api/2.1/clusters/edit", body={**body, "future_field": {"a": [2]}})
    in_state(served, cluster_id, "RUNNING")
    assert served.fleet.specs[-1].spark_conf == {"spark.sql.shuffle.partitions": "3"}
    raw = served.client.api_client.do("GET", "/api/2.0/clusters/get", query={"cluster_id": cluster_id})
    assert (raw["future_field"], raw["cluster_name"]) == ({"a": [2]}, "two")
    client.update(
        cluster_id,
        "spark_conf,autotermination_minutes",
        cluster=compute.UpdateClusterResource(autotermination_minutes=60),
    )
    in_state(served, cluster_id, "RUNNING")
    found = client.get(cluster_id)
    assert (found.spark_conf, found.autotermination_minutes, found.cluster_name) == ({}, 60, "two")
    client.resize(cluster_id, num_workers=4)
    in_state(served, cluster_id, "RUNNING")
    assert client.get(cluster_id).num_workers == 4
    told = events(served, cluster_id)
    assert told == ["CREATING", "RUNNING", *(["EDITED", "RESTARTING", "RUNNING"] * 2), "RESIZING", "UPSIZE_COMPLETED"]


def test_clusters_are_listed_filtered_sorted_and_by_page(served: Served) -> None:
    client = served.client.clusters
    policy = str(served.client.cluster_policies.create(name="listed", definition="{}").policy_id)
    made = [create(served, cluster_name=f"list-{letter}", policy_id=policy) for letter in "bac"]
    client.pin(made[0])
    by = compute.ListClustersFilterBy(policy_id=policy, cluster_states=[compute.State.RUNNING, compute.State.PENDING])
    order = compute.ListClustersSortBy(field=compute.ListClustersSortByField.CLUSTER_NAME)
    found = list(client.list(filter_by=by, page_size=2, sort_by=order))
    assert [cluster.cluster_name for cluster in found] == ["list-a", "list-b", "list-c"]
    pinned = list(client.list(filter_by=compute.ListClustersFilterBy(policy_id=policy, is_pinned=True)))
    assert [(cluster.cluster_name, cluster.cluster_id) for cluster in pinned] == [("list-b", made[0])]
    recent = served.client.api_client.do("GET", "/api/2.0/clusters/list")["clusters"]
    assert {cluster["cluster_id"] for cluster in recent} >= set(made)
    client.unpin(made[0])
    client.permanent_delete(made[0])
    with pytest.raises((ResourceDoesNotExist, InvalidParameterValue)):
        client.get(made[0])
    client.delete(made[1])
    in_state(served, made[1], "TERMINATED")
    client.change_owner(made[1], "someone@else")
    assert client.get(made[1]).creator_user_name == "someone@else"


def test_the_same_token_gives_the_same_cluster(served: Served) -> None:
    first, again = (create(served, idempotency_token="t1") for _ in range(2))
    assert first == again


def test_events_come_by_page_and_type(served: Served) -> None:
    cluster_id = create(served)
    for _ in range(3):
        served.client.clusters.pin(cluster_id)
        served.client.clusters.unpin(cluster_id)
    found = list(served.client.clusters.events(cluster_id, limit=3))
    assert len(found) == 8
    pins = served.client.clusters.events(cluster_id, event_types=[compute.EventType.PINNED])
    assert len(list(pins)) == 3


def test_several_runs_share_a_cluster_which_is_started_for_them(served: Served) -> None:
    cluster_id = create(served)
    served.client.clusters.delete(cluster_id)
    in_state(served, cluster_id, "TERMINATED")
    meeting = threading.Barrier(4, timeout=20)

    def meet(*_: Any) -> None:
        meeting.wait()

    served.fleet.acts |= dict.fromkeys(("m1", "m2"), meet)
    runs = [submit(served, cluster_id, "m1", "m2") for _ in range(2)]
    assert [result(served, run_id)[0] for run_id in runs] == ["SUCCESS"] * 2
    assert events(served, cluster_id)[-2:] == ["STARTING", "RUNNING"]
    tasks = served.client.jobs.get_run(runs[0]).tasks or []
    assert {task.cluster_instance.cluster_id for task in tasks} == {cluster_id}  # type: ignore[union-attr]
    state, message = result(served, submit(served, "no-such", "m1"))
    assert (state, "Cluster no-such does not exist" in message) == ("FAILED", True)


def test_a_cluster_that_is_ended_says_so_to_what_runs_on_it(served: Served) -> None:
    cluster_id = create(served)

    def until_killed(driver: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> None:
        until(lambda: not driver.alive)
        raise DriverFailed("DRIVER_UNREACHABLE", "killed")

    served.fleet.acts["killed"] = until_killed
    run_id = submit(served, cluster_id, "killed")
    until(lambda: any(request.context["task_key"] == "killed" for request in served.fleet.requests))
    served.client.clusters.delete(cluster_id)
    state, message = result(served, run_id)
    assert state == "FAILED"
    assert f"Cluster {cluster_id} ended: Terminated by" in message


def test_a_driver_that_dies_while_idle_is_told_and_the_next_run_starts_another(served: Served) -> None:
    cluster_id = create(served)
    served.fleet.live[-1].alive = False
    in_state(served, cluster_id, "TERMINATED")
    found = served.client.clusters.get(cluster_id)
    assert found.termination_reason is not None
    assert found.termination_reason.code is compute.TerminationReasonCode.DRIVER_UNREACHABLE
    assert events(served, cluster_id)[-2:] == ["DRIVER_NOT_RESPONDING", "TERMINATING"]
    assert result(served, submit(served, cluster_id, "free"))[0] == "SUCCESS"


def test_a_tainted_driver_is_replaced_and_the_others_on_it_finish(served: Served) -> None:
    cluster_id = create(served)
    old, go_on = served.fleet.live[-1], threading.Event()

    def wait(*_: Any) -> None:
        assert go_on.wait(20)

    def taint(driver: FunctionDriver, *_: Any) -> None:
        driver.tainted = True

    served.fleet.acts |= {"slow": wait, "taints": taint}
    slow = submit(served, cluster_id, "slow")
    until(lambda: any(request.context["task_key"] == "slow" for request in served.fleet.requests))
    assert result(served, submit(served, cluster_id, "taints"))[0] == "SUCCESS"
    until(lambda: "DRIVER_HEALTHY" in events(served, cluster_id))
    assert old.alive
    assert served.client.clusters.get(cluster_id).state is compute.State.RUNNING
    go_on.set()
    assert result(served, slow)[0] == "SUCCESS"
    until(lambda: not old.alive)
    assert result(served, submit(served, cluster_id, "free"))[0] == "SUCCESS"


def test_a_cluster_that_does_not_start_says_why(tmp_path: Any) -> None:
    fleet = FunctionFleet(refuse=DriverFailed("SPARK_STARTUP_FAILURE", "no core to spare"))
    with serving(tmp_path, fleet) as served:
        cluster_id = served.client.api_client.do("POST", "/api/2.1/clusters/create", body=SPEC)["cluster_id"]
        in_state(served, cluster_id, "TERMINATED")
        found = served.client.clusters.get(cluster_id)
        assert found.state_message == "no core to spare"
        assert found.termination_reason is not None
        assert found.termination_reason.code is compute.TerminationReasonCode.SPARK_STARTUP_FAILURE
        state, message = result(served, submit(served, cluster_id, "a"))
        assert (state, "no core to spare" in message) == ("FAILED", True)
