"""Takes one run from RUNNING to its end: a thread for the run, one for each task that runs."""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.clock import now_ms
from headway.workspace.engine import resumption
from headway.workspace.engine.decisions import Node, decide, retries_left, run_result
from headway.workspace.engine.job_clusters import RunClusters
from headway.workspace.engine.preparation import CannotRun, Files, Situation, driver_run, request
from headway.workspace.engine.resumption import Standing
from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import DriverFailed, TaskOutcome

logger = logging.getLogger(__name__)

OUTPUT_LIMIT = 1024 * 1024


class TaskRun(Protocol):
    """What the runner reads of a task's run."""

    run_id: int
    task_key: str | None
    settings: Mapping[str, Any]


class ActiveRun(Protocol):
    """What the runner reads of a run."""

    run_id: int
    job_id: int | None
    name: str
    creator: str
    settings: Mapping[str, Any]
    parameters: Mapping[str, Any]
    created_ms: int
    execution_ms: int | None


class RunRecords(Protocol):
    """Where runs are told of (the jobs service's store)."""

    def change(self, run_id: int, **values: Any) -> None:
        """Set what is known of a run or task run."""


class Runner:
    """One run. `execute` returns when it has ended; `cancel` may be called from elsewhere at any time."""

    def __init__(
        self,
        run: ActiveRun,
        tasks: list[Any],
        records: RunRecords,
        clusters: RunClusters,
        files: Files,
        folder: Path,
        base_url: str,
        resumed: bool = False,
    ) -> None:
        self._run, self._records, self._clusters = run, records, clusters
        self._files, self._folder, self._base_url = files, folder, base_url
        self._tasks: dict[str, TaskRun] = {str(task.task_key): task for task in tasks}
        self._nodes = [
            Node(
                key,
                tuple(entry["task_key"] for entry in task.settings.get("depends_on") or []),
                task.settings.get("run_if", "ALL_SUCCESS"),
            )
            for key, task in self._tasks.items()
        ]
        self._results = resumption.results(tasks) if resumed else {}
        self._standings = resumption.standings(tasks) if resumed else {}
        self._resumed = resumed
        self._ended: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._stopped_as, self._stop_message = "CANCELED", ""
        self._live: dict[str, tuple[Any, str]] = {}
        self._lock = threading.Lock()

    def cancel(self, result_state: str = "CANCELED", message: str = "Run cancelled.") -> None:
        """End the run: what runs is ended, what waits does not begin. `message` is what its tasks tell."""
        with self._lock:
            if self._stop.is_set():
                return
            self._stopped_as, self._stop_message = result_state, message
            self._stop.set()
            live = list(self._live.values())
        for driver, run_id in live:
            try:
                driver.cancel(run_id)
            except DriverFailed as failed:
                logger.warning("run %s: %s", self._run.run_id, failed.message)

    def execute(self) -> str:
        """Run every task; return the run's result state."""
        began = now_ms()
        if self._resumed:
            self._clusters.take_over()
            began = self._run.execution_ms or began
        self._records.change(
            self._run.run_id, life_cycle_state="RUNNING", started_ms=began, execution_ms=began, state_message="In run"
        )
        limit = resumption.left_s(self._run.settings.get("timeout_seconds", 0), began, now_ms())
        timer = self._timer(limit, self.cancel)
        results = dict(self._results)
        started: set[str] = set()
        try:
            while len(results) < len(self._nodes):
                decision = decide(self._nodes, results, started)
                for key, result in decision.end.items():
                    results[key] = result
                    self._end_task(key, result, _WITHOUT_RUNNING.get(result, ""))
                if decision.end:
                    continue
                for key in decision.start:
                    started.add(key)
                    threading.Thread(target=self._task, args=(key,), name=f"task-{key}", daemon=True).start()
                key, result = self._ended.get()
                results[key] = result
                self._close_unused({*results})
        finally:
            if timer is not None:
                timer.cancel()
            self._clusters.end_all()
        if self._stop.is_set():
            return self._stopped_as
        return run_result(self._nodes, results)

    def _close_unused(self, done: set[str]) -> None:
        """End a shared cluster as soon as no task is left that may want it."""
        for name, users in self._clusters.shared_by({key: task.settings for key, task in self._tasks.items()}).items():
            if users and users <= done:
                self._clusters.end(name)

    def _timer(self, seconds: float, act: Any) -> threading.Timer | None:
        if not seconds:
            return None
        timer = threading.Timer(seconds, act, args=("TIMEDOUT",))
        timer.daemon = True
        timer.start()
        return timer

    def _task(self, key: str) -> None:
        try:
            result = self._attempts(key)
        except Exception as error:
            logger.exception("task %s of run %s", key, self._run.run_id)
            result = "FAILED"
            self._end_task(key, result, f"internal error: {type(error).__name__}: {error}", code="INTERNAL_ERROR")
        self._ended.put((key, result))

    def _attempts(self, key: str) -> str:
        settings = self._tasks[key].settings
        standing = self._standings.pop(key, Standing(0))
        attempt = standing.attempt
        while True:
            result = self._go_on(key, standing) if standing.cluster_id else self._attempt(key, attempt)
            standing = Standing(attempt)
            if self._stop.is_set() or not retries_left(
                result, attempt, settings.get("max_retries", 0), settings.get("retry_on_timeout", False)
            ):
                return result
            self._records.change(self._tasks[key].run_id, life_cycle_state="WAITING_FOR_RETRY", ended_ms=None)
            if self._stop.wait(settings.get("min_retry_interval_millis", 0) / 1000):
                self._end_task(key, self._stopped_as, self._stop_message)
                return self._stopped_as
            attempt += 1

    def _go_on(self, key: str, standing: Standing) -> str:
        """Wait for an attempt that was running when the workspace was killed; one that never began, begins."""
        task, attempt = self._tasks[key], standing.attempt
        cluster_id = str(standing.cluster_id)
        run_id = driver_run(task.run_id, attempt)
        timed_out = threading.Event()
        try:
            with self._clusters.adopted(cluster_id) as driver:
                outcome = self._watched(
                    key, driver, run_id, timed_out, lambda: driver.resume(run_id), standing.since_ms
                )
            self._clusters.release(key, task.settings)
            return (
                self._attempt(key, attempt)
                if outcome is None
                else self._told(key, attempt, outcome, timed_out.is_set())
            )
        except (DriverFailed, ApiError) as failed:
            if self._stop.is_set():
                return self._end_task(key, self._stopped_as, self._stop_message)
            self._clusters.release(key, task.settings)
            message = f"The run was going when the workspace ended, and its driver is gone: {failed}"
            output = {"attempt": attempt, "error": message}
            return self._end_task(key, "FAILED", message, code="DRIVER_ERROR", output=output)

    def _attempt(self, key: str, attempt: int) -> str:
        task = self._tasks[key]
        if self._stop.is_set():
            self._end_task(key, self._stopped_as, self._stop_message)
            return self._stopped_as
        self._records.change(
            task.run_id,
            life_cycle_state="PENDING",
            started_ms=now_ms(),
            state_message="Waiting for cluster",
            output={"attempt": attempt},
        )
        on: list[str] = []

        def on_cluster(cluster_id: str) -> None:
            on.append(cluster_id)
            self._records.change(task.run_id, cluster_id=cluster_id)

        try:
            with self._clusters.driver(key, task.settings, on_cluster) as driver:
                return self._on(driver, task, key, attempt, on[0])
        except (CannotRun, ApiError) as cannot:
            return self._end_task(key, "FAILED", str(cannot), output={"attempt": attempt, "error": str(cannot)})
        except DriverFailed as failed:
            if self._stop.is_set():
                return self._end_task(key, self._stopped_as, self._stop_message)
            output = {"attempt": attempt, "error": failed.message}
            return self._end_task(key, "FAILED", failed.message, code="DRIVER_ERROR", output=output)

    def _on(self, driver: Any, task: TaskRun, key: str, attempt: int, cluster_id: str) -> str:
        defaults = {entry["name"]: entry.get("default", "") for entry in self._run.settings.get("parameters", [])}
        given = self._run.parameters.get("job_parameters", {})
        situation = Situation(
            self._run.job_id or 0,
            self._run.name,
            self._run.run_id,
            key,
            task.run_id,
            attempt,
            self._run.created_ms,
            self._base_url,
            cluster_id,
        )
        asked = request(
            task.settings, self._run.parameters, {**defaults, **given}, situation, self._files, self._folder
        )
        timed_out = threading.Event()
        with self._lock:
            if self._stop.is_set():
                return self._end_task(key, self._stopped_as, self._stop_message)
        self._records.change(task.run_id, life_cycle_state="RUNNING", execution_ms=now_ms(), state_message="In run")
        outcome = self._watched(key, driver, asked.run_id, timed_out, lambda: driver.run(asked))
        return self._told(key, attempt, outcome or TaskOutcome("CANCELED"), timed_out.is_set())

    def _watched(
        self,
        key: str,
        driver: Any,
        run_id: str,
        timed_out: threading.Event,
        wait: Callable[[], TaskOutcome | None],
        since_ms: int | None = None,
    ) -> TaskOutcome | None:
        """Wait for a run of a driver, which meanwhile the run's cancel or the task's timeout may end."""

        def time_out(_: str) -> None:
            timed_out.set()
            driver.cancel(run_id)

        with self._lock:
            self._live[key] = (driver, run_id)
            stopped = self._stop.is_set()
        if stopped:
            driver.cancel(run_id)
        limit = resumption.left_s(self._tasks[key].settings.get("timeout_seconds", 0), since_ms, now_ms())
        timer = self._timer(limit, time_out)
        try:
            return wait()
        finally:
            if timer is not None:
                timer.cancel()
            with self._lock:
                self._live.pop(key, None)

    def _told(self, key: str, attempt: int, outcome: TaskOutcome, timed_out: bool) -> str:
        output: dict[str, Any] = {"attempt": attempt, "seconds": outcome.seconds}
        if outcome.notebook_result is not None:
            output["notebook_result"] = outcome.notebook_result[:OUTPUT_LIMIT]
            output["truncated"] = len(outcome.notebook_result) > OUTPUT_LIMIT
        if outcome.state == "SUCCESS":
            return self._end_task(key, "SUCCESS", "", output=output)
        if outcome.state == "CANCELED" or self._stop.is_set():
            result = "TIMEDOUT" if timed_out else self._stopped_as if self._stop.is_set() else "CANCELED"
            message = "Run timed out." if result == "TIMEDOUT" else self._stop_message or "Run cancelled."
            return self._end_task(key, result, message, output=output)
        output |= {"error": outcome.error, "error_trace": outcome.error_trace}
        return self._end_task(key, "FAILED", outcome.error, output=output)

    def _end_task(
        self, key: str, result: str, message: str, *, code: str | None = None, output: dict[str, Any] | None = None
    ) -> str:
        values: dict[str, Any] = {
            "life_cycle_state": "SKIPPED"
            if result in ("EXCLUDED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED")
            else "TERMINATED",
            "result_state": result,
            "state_message": message,
            "termination_code": code,
            "ended_ms": now_ms(),
        }
        if output is not None:
            values["output"] = output
        self._records.change(self._tasks[key].run_id, **values)
        return result


_WITHOUT_RUNNING = {
    "UPSTREAM_FAILED": "An upstream task failed.",
    "UPSTREAM_CANCELED": "An upstream task was canceled.",
    "EXCLUDED": "The task's run_if condition does not hold.",
}
