"""What Spark's event log says a run has cost. Pure.

A driver's log is read line by line; the jobs of each task run carry its tag (`run-<driver run>`), those of the
notebooks that it runs a longer one (`run-<driver run>.…`). The application of a `spark_submit_task` is all of one run:
its setting RUN_SETTING has the tag.

Source: Spark 4.3.0, org.apache.spark.util.JsonProtocol; "Monitoring and Instrumentation", Executor Task Metrics.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Where each figure stands in `Task Metrics`, and by what it is divided.
_SUMS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "executor_run_ms": (("Executor Run Time",), 1),
    "executor_cpu_ms": (("Executor CPU Time",), 1_000_000),
    "deserialize_ms": (("Executor Deserialize Time",), 1),
    "gc_ms": (("JVM GC Time",), 1),
    "result_bytes": (("Result Size",), 1),
    "memory_spilled_bytes": (("Memory Bytes Spilled",), 1),
    "disk_spilled_bytes": (("Disk Bytes Spilled",), 1),
    "input_bytes": (("Input Metrics", "Bytes Read"), 1),
    "input_records": (("Input Metrics", "Records Read"), 1),
    "output_bytes": (("Output Metrics", "Bytes Written"), 1),
    "output_records": (("Output Metrics", "Records Written"), 1),
    "shuffle_remote_read_bytes": (("Shuffle Read Metrics", "Remote Bytes Read"), 1),
    "shuffle_local_read_bytes": (("Shuffle Read Metrics", "Local Bytes Read"), 1),
    "shuffle_read_records": (("Shuffle Read Metrics", "Total Records Read"), 1),
    "shuffle_fetch_wait_ms": (("Shuffle Read Metrics", "Fetch Wait Time"), 1),
    "shuffle_write_bytes": (("Shuffle Write Metrics", "Shuffle Bytes Written"), 1),
    "shuffle_write_records": (("Shuffle Write Metrics", "Shuffle Records Written"), 1),
}
_COUNTS = ("jobs", "failed_jobs", "stages", "failed_stages", "tasks", "failed_tasks")
_PEAKS = ("peak_execution_memory_bytes", "peak_heap_bytes")
NAMES = (*_COUNTS, *_SUMS, *_PEAKS)

RUN_SETTING = "spark.headway.run"
_STAGES_KEPT = 100_000
_KINDS = ("JobStart", "JobEnd", "StageCompleted", "TaskEnd", "EnvironmentUpdate")
_WANTED = tuple(f'{{"Event":"SparkListener{kind}"' for kind in _KINDS)


@dataclass(frozen=True)
class TaskPlace:
    """An attempt of a task: what it is called on its driver (`driver_run`), where it ran, its times in milliseconds
    since 1970 (None: not yet), the file of what it prints."""

    run_id: int
    task_key: str
    attempt: int
    iteration: int | None
    cluster_id: str | None
    driver_run: str
    started_ms: int | None
    ended_ms: int | None
    active: bool
    log: Path


@dataclass(frozen=True)
class ClusterPlace:
    """A cluster: the folders (`logs`, `eventlog`) of its drivers, the present or last one first."""

    cluster_id: str
    state: str
    spark_version: str
    folders: tuple[Path, ...]


def no_metrics() -> dict[str, int]:
    """All figures of a run that did nothing on Spark."""
    return dict.fromkeys(NAMES, 0)


def added(all_metrics: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Figures together: sums, and the highest peaks."""
    total = no_metrics()
    for metrics in all_metrics:
        for name in NAMES:
            total[name] = max(total[name], metrics[name]) if name in _PEAKS else total[name] + metrics[name]
    return total


@dataclass
class EventLog:
    """The figures of each tagged run in one application's log, as far as it has been fed."""

    runs: dict[str, dict[str, int]] = field(default_factory=dict)
    _tag: str | None = None
    _jobs: dict[int, str] = field(default_factory=dict)
    _stages: dict[int, str] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        """One line of the log; what is of no use here is passed over."""
        if not line.startswith(_WANTED):
            return
        event = json.loads(line)
        kind = event["Event"].removeprefix("SparkListener")
        if kind == "JobStart":
            self._job_start(event)
        elif kind == "EnvironmentUpdate":
            self._tag = event.get("Spark Properties", {}).get(RUN_SETTING, self._tag)
        elif kind == "JobEnd":
            run = self._of(self._jobs.pop(event["Job ID"], None))
            if run is not None and event["Job Result"]["Result"] != "JobSucceeded":
                run["failed_jobs"] += 1
        elif kind == "StageCompleted":
            info = event["Stage Info"]
            run = self._of(self._stages.get(info["Stage ID"]))
            if run is not None:
                run["stages"] += 1
                run["failed_stages"] += "Failure Reason" in info
        else:
            self._task_end(event)

    def of(self, driver_run: str) -> dict[str, int]:
        """The figures of a run with those of the notebooks that it ran."""
        own = f"run-{driver_run}"
        return added(found for tag, found in self.runs.items() if tag == own or tag.startswith(f"{own}."))

    def driver_runs(self) -> set[str]:
        """The runs that it has figures of."""
        return {tag.removeprefix("run-").partition(".")[0] for tag in self.runs}

    def _job_start(self, event: Mapping[str, Any]) -> None:
        tags = str(event.get("Properties", {}).get("spark.job.tags", "")).split(",")
        tag = next((tag for tag in tags if tag.startswith("run-")), self._tag)
        if tag is None:
            return
        run = self.runs.setdefault(tag, no_metrics())
        run["jobs"] += 1
        self._jobs[event["Job ID"]] = tag
        for stage in event["Stage IDs"]:
            self._stages[stage] = tag
        while len(self._stages) > _STAGES_KEPT:
            del self._stages[next(iter(self._stages))]

    def _task_end(self, event: Mapping[str, Any]) -> None:
        run = self._of(self._stages.get(event["Stage ID"]))
        if run is None:
            return
        run["tasks"] += 1
        run["failed_tasks"] += event["Task End Reason"]["Reason"] != "Success"
        metrics = event.get("Task Metrics") or {}
        for name, (path, unit) in _SUMS.items():
            run[name] += _at(metrics, path) // unit
        peaks = event.get("Task Executor Metrics") or {}
        for name, value in (
            ("peak_execution_memory_bytes", _at(metrics, ("Peak Execution Memory",))),
            ("peak_heap_bytes", _at(peaks, ("JVMHeapMemory",))),
        ):
            run[name] = max(run[name], value)

    def _of(self, tag: str | None) -> dict[str, int] | None:
        return None if tag is None else self.runs.get(tag)


def _at(metrics: Mapping[str, Any], path: tuple[str, ...]) -> int:
    found: Any = metrics
    for name in path:
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, int) else 0
