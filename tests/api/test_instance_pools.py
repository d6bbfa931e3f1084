"""Instance pools, through the official client; their drivers run functions."""

import threading
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service import compute, iam

from headway.workspace.runtime.tasks import DriverFailed, DriverSpec
from headway.workspace.services.instance_pools.keeping import RETRY_MS, PoolDrivers
from headway.workspace.services.instance_pools.model import Pool
from support.served_workspace import KEY, FunctionDriver, FunctionFleet, Served, as_user, assemble, serving, until

SIZE = "local.medium"


def stats(served: Served, pool_id: str) -> tuple[int, int, int, int]:
    """Used, idle, and those that are on their way to be either."""
    found = served.client.instance_pools.get(pool_id).stats
    assert found is not None
    return (found.used_count, found.idle_count, found.pending_used_count, found.pending_idle_count)  # type: ignore[return-value]


def submit(served: Served, pool_id: str, client: Any = None, **more: Any) -> tuple[int, dict[str, Any]]:
    """A run on a cluster of the pool, and how it ended."""
    cluster = {"spark_version": KEY, "instance_pool_id": pool_id, "num_workers": 0, **more}
    task = {"task_key": "t", "new_cluster": cluster, "spark_jar_task": {"main_class_name": "M"}}
    api = (client or served.client).api_client
    run_id = int(api.do("POST", "/api/2.1/jobs/runs/submit", body={"run_name": "r", "tasks": [task]})["run_id"])

    def run() -> Any:
        found = served.client.api_client.do("GET", "/api/2.1/jobs/runs/get", query={"run_id": run_id})
        return found["state"].get("result_state") and found

    return run_id, until(run)


def test_a_pool_is_made_told_of_edited_and_deleted(served: Served) -> None:
    client = served.client.instance_pools
    made = client.create("etl", SIZE, min_idle_instances=2, max_capacity=5, preloaded_spark_versions=[KEY])
    pool_id = str(made.instance_pool_id)
    until(lambda: stats(served, pool_id) == (0, 2, 0, 0))
    found = client.get(pool_id)
    assert (found.instance_pool_name, found.node_type_id, found.max_capacity) == ("etl", SIZE, 5)
    assert found.state is compute.InstancePoolState.ACTIVE
    assert found.idle_instance_autotermination_minutes == 60
    client.edit(pool_id, "etl-2", SIZE, min_idle_instances=1, idle_instance_autotermination_minutes=0)
    until(lambda: stats(served, pool_id) == (0, 1, 0, 0))
    (listed,) = [pool for pool in client.list() if pool.instance_pool_id == pool_id]
    assert (listed.instance_pool_name, listed.max_capacity, listed.preloaded_spark_versions) == ("etl-2", None, [KEY])
    ready = [driver for driver in served.fleet.live if pool_id in driver.folder.name]
    client.delete(pool_id)
    until(lambda: not any(driver.alive for driver in ready))
    with pytest.raises(BadRequest, match=f"Instance pool {pool_id} does not exist"):
        client.get(pool_id)


def test_what_is_asked_of_a_pool_is_checked(served: Served) -> None:
    spec: dict[str, Any] = {"instance_pool_name": "checked", "node_type_id": SIZE}
    pool_id = served.client.api_client.do("POST", "/api/2.0/instance-pools/create", body=spec)["instance_pool_id"]
    with pytest.raises(ResourceAlreadyExists, match="An instance pool with the name checked exists already"):
        served.client.api_client.do("POST", "/api/2.0/instance-pools/create", body=spec)
    for change, message in (
        ({"instance_pool_name": ""}, "instance_pool_name must have"),
        ({"instance_pool_name": None}, "Missing required field: instance_pool_name"),
        ({"node_type_id": "i3.xlarge"}, "Node type i3.xlarge is not supported"),
        ({"preloaded_spark_versions": ["1.x"]}, "Invalid spark_version: 1.x"),
        ({"preloaded_spark_versions": [KEY, KEY]}, "at most one version"),
        ({"min_idle_instances": 3, "max_capacity": 2}, "min_idle_instances must not be larger"),
        ({"min_idle_instances": -1}, "min_idle_instances must be from 0"),
        ({"idle_instance_autotermination_minutes": 10_001}, "must be from 0 to 10000"),
        ({"preloaded_docker_images": [{"url": "u"}]}, "without containers"),
    ):
        with pytest.raises(BadRequest, match=message):
            served.client.api_client.do("POST", "/api/2.0/instance-pools/create", body={**spec, **change})
    with pytest.raises(BadRequest, match="node_type_id of an instance pool cannot be changed"):
        served.client.instance_pools.edit(pool_id, "checked", "local.large")


