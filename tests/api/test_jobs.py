"""Jobs and runs, through the official client."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.errors import InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service import jobs

from headway.workspace.runtime.tasks import DriverFailed, LocalLibrary, TaskRequest
from support.job_making import CLUSTER, create, ended, fail, results, task, wait_for_cancel
from support.served_workspace import KEY, FunctionDriver, FunctionFleet, Served, serving, until


def test_a_job_runs_its_tasks_in_order_on_one_fresh_driver(served: Served) -> None:
    client, before = served.client, len(served.fleet.specs)
    job_id = create(client, task("b", "a"), task("a"))
    run = ended(client, client.jobs.run_now(job_id, job_parameters={"day": "friday"}).run_id)
    assert results(run) == {"run": "SUCCESS", "a": "SUCCESS", "b": "SUCCESS"}
    asked = [request.task.parameters for request in served.fleet.requests[-2:]]  # type: ignore[union-attr]
    assert asked == [("a", str(job_id), "friday"), ("b", str(job_id), "friday")]
    assert len(served.fleet.specs) == before + 1
    assert run.status is not None
    assert run.status.termination_details is not None
    cluster_id = run.tasks[0].cluster_instance.cluster_id  # type: ignore[index, union-attr]
    cluster = client.clusters.wait_get_cluster_terminated(cluster_id)  # type: ignore[arg-type]
    assert not [driver for driver in served.fleet.live if str(cluster_id) in driver.folder.name]
    assert cluster.state is not None
    assert cluster.state.value == "TERMINATED"


def test_a_failed_task_stops_those_after_it_and_is_told(served: Served) -> None:
    served.fleet.acts["bad"] = fail
    client = served.client
    job_id = create(client, task("bad"), task("after", "bad"), task("mend", "bad", run_if="AT_LEAST_ONE_FAILED"))
    run = ended(client, client.jobs.run_now(job_id).run_id)
    assert results(run) == {"run": "FAILED", "bad": "FAILED", "after": "UPSTREAM_FAILED", "mend": "SUCCESS"}
    bad = next(entry for entry in run.tasks or [] if entry.task_key == "bad")
    output = client.jobs.get_run_output(bad.run_id or 0)
    assert (output.error, output.error_trace) == ("ValueError: no data today", "the trace")
    assert "bad failed with message: ValueError: no data today" in (run.state.state_message or "")  # type: ignore[union-attr]


def test_a_task_is_tried_again_as_often_as_it_says(served: Served) -> None:
    tries: list[int] = []

    def third_time(*_: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")

    served.fleet.acts["flaky"] = third_time
    job_id = create(served.client, task("flaky", max_retries=2))
    run = ended(served.client, served.client.jobs.run_now(job_id).run_id)
    assert results(run)["run"] == "SUCCESS"
    assert run.tasks is not None
    assert run.tasks[0].attempt_number == 2


def test_the_log_is_readable_while_a_task_runs_and_cancel_ends_it(served: Served) -> None:
    served.fleet.acts["long"] = wait_for_cancel
    client = served.client
    run_id = client.jobs.run_now(create(client, task("long"), task("never", "long"))).run_id
    long_id = client.jobs.get_run(run_id).tasks[0].run_id or 0  # type: ignore[index]
    until(lambda: client.jobs.get_run_output(long_id).logs == "I run\n")
    client.jobs.cancel_run(run_id)
    run = ended(client, run_id)
    assert results(run)["run"] == results(run)["long"] == "CANCELED"
    assert results(run)["never"] == "UPSTREAM_CANCELED"


def test_a_task_that_takes_too_long_is_ended(served: Served) -> None:
    served.fleet.acts["slow"] = wait_for_cancel
    job_id = create(served.client, task("slow", timeout_seconds=1))
    assert results(ended(served.client, served.client.jobs.run_now(job_id).run_id))["slow"] == "TIMEDOUT"


def test_a_run_too_many_is_skipped_or_waits_in_the_queue(served: Served) -> None:
    served.fleet.acts["one"] = wait_for_cancel
    client = served.client
    job_id = create(client, task("one"))
    first = client.jobs.run_now(job_id).run_id
    second = ended(client, client.jobs.run_now(job_id).run_id)
    assert second.state is not None
    assert second.state.result_state is jobs.RunResultState.MAXIMUM_CONCURRENT_RUNS_REACHED
    third = client.jobs.run_now(job_id, queue=jobs.QueueSettings(enabled=True)).run_id
    assert client.jobs.get_run(third).state.life_cycle_state is jobs.RunLifeCycleState.QUEUED  # type: ignore[union-attr]
    del served.fleet.acts["one"]
    client.jobs.cancel_run(first)
    assert results(ended(client, third))["run"] == "SUCCESS"


def test_a_library_that_is_not_there_fails_the_task(served: Served) -> None:
    job_id = create(served.client, task("lib", libraries=[{"jar": "dbfs:/nowhere.jar"}]))
    run = ended(served.client, served.client.jobs.run_now(job_id).run_id)
    assert "no file at dbfs:/nowhere.jar" in (run.tasks[0].state.state_message or "")  # type: ignore[index, union-attr]


def test_a_library_is_held_for_a_run_that_has_started(served: Served) -> None:
    client = served.client
    client.dbfs.put("dbfs:/held.jar", contents="b25l", overwrite=True)
    seen: list[bytes] = []

    def read_late(_: FunctionDriver, request: TaskRequest, __: threading.Event) -> None:
        client.dbfs.delete("dbfs:/held.jar")
        held = request.libraries[0]
        assert isinstance(held, LocalLibrary)
        seen.append(held.path.read_bytes())

    served.fleet.acts["reader"] = read_late
    job_id = create(client, task("reader", libraries=[{"jar": "dbfs:/held.jar"}]))
    assert results(ended(client, client.jobs.run_now(job_id).run_id))["run"] == "SUCCESS"
    assert seen == [b"one"]


def test_a_driver_that_does_not_start_fails_the_run_with_its_reason(served: Served) -> None:
    served.fleet.refuse = DriverFailed("SPARK_STARTUP_FAILURE", "no memory here")
    try:
        run = ended(served.client, served.client.jobs.run_now(create(served.client, task("x"), task("y", "x"))).run_id)
    finally:
        served.fleet.refuse = None
    assert results(run) == {"run": "FAILED", "x": "FAILED", "y": "UPSTREAM_FAILED"}
    assert "no memory here" in (run.tasks[0].state.state_message or "")  # type: ignore[index, union-attr]


def test_settings_come_back_as_they_were_given_with_defaults(served: Served) -> None:
    client = served.client
    job_id = create(client, task("a", brand_new={"kept": True}), tags={"team": "x"})
    settings: Any = client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})
    settings = settings["settings"]
    assert settings["tasks"][0]["brand_new"] == {"kept": True}
    assert settings["tasks"][0]["run_if"] == "ALL_SUCCESS"
    assert settings["max_concurrent_runs"] == 1
    client.jobs.reset(job_id, jobs.JobSettings(name="renamed", max_concurrent_runs=3))
    after = client.jobs.get(job_id).settings
    assert after is not None
    assert (after.name, after.max_concurrent_runs, after.tasks, after.tags) == ("renamed", 3, [], None)
    client.jobs.update(job_id, new_settings=jobs.JobSettings(timeout_seconds=9), fields_to_remove=["name"])
    after = client.jobs.get(job_id).settings
    assert after is not None
    assert (after.name, after.timeout_seconds) == ("Untitled", 9)
    client.jobs.delete(job_id)
    with pytest.raises(ResourceDoesNotExist, match=f"Job {job_id} does not exist"):
        client.jobs.get(job_id)


def test_jobs_are_listed_page_by_page(served: Served) -> None:
    made = [create(served.client, task("a"), name="paged") for _ in range(23)]
    listed = [job.job_id for job in served.client.jobs.list(name="PAGED", limit=5)]
    assert sorted(listed) == made  # type: ignore[type-var]


def test_the_same_token_gives_the_same_run_and_job(served: Served) -> None:
    job_id = create(served.client, task("a"), idempotency_token="job-token")
    assert create(served.client, task("a"), idempotency_token="job-token") == job_id
    runs = {served.client.jobs.run_now(job_id, idempotency_token="run-token").run_id for _ in range(3)}
    assert len(runs) == 1


def test_unknown_clusters_and_runs_are_named(served: Served) -> None:
    client = served.client
    for field, value, known in (("spark_version", "1.0", KEY), ("node_type_id", "i3", "local.small")):
        cluster = {**CLUSTER, "new_cluster": {**CLUSTER["new_cluster"], field: value}}  # type: ignore[dict-item]
        with pytest.raises(InvalidParameterValue, match=known):
            create(client, task("a"), job_clusters=[cluster])
    with pytest.raises(ResourceDoesNotExist, match="Run 999999 does not exist"):
        client.jobs.get_run(999999)


def test_what_a_killed_workspace_left_behind_ends_with_a_reason_and_the_rest_is_kept(tmp_path: Path) -> None:
    fleet = FunctionFleet({"one": wait_for_cancel})
    with serving(tmp_path, fleet) as first:
        job_id = create(first.client, task("one"))
        first.client.dbfs.put("dbfs:/kept", contents="b25l")
        run_id = first.client.jobs.run_now(job_id).run_id
        waiting = first.client.jobs.run_now(job_id, queue=jobs.QueueSettings(enabled=True)).run_id
        until(lambda: fleet.requests)
        # As after SIGKILL: the database says that the run goes on, and nobody is there.
        copy = tmp_path.with_name(tmp_path.name + "-copy")
        shutil.copytree(tmp_path, copy)
    with serving(copy) as second:
        assert second.token == first.token
        run = ended(second.client, run_id)
        assert run.state is not None
        assert run.state.result_state is jobs.RunResultState.FAILED
        assert "The driver ended while the workspace was down" in (run.state.state_message or "")
        assert results(ended(second.client, waiting))["run"] == "SUCCESS"
        assert second.client.dbfs.read("dbfs:/kept").data == "b25l"
