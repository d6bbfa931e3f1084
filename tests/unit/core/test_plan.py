"""Properties of the plan, over generated jobs."""

import copy
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headway.core.plan import CreateJob, DeleteJob, ObservedJob, ResetJob, differences, plan_steps

keys = st.text("abcdef", min_size=1, max_size=4)
values = st.one_of(st.text(max_size=5), st.integers(0, 9), st.booleans(), st.lists(st.text(max_size=3), max_size=3))
tasks = st.lists(
    st.fixed_dictionaries(
        {"task_key": keys},
        optional={
            "spark_jar_task": st.fixed_dictionaries(
                {"main_class_name": keys, "parameters": st.lists(keys, max_size=2)}
            ),
            "libraries": st.lists(st.fixed_dictionaries({"jar": keys}), max_size=3, unique_by=str),
            "timeout_seconds": st.integers(1, 9),
        },
    ),
    max_size=4,
    unique_by=lambda task: task["task_key"],
)
settings = st.fixed_dictionaries(
    {"name": keys, "tasks": tasks},
    optional={"tags": st.dictionaries(keys, keys, max_size=2), "max_concurrent_runs": st.integers(2, 5)},
)
fleets = st.dictionaries(keys, settings, max_size=5)


def as_a_server_answers(given_settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same settings with defaults filled in, and in another order where order means nothing."""
    chance = random.Random(seed)
    answer = copy.deepcopy(given_settings)
    for name, default in (("email_notifications", {}), ("timeout_seconds", 0), ("max_concurrent_runs", 1)):
        answer.setdefault(name, default)
    answer["format"] = "MULTI_TASK"
    chance.shuffle(answer["tasks"])
    for task in answer["tasks"]:
        task.setdefault("run_if", "ALL_SUCCESS")
        chance.shuffle(task.get("libraries", []))
    return answer


def applied(wanted: dict[str, Any], seed: int) -> tuple[ObservedJob, ...]:
    """What a workspace shows after a plan for `wanted` was applied."""
    return tuple(ObservedJob(key, n, as_a_server_answers(job, seed)) for n, (key, job) in enumerate(wanted.items(), 1))


@given(fleets, st.integers())
def test_planning_after_apply_is_empty(wanted: dict[str, Any], seed: int) -> None:
    steps, unchanged = plan_steps(wanted, applied(wanted, seed))
    assert steps == ()
    assert set(unchanged) == set(wanted)


@given(fleets, fleets, st.integers())
def test_every_job_has_exactly_one_fate(wanted: dict[str, Any], present: dict[str, Any], seed: int) -> None:
    steps, unchanged = plan_steps(wanted, applied(present, seed))
    fates = [step.key for step in steps] + list(unchanged)
    assert sorted(fates) == sorted({*wanted, *present})
    for step in steps:
        match step:
            case CreateJob(key, after):
                assert key not in present
                assert after == wanted[key]
            case DeleteJob(key):
                assert key not in wanted
            case ResetJob(key, _, _, after, changes):
                assert after == wanted[key]
                assert changes


@given(settings, keys, values)
def test_a_changed_field_is_a_difference(job: dict[str, Any], name: str, value: Any) -> None:
    changed = {**job, f"x_{name}": value}
    assert [change.path for change in differences(job, changed)] == [f"x_{name}"]
    assert differences(changed, changed) == ()


def test_the_oldest_of_two_jobs_with_one_key_is_the_one() -> None:
    job = {"name": "a", "tasks": []}
    steps, _ = plan_steps({"a": {"name": "b", "tasks": []}}, (ObservedJob("a", 9, job), ObservedJob("a", 4, job)))
    assert [step.job_id for step in steps if isinstance(step, ResetJob)] == [4]


def test_a_kept_run_as_is_no_difference() -> None:
    assert differences({"name": "a", "run_as": {"user_name": "x"}}, {"name": "a"}) == ()