def test_a_cluster_gets_the_driver_that_stands_ready_and_another_takes_its_place(served: Served) -> None:
    made = served.client.instance_pools.create("ready", SIZE, min_idle_instances=1)
    pool_id = str(made.instance_pool_id)
    until(lambda: stats(served, pool_id) == (0, 1, 0, 0))
    (ready,) = [driver for driver in served.fleet.live if pool_id in driver.folder.name]
    on: list[FunctionDriver] = []
    go_on = threading.Event()

    def note(driver: FunctionDriver, *_: Any) -> None:
        on.append(driver)
        assert go_on.wait(20)

    served.fleet.acts["t"] = note
    thread = threading.Thread(target=submit, args=(served, pool_id))
    thread.start()
    until(lambda: stats(served, pool_id) == (1, 1, 0, 0))
    assert until(lambda: on) == [ready]
    assert ready.session_settings == {}  # type: ignore[attr-defined]
    go_on.set()
    thread.join()
    # What a run had is never another's: it ends, and as an idle instance would, a fresh one stays for an hour.
    until(lambda: stats(served, pool_id) == (0, 2, 0, 0))
    assert not ready.alive
    submit(served, pool_id, spark_conf={"spark.sql.shuffle.partitions": "3"})
    assert on[-1].session_settings == {"spark.sql.shuffle.partitions": "3"}  # type: ignore[attr-defined]
    # A setting that only a new JVM can take: it gets one.
    submit(served, pool_id, spark_conf={"spark.executor.cores": "3"})
    own = next(spec for spec in served.fleet.specs if spec.folder == on[-1].folder)
    assert own.spark_conf == {"spark.executor.cores": "3"}
    until(lambda: stats(served, pool_id) == (0, 3, 0, 0))
    served.client.instance_pools.delete(pool_id)


def test_a_pool_that_is_full_says_so(served: Served) -> None:
    made = served.client.instance_pools.create("full", SIZE, max_capacity=1)
    pool_id = str(made.instance_pool_id)
    go_on = threading.Event()

    def wait(*_: Any) -> None:
        assert go_on.wait(20)

    served.fleet.acts["t"] = wait
    thread = threading.Thread(target=submit, args=(served, pool_id))
    thread.start()
    until(lambda: stats(served, pool_id) == (1, 0, 0, 0))
    run_id, run = submit(served, pool_id)
    assert run["state"]["result_state"] == "FAILED"
    assert "has reached its maximum of 1 instances" in run["state"]["state_message"]
    go_on.set()
    thread.join()
    served.client.instance_pools.delete(pool_id)
    (cluster,) = [one for one in served.client.clusters.list() if f"job-run-{run_id}-" in str(one.cluster_name)]
    assert cluster.termination_reason is not None
    assert cluster.termination_reason.code is compute.TerminationReasonCode.INSTANCE_POOL_MAX_CAPACITY_REACHED


def test_who_may_use_a_pool(served: Served) -> None:
    pool_id = str(served.client.instance_pools.create("whose", SIZE).instance_pool_id)
    someone = as_user(served, "pool-user@x")
    body = {"spark_version": KEY, "instance_pool_id": pool_id, "num_workers": 0}
    assert [pool for pool in someone.instance_pools.list() if pool.instance_pool_id == pool_id] == []
    with pytest.raises(PermissionDenied, match="CAN_ATTACH_TO permission on instance-pool"):
        someone.api_client.do("POST", "/api/2.1/clusters/create", body=body)
    _, run = submit(served, pool_id, someone)
    assert "CAN_ATTACH_TO permission on instance-pool" in run["state"]["state_message"]
    entry = iam.AccessControlRequest(user_name="pool-user@x", permission_level=iam.PermissionLevel.CAN_ATTACH_TO)
    served.client.permissions.update("instance-pools", pool_id, access_control_list=[entry])
    served.fleet.acts.pop("t", None)
    assert submit(served, pool_id, someone)[1]["state"]["result_state"] == "SUCCESS"
    with pytest.raises(PermissionDenied):
        someone.instance_pools.delete(pool_id)
    # An existing cluster: attaching, and starting where it has ended, must have been allowed too.
    cluster_id = served.client.api_client.do("POST", "/api/2.1/clusters/create", body=body)["cluster_id"]
    task = {"task_key": "t", "existing_cluster_id": cluster_id, "spark_jar_task": {"main_class_name": "M"}}
    made = someone.api_client.do("POST", "/api/2.1/jobs/runs/submit", body={"run_name": "r", "tasks": [task]})
    run = until(lambda: (found := someone.jobs.get_run(int(made["run_id"]))).state.result_state and found)  # type: ignore[union-attr]
    assert "CAN_ATTACH_TO permission on cluster" in run.state.state_message


