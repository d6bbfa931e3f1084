"""Fleets for properties: jobs with libraries, schedules, permissions, cluster policies, references to other jobs."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from headway.core.plan import PERMISSIONS, TAG_APP, TAG_ENVIRONMENT, TAG_JOB
from support.delivery_model import Model

KEYS = "abcdef"


@dataclass(frozen=True)
class Spec:
    """One job. `pause` is what the job says of its schedule, `runs` the key of a job that it runs (a later one)."""

    timeout: int
    libraries: tuple[str, ...] = ()
    cron: str | None = None
    pause: str | None = None
    viewers: tuple[str, ...] = ()
    policy: str | None = None
    runs: str | None = None


@dataclass(frozen=True)
class Fleet:
    """Jobs by key; `workers` is the rule of every cluster policy that they go by."""

    jobs: dict[str, Spec] = field(default_factory=dict)
    workers: int = 1


_libraries = st.lists(st.sampled_from(["x-1.jar", "x-2.jar", "y-1.whl"]), unique=True, max_size=2).map(tuple)
_viewers = st.lists(st.sampled_from(["users", "ops"]), unique=True, max_size=2).map(tuple)
_specs = st.builds(
    Spec,
    timeout=st.integers(1, 3),
    libraries=_libraries,
    cron=st.sampled_from([None, "0 0 1 * * ?", "0 0 2 * * ?"]),
    pause=st.sampled_from([None, None, "PAUSED", "UNPAUSED"]),
    viewers=_viewers,
    policy=st.sampled_from([None, None, "small", "large"]),
    runs=st.sampled_from([None, None, *KEYS]),
)
fleets = st.builds(Fleet, jobs=st.dictionaries(st.sampled_from(KEYS), _specs, max_size=5), workers=st.integers(1, 2))


def _runs(fleet: Fleet, key: str) -> str | None:
    """Only a later job, so that no circle comes about, and only one that is there."""
    other = fleet.jobs[key].runs
    return other if other is not None and other > key and other in fleet.jobs else None


def wanted(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """The settings that a release of this fleet wants, policies and all."""
    result: dict[str, dict[str, Any]] = {
        f"policy:{name}": {"name": name, "definition": json.dumps({"num_workers": {"maxValue": fleet.workers}})}
        for name in sorted({spec.policy for spec in fleet.jobs.values() if spec.policy})
    }
    for key, spec in fleet.jobs.items():
        task: dict[str, Any] = {"task_key": "t", "job_cluster_key": "c", "spark_jar_task": {"main_class_name": "M"}}
        if spec.libraries:
            task["libraries"] = [{"jar": f"dbfs:/{name}"} for name in spec.libraries]
        tasks, cluster = [task], {"spark_version": "4.3.x-scala2.13", "num_workers": 2}
        runs = _runs(fleet, key)
        if runs is not None:
            tasks.append({"task_key": "then", "run_job_task": {"job_id": f"${{resources.jobs.{runs}.id}}"}})
        if spec.policy is not None:
            cluster["policy_id"] = f"${{resources.cluster_policies.{spec.policy}.id}}"
        result[key] = {
            "name": key,
            "timeout_seconds": spec.timeout,
            "tags": {TAG_APP: "app", TAG_ENVIRONMENT: "stage", TAG_JOB: key},
            "tasks": tasks,
            "job_clusters": [{"job_cluster_key": "c", "new_cluster": cluster}],
        }
        if spec.cron is not None:
            schedule = {"quartz_cron_expression": spec.cron, "timezone_id": "UTC"}
            result[key]["schedule"] = schedule | ({"pause_status": spec.pause} if spec.pause else {})
        if spec.viewers:
            result[key][PERMISSIONS] = [{"level": "CAN_VIEW", "group_name": name} for name in spec.viewers]
    return result


def differs(model: Model, fleet: Fleet) -> str:
    """Where the workspace is not exactly this fleet; empty where it is. Read off the model itself, not by delivery."""
    by_key: dict[str, list[int]] = {}
    for number, job in model.jobs.items():
        by_key.setdefault(job["tags"][TAG_JOB], []).append(number)
    if {key: len(numbers) for key, numbers in by_key.items()} != dict.fromkeys(fleet.jobs, 1):
        return f"there are {by_key}"
    policies = {policy["name"]: json.loads(policy["definition"]) for policy in model.policies.values()}
    rule = {"num_workers": {"maxValue": fleet.workers}}
    if policies != {spec.policy: rule for spec in fleet.jobs.values() if spec.policy}:
        return f"there are policies {policies}"
    names = {number: policy["name"] for number, policy in model.policies.items()}
    for key, spec in fleet.jobs.items():
        number = by_key[key][0]
        runs = _runs(fleet, key)
        expected = (
            spec.timeout,
            sorted(spec.libraries),
            spec.cron,
            sorted(spec.viewers),
            spec.policy,
            by_key[runs][0] if runs else None,
        )
        stands = _stands(model, number, names)
        if stands != expected:
            return f"{key} is {stands}, not {expected}"
        schedule = model.jobs[number].get("schedule", {})
        if spec.cron and spec.pause and schedule.get("pause_status") != spec.pause:
            return f"{key} has the schedule {schedule}"
    return ""


def _stands(model: Model, number: int, names: dict[str, str]) -> tuple[Any, ...]:
    job = model.jobs[number]
    first, *more = sorted(job["tasks"], key=lambda task: task["task_key"] != "t")
    cluster = job["job_clusters"][0]["new_cluster"]
    return (
        job["timeout_seconds"],
        sorted(library["jar"].removeprefix("dbfs:/") for library in first.get("libraries", ())),
        job.get("schedule", {}).get("quartz_cron_expression"),
        sorted(right["group_name"] for right in model.rights.get(number, ())),
        names[cluster["policy_id"]] if "policy_id" in cluster else None,
        more[0]["run_job_task"]["job_id"] if more else None,
    )
