"""Jobs at full depth through the official client: conditions, loops, other jobs, retries, repair, values."""

import threading
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue
from databricks.sdk.service import jobs

from headway.workspace.runtime.tasks import TaskOutcome, TaskRequest
from support.job_making import create, ended, fail, results, task, wait_for_cancel
from support.served_workspace import FunctionDriver, Served, until


def asked_of(request: TaskRequest) -> Any:
    """The parameters that a driver was given, whatever kind of task it was."""
    given: Any = request.task
    return given.parameters


def condition(key: str, left: str, op: str, right: str, *after: str, **more: Any) -> dict[str, Any]:
    """A condition task."""
    depends = [{"task_key": name} for name in after]
    return {"task_key": key, "depends_on": depends, "condition_task": {"op": op, "left": left, "right": right}, **more}


def on(outcome: str, key: str, upstream: str, **more: Any) -> dict[str, Any]:
    """A task on one branch of a condition."""
    return task(key, **more) | {"depends_on": [{"task_key": upstream, "outcome": outcome}]}


def each(key: str, inputs: str, nested: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A for-each task."""
    return {"task_key": key, "for_each_task": {"inputs": inputs, "task": nested, **more}}


def run(served: Served, *tasks: dict[str, Any], **more: Any) -> jobs.Run:
    """A run of a job of these tasks, once it has ended."""
    return ended(served.client, served.client.jobs.run_now(create(served.client, *tasks, **more)).run_id)


def test_a_condition_chooses_the_branch(served: Served) -> None:
    found = run(
        served,
        condition("many", "{{job.parameters.rows}}", "GREATER_THAN", "9"),
        on("true", "big", "many"),
        on("false", "small", "many"),
        task("last", "big", "small", run_if="AT_LEAST_ONE_SUCCESS"),
        parameters=[{"name": "rows", "default": "10.5"}, {"name": "day", "default": "x"}],
    )
    assert results(found) == {
        "run": "SUCCESS", "many": "SUCCESS", "big": "SUCCESS", "small": "EXCLUDED", "last": "SUCCESS",
    }  # fmt: skip
    told = next(entry for entry in found.tasks or [] if entry.task_key == "many").condition_task
    assert told is not None
    assert (told.outcome, told.left) == ("true", "10.5")


def test_a_condition_on_what_is_not_a_number_fails_its_task_with_a_reason(served: Served) -> None:
    found = run(served, condition("odd", "many", "LESS_THAN", "3"), on("true", "next", "odd"))
    assert results(found) == {"run": "FAILED", "odd": "FAILED", "next": "UPSTREAM_FAILED"}
    assert "'many' is not one" in (found.tasks[0].state.state_message or "")  # type: ignore[index, union-attr]


def test_a_loop_runs_its_task_for_each_input_and_fails_where_one_does(served: Served) -> None:
    seen: list[tuple[str, ...]] = []
    at_once: list[int] = []
    going = threading.Semaphore(0)

    def step(_: FunctionDriver, request: TaskRequest, __: threading.Event) -> None:
        going.release()
        at_once.append(going._value)
        seen.append(asked_of(request))
        request.log.write_text(f"input {asked_of(request)[1]}\n")
        going.acquire()
        if asked_of(request)[1] == "b":
            raise ValueError("b is bad")

    served.fleet.acts["step"] = step
    nested = task("step", spark_jar_task={"main_class_name": "M", "parameters": ["{{input}}", "{{input.name}}"]})
    del nested["depends_on"]
    inputs = '[{"name": "a"}, {"name": "b"}, {"name": "c"}]'
    found = run(served, each("loop", inputs, nested, concurrency=2), task("after"))
    assert results(found)["loop"] == "FAILED"
    assert sorted(name for _, name in seen) == ["a", "b", "c"]
    assert max(at_once) <= 2
    loop = next(entry for entry in found.tasks or [] if entry.task_key == "loop")
    stats = loop.for_each_task.stats  # type: ignore[union-attr]
    assert stats is not None
    assert stats.task_run_stats is not None
    assert stats.error_message_stats is not None
    counted = stats.task_run_stats
    assert (counted.total_iterations, counted.succeeded_iterations, counted.failed_iterations) == (3, 2, 1)
    assert stats.error_message_stats[0].error_message == "ValueError: b is bad"
    told = served.client.jobs.get_run(loop.run_id or 0)
    assert [entry.state.result_state.value for entry in told.iterations or []] == ["SUCCESS", "FAILED", "SUCCESS"]  # type: ignore[union-attr]
    output = served.client.jobs.get_run_output(told.iterations[1].run_id or 0)  # type: ignore[index]
    assert (output.error, output.logs) == ("ValueError: b is bad", "input b\n")

    served.fleet.acts["step"] = lambda *_: None
    before = len(served.fleet.requests)
    served.client.jobs.repair_run(found.run_id or 0, rerun_all_failed_tasks=True)
    repaired = ended(served.client, found.run_id or 0)
    assert results(repaired)["run"] == "SUCCESS"
    # Only the iteration that had failed ran again; all three are told.
    assert [request.context["task_key"] for request in served.fleet.requests[before:]] == ["step"]
    loop = next(entry for entry in repaired.tasks or [] if entry.task_key == "loop")
    assert len(served.client.jobs.get_run(loop.run_id or 0).iterations or []) == 3


def test_a_loop_over_what_an_earlier_task_found_and_over_what_is_no_list(served: Served) -> None:
    def find(_: FunctionDriver, __: TaskRequest, ___: threading.Event) -> TaskOutcome:
        return TaskOutcome("SUCCESS", task_values={"names": ["x", "y"], "count": 2})

    served.fleet.acts["find"] = find
    nested = task(
        "use", spark_jar_task={"main_class_name": "M", "parameters": ["{{input}}-{{tasks.find.values.count}}"]}
    )
    loop = each("loop", "{{tasks.find.values.names}}", nested) | {"depends_on": [{"task_key": "find"}]}
    wrong = each("wrong", "{{tasks.find.values.count}}", nested) | {"depends_on": [{"task_key": "find"}]}
    before = len(served.fleet.requests)
    found = run(served, task("find"), loop, wrong)
    assert results(found) == {"run": "FAILED", "find": "SUCCESS", "loop": "SUCCESS", "wrong": "FAILED"}
    asked = [request for request in served.fleet.requests[before:] if request.context["task_key"] == "use"]
    assert sorted(asked_of(entry)[0] for entry in asked) == ["x-2", "y-2"]
    assert served.fleet.requests[-1].task_values["find"]["count"] == 2


def test_another_job_is_run_as_a_task_and_ends_with_its_parent(served: Served) -> None:
    client = served.client
    child = create(client, task("inner"))
    outer = {
        "task_key": "outer",
        "run_job_task": {"job_id": child, "job_parameters": {"day": "{{job.parameters.day}}"}},
    }
    found = run(served, outer)
    assert results(found)["run"] == "SUCCESS"
    output = client.jobs.get_run_output(found.tasks[0].run_id or 0)  # type: ignore[index]
    assert output.run_job_output is not None
    inner = client.jobs.get_run(output.run_job_output.run_id or 0)
    assert (inner.trigger, inner.job_id) == (jobs.TriggerType.RUN_JOB_TASK, child)
    assert inner.trigger_info is not None
    assert inner.trigger_info.run_id == found.tasks[0].run_id  # type: ignore[index]
    assert asked_of(served.fleet.requests[-1])[2] == "monday"

    served.fleet.acts["inner"] = wait_for_cancel
    parent = client.jobs.run_now(create(client, outer)).run_id
    going = until(lambda: list(client.jobs.list_runs(job_id=child, active_only=True)))[0]
    until(lambda: served.fleet.requests[-1].context["run_id"] == str(going.run_id))
    client.jobs.cancel_run(parent)
    assert results(ended(client, parent))["outer"] == "CANCELED"
    assert results(ended(client, going.run_id or 0))["run"] == "CANCELED"
    served.fleet.acts["inner"] = fail
    failed = run(served, outer)
    assert "ended FAILED" in (failed.tasks[0].state.state_message or "")  # type: ignore[index, union-attr]
    del served.fleet.acts["inner"]


def test_jobs_that_run_each_other_in_a_circle_are_stopped(served: Served) -> None:
    client = served.client
    first = create(client, task("a"))
    second = create(client, {"task_key": "b", "run_job_task": {"job_id": first}})
    client.jobs.update(
        first, new_settings=jobs.JobSettings(tasks=[jobs.Task("a2", run_job_task=jobs.RunJobTask(second))])
    )
    found = ended(client, client.jobs.run_now(first).run_id)
    assert results(found)["a2"] == "FAILED"


def test_every_attempt_is_a_run_of_its_own(served: Served) -> None:
    tries: list[int] = []

    def second_time(_: FunctionDriver, request: TaskRequest, __: threading.Event) -> None:
        tries.append(1)
        request.log.write_text(f"try {len(tries)}\n")
        if len(tries) < 2:
            raise OSError("not yet")

    served.fleet.acts["twice"] = second_time
    client = served.client
    found = run(served, task("twice", max_retries=3))
    assert results(found)["run"] == "SUCCESS"
    whole = client.jobs.get_run(found.run_id or 0, include_history=True)
    attempts = [(entry.attempt_number, entry.state.result_state.value) for entry in whole.tasks or []]  # type: ignore[union-attr]
    assert attempts == [(0, "FAILED"), (1, "SUCCESS")]
    logs = [client.jobs.get_run_output(entry.run_id or 0).logs for entry in whole.tasks or []]
    assert logs == ["try 1\n", "try 2\n"]
    assert found.tasks is not None
    assert len(found.tasks) == 1


def test_a_run_is_repaired_and_remembers_how_it_ended_before(served: Served) -> None:
    client = served.client
    served.fleet.acts["broken"] = fail
    found = run(served, task("fine"), task("broken", "fine"), task("later", "broken"))
    first = client.jobs.repair_run(found.run_id or 0, rerun_tasks=["broken"]).response.repair_id  # type: ignore[attr-defined]
    again = ended(client, found.run_id or 0)
    assert results(again) == {"run": "FAILED", "fine": "SUCCESS", "broken": "FAILED", "later": "UPSTREAM_FAILED"}
    with pytest.raises(InvalidParameterValue, match="latest_repair_id must be given"):
        client.jobs.repair_run(found.run_id or 0, rerun_tasks=["broken"])
    del served.fleet.acts["broken"]
    before = len(served.fleet.requests)
    client.jobs.repair_run(
        found.run_id or 0, rerun_tasks=["broken"], rerun_dependent_tasks=True, latest_repair_id=first
    )
    mended = ended(client, found.run_id or 0)
    assert results(mended) == {"run": "SUCCESS", "fine": "SUCCESS", "broken": "SUCCESS", "later": "SUCCESS"}
    assert [request.context["task_key"] for request in served.fleet.requests[before:]] == ["broken", "later"]
    whole = client.jobs.get_run(found.run_id or 0, include_history=True)
    told = [(entry.type.value, entry.state.result_state.value) for entry in whole.repair_history or []]  # type: ignore[union-attr]
    assert told == [("ORIGINAL", "FAILED"), ("REPAIR", "FAILED"), ("REPAIR", "SUCCESS")]
    assert [len(entry.task_run_ids or []) for entry in whole.repair_history or []] == [3, 1, 2]
    with pytest.raises(InvalidParameterValue, match="nothing to repair"):
        client.jobs.repair_run(
            found.run_id or 0,
            rerun_all_failed_tasks=True,
            latest_repair_id=whole.repair_history[-1].id,  # type: ignore[index]
        )


def test_a_disabled_task_does_not_run_and_does_not_hold_up_the_others(served: Served) -> None:
    found = run(served, task("off", disabled=True), task("on"), task("next", "off", "on"), task("only", "off"))
    told = results(found)
    assert told == {"run": "SUCCESS", "off": "DISABLED", "on": "SUCCESS", "next": "SUCCESS", "only": "EXCLUDED"}


def test_one_task_is_canceled_and_the_others_go_on(served: Served) -> None:
    served.fleet.acts["stuck"] = wait_for_cancel
    client = served.client
    run_id = client.jobs.run_now(
        create(client, task("stuck"), task("free"), task("clean", "stuck", run_if="ALL_DONE"))
    ).run_id
    stuck = next(entry for entry in client.jobs.get_run(run_id).tasks or [] if entry.task_key == "stuck")
    until(lambda: client.jobs.get_run_output(stuck.run_id or 0).logs == "I run\n")
    client.jobs.cancel_run(stuck.run_id or 0)
    assert results(ended(client, run_id)) == {
        "run": "SUCCESS", "stuck": "CANCELED", "free": "SUCCESS", "clean": "SUCCESS",
    }  # fmt: skip


def test_a_run_that_takes_too_long_is_ended_with_its_tasks(served: Served) -> None:
    served.fleet.acts["slow"] = wait_for_cancel
    found = run(served, task("slow"), task("next", "slow"), timeout_seconds=1)
    assert results(found) == {"run": "TIMEDOUT", "slow": "TIMEDOUT", "next": "UPSTREAM_FAILED"}


def test_references_mean_what_the_run_is(served: Served) -> None:
    wanted = [
        "{{job.name}}", "{{job.trigger.type}}", "{{job.start_time.iso_date}}", "{{task.name}}",
        "{{task.execution_count}}",
        "{{tasks.first.result_state}}", "{{job.repair_count}}", "{{tasks.first.error_code}}|", "{{unknown thing}}",
        "{{job.parameters.`day`}}",
    ]  # fmt: skip
    second = task("second", "first", spark_jar_task={"main_class_name": "M", "parameters": wanted})
    found = run(served, task("first"), second, name="a name")
    date = asked_of(served.fleet.requests[-1])[2]
    expected = ("a name", "onetime", date, "second", "1", "success", "0", "|", "{{unknown thing}}", "monday")
    assert asked_of(served.fleet.requests[-1]) == expected
    assert len(date) == 10
    assert results(found)["run"] == "SUCCESS"
    broken = run(served, task("x", spark_jar_task={"main_class_name": "M", "parameters": ["{{job.nothing}}"]}))
    assert "job.nothing" in (broken.tasks[0].state.state_message or "")  # type: ignore[index, union-attr]


def test_all_waiting_runs_are_canceled_and_runs_are_found_by_what_they_are(served: Served) -> None:
    served.fleet.acts["hold"] = wait_for_cancel
    client = served.client
    job_id = create(client, task("hold"), queue={"enabled": True})
    runs = [client.jobs.run_now(job_id).run_id for _ in range(4)]
    client.jobs.cancel_all_runs(job_id=job_id, all_queued_runs=True)
    for run_id in runs[1:]:
        assert results(ended(client, run_id))["run"] == "CANCELED"
    assert [found.run_id for found in client.jobs.list_runs(job_id=job_id, active_only=True)] == [runs[0]]
    client.jobs.cancel_all_runs(job_id=job_id)
    last = ended(client, runs[0])
    assert {found.run_id for found in client.jobs.list_runs(job_id=job_id, completed_only=True)} == set(runs)
    began = last.start_time or 0
    assert runs[0] in {found.run_id for found in client.jobs.list_runs(job_id=job_id, start_time_from=began)}
    assert runs[0] not in {found.run_id for found in client.jobs.list_runs(job_id=job_id, start_time_to=began - 1)}
    assert list(client.jobs.list_runs(job_id=job_id, run_type=jobs.RunType.SUBMIT_RUN)) == []
    never = create(client, task("hold"), max_concurrent_runs=0)
    skipped = ended(client, client.jobs.run_now(never).run_id)
    assert skipped.state is not None
    assert skipped.state.result_state is jobs.RunResultState.MAXIMUM_CONCURRENT_RUNS_REACHED


def test_a_job_of_a_thousand_tasks_runs_and_is_told_page_by_page(served: Served) -> None:
    upstream = [[f"t{number - 10}"] if number > 9 else [] for number in range(1000)]
    rows = [condition(f"t{number}", "1", "EQUAL_TO", "1", *after) for number, after in enumerate(upstream)]
    found = run(served, *rows)
    assert found.state is not None
    assert found.state.result_state is jobs.RunResultState.SUCCESS
    assert len(found.tasks or []) == 1000


def test_two_hundred_runs_at_once_all_end(served: Served) -> None:
    client: WorkspaceClient = served.client
    job_id = create(client, task("quick"), max_concurrent_runs=1000)
    runs = [client.jobs.run_now(job_id).run_id for _ in range(200)]
    assert {results(ended(client, run_id))["run"] for run_id in runs} == {"SUCCESS"}