def test_a_pool_is_filled_again_after_a_restart_and_nothing_outlives_the_workspace(tmp_path: Path) -> None:
    fleet = FunctionFleet()
    with serving(tmp_path, fleet) as served:
        pool_id = str(served.client.instance_pools.create("again", SIZE, min_idle_instances=1).instance_pool_id)
        body = {"spark_version": KEY, "instance_pool_id": pool_id, "num_workers": 0}
        made = served.client.api_client.do("POST", "/api/2.1/clusters/create", body=body)
        until(lambda: stats(served, pool_id) == (1, 1, 0, 0))
        assert made["cluster_id"]
        drivers = list(fleet.live)
    assert not any(driver.alive for driver in drivers)
    with serving(tmp_path, fleet) as served:
        until(lambda: stats(served, pool_id) == (0, 1, 0, 0))


def test_a_clusters_driver_that_is_taken_over_counts_for_its_pool(tmp_path: Path) -> None:
    fleet = FunctionFleet()
    with serving(tmp_path, fleet) as served:
        pool_id = str(served.client.instance_pools.create("over", SIZE, min_idle_instances=1).instance_pool_id)
        body = {"spark_version": KEY, "instance_pool_id": pool_id, "num_workers": 0}
        cluster_id = served.client.api_client.do("POST", "/api/2.1/clusters/create", body=body)["cluster_id"]
        until(lambda: stats(served, pool_id) == (1, 1, 0, 0))
        until(lambda: served.client.clusters.get(cluster_id).state is compute.State.RUNNING)
        until(lambda: stats(served, pool_id) == (1, 1, 0, 0))
        driver = fleet.live[0]
        again = FunctionFleet(left={driver.folder: driver})
        other = assemble(tmp_path, again)  # as after a SIGKILL: the first never closed
        try:
            other.recover()
            told, _ = other.pools.told(pool_id)
            assert told["used_count"] == 1
            assert driver.alive
        finally:
            other.close()


def test_a_driver_that_cannot_be_made_ready_is_told_and_tried_again_later(tmp_path: Path) -> None:
    now = [1_000_000]
    fleet = FunctionFleet(refuse=DriverFailed("SPARK_STARTUP_FAILURE", "no room"))
    workspace = assemble(tmp_path, FunctionFleet())
    drivers = PoolDrivers(
        fleet, workspace.pools._catalogue, workspace.pools._roots, tmp_path / "c", lambda: now[0], seconds=0.01
    )
    pool = Pool("p", "p", "me", 0, {"node_type_id": SIZE, "min_idle_instances": 1})
    drivers.put(pool)
    drivers.start()
    try:
        until(lambda: drivers.told("p")[1])
        assert drivers.told("p")[1][0]["message"] == "no room"
        with pytest.raises(DriverFailed, match="no room"):
            drivers.acquire(_spec(workspace, tmp_path), "p")
        fleet.refuse = None
        now[0] += RETRY_MS
        until(lambda: drivers.told("p")[0]["idle_count"] == 1)
        until(lambda: not drivers.told("p")[1])
        # One that dies while it stands ready is replaced.
        fleet.live[0].alive = False
        until(lambda: len(fleet.specs) == 2 and drivers.told("p")[0]["idle_count"] == 1)
    finally:
        drivers.close()
        workspace.close()
    assert fleet.live == []


def _spec(workspace: Any, folder: Path) -> DriverSpec:
    return workspace.pools._spec(Pool("q", "q", "me", 0, {"node_type_id": SIZE}), "own")  # type: ignore[no-any-return]
