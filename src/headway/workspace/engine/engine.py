"""The jobs engine: starts runs, holds back those that must wait, ends them when the workspace stops."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headway.workspace.engine.admission import Admission
from headway.workspace.engine.events import Events, RunEnded, RunQueued
from headway.workspace.engine.job_clusters import RunClusters
from headway.workspace.engine.preparation import Files
from headway.workspace.engine.records import Records, RunRecord
from headway.workspace.engine.runner import Runner
from headway.workspace.engine.scope import Parts, RunScope
from headway.workspace.engine.timers import ThreadTimers, Timers
from headway.workspace.errors import ApiError, invalid

logger = logging.getLogger(__name__)

# A chain of run_job tasks longer than this is taken for one that has no end.
MAX_DEPTH = 10
# Source: Databricks, "Job queueing": a run is queued for at most 48 hours.
QUEUED_HOURS = 48

Launch = Callable[[int, Mapping[str, Any], str, Mapping[str, Any]], int]


class Engine:
    """Runs by id. `clusters` gives the clusters of a run, given the run and its folder; `launch` keeps a new run of a
    job, given its id, the parameters, the trigger and its details."""

    def __init__(
        self,
        records: Records,
        clusters: Callable[[Any, Path], RunClusters],
        files: Files,
        folder: Path,
        base_url: str,
        *,
        launch: Launch,
        timers: Timers | None = None,
        events: Events | None = None,
    ) -> None:
        self._records, self._clusters, self._folder = records, clusters, folder
        self.base_url = base_url
        self.timers = timers or ThreadTimers()
        self.events = events or Events()
        self._launch = launch
        self._parts = Parts(records, files, self.timers, self.events, self, base_url)
        self._lock = threading.RLock()
        self._admission = Admission()
        self._runners: dict[int, Runner] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._ending: dict[int, list[Callable[[], None]]] = {}
        self._closing = False

    def run_folder(self, run_id: int) -> Path:
        """Where a run's logs, libraries and event logs are kept."""
        return self._folder / str(run_id)

    def recover(self) -> None:
        """What a workspace that was killed left behind: runs that had begun go on, on drivers that live; those that
        waited begin. What had begun keeps its place before what waited."""
        found = self._records.active_runs()
        begun = [run for run in found if run.life_cycle_state in ("RUNNING", "TERMINATING")]
        for run in [*begun, *(run for run in found if run not in begun)]:
            self.submit(run.run_id)
            if run.life_cycle_state == "TERMINATING":
                self.cancel(run.run_id)

    # starting

    def submit(self, run_id: int) -> None:
        """Start a run that is PENDING or QUEUED, unless its job may not have another one now: then it waits (QUEUED)
        where the job has a queue, else it is SKIPPED."""
        with self._lock:
            run = self._records.run(run_id)
            if run_id in self._runners or self._closing:
                return
            if not run.active:
                following = self._admission.leave(run.job_id, run_id)
                for other in following:
                    self.submit(other)
                return
            queued = bool((run.settings.get("queue") or {}).get("enabled"))
            verdict = self._admission.ask(run.job_id, run_id, _most(run), may_wait=queued)
            if verdict == "start":
                self._start(run)
            elif verdict == "wait":
                now = self.timers.now_ms()
                message = "Queued: the job has reached its maximum number of concurrent runs."
                self._records.change(run_id, life_cycle_state="QUEUED", state_message=message)
                self.timers.at(run.created_ms + QUEUED_HOURS * 3_600_000, lambda: self._expire(run_id))
                self.events.publish(RunQueued(run_id, run.job_id, now))
            else:
                self._end_unstarted(run, "SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED", _TOO_MANY)

    def start(self, job_id: int, trigger: str, details: Mapping[str, Any]) -> int:
        """Start a run of a job, for its trigger. Raise ApiError."""
        run_id = self._launch(job_id, {}, trigger, details)
        self.submit(run_id)
        return run_id

    def active(self, job_id: int) -> list[Any]:
        """The runs of a job that have not ended."""
        return list(self._records.active_runs(job_id))

    def run(self, run_id: int) -> Any:
        """A run. Raise ApiError."""
        return self._records.run(run_id)

    def repair(self, run_id: int) -> None:
        """Go on with a run that has ended and whose chosen tasks have new attempts. Raise ApiError where its job may
        not have another run now."""
        with self._lock:
            run = self._records.run(run_id)
            if self._admission.ask(run.job_id, run_id, max(1, _most(run)), may_wait=False) != "start":
                raise invalid(f"Run {run_id} cannot be repaired now: {_TOO_MANY}")
            self._start(run)

    def may_repair(self, run: RunRecord) -> bool:
        """Whether its job may have another run now."""
        with self._lock:
            return self._admission.room(run.job_id, max(1, _most(run)))

    def _start(self, run: RunRecord) -> None:
        folder = self.run_folder(run.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        repairs = int(run.details.get("repair_count", 0))
        scope = RunScope(run, self._parts, self._clusters(run, folder), folder, repairs)
        runner = Runner(scope, self._records.tasks(run.run_id))
        self._runners[run.run_id] = runner
        name = f"run-{run.run_id}"
        thread = threading.Thread(target=self._execute, args=(run, runner), name=name, daemon=True)
        self._threads[run.run_id] = thread
        thread.start()

    def start_child(self, parent: RunRecord, task_run_id: int, body: Mapping[str, Any]) -> int:
        """A run of another job for a run_job task. Raise ApiError where there is no such job, or the chain of runs that
        start runs comes back to a job of its own or is too long."""
        job_id = int(body["job_id"])
        chain = [*parent.details.get("chain", []), parent.job_id]
        if job_id in chain or len(chain) > MAX_DEPTH:
            named = " -> ".join(str(entry) for entry in [*chain, job_id])
            raise invalid(f"Jobs that run each other in a circle, or too deep, are not run: {named}")
        parameters = {name: value for name, value in body.items() if name != "job_id"}
        details = {"chain": chain, "task_run_id": task_run_id, "creator": parent.creator}
        run_id = self._launch(job_id, parameters, "RUN_JOB_TASK", details)
        self.submit(run_id)
        return run_id

    # ending

    def _execute(self, run: RunRecord, runner: Runner) -> None:
        life_cycle, message, code = "TERMINATED", "", None
        try:
            result = runner.execute()
            message = _MESSAGES.get(result, "")
            if result == "FAILED":
                message = self._first_failure(run.run_id)
        except Exception as error:
            logger.exception("run %s", run.run_id)
            life_cycle, result, code = "INTERNAL_ERROR", "FAILED", "INTERNAL_ERROR"
            message = f"internal error: {type(error).__name__}: {error}"
        with self._lock:
            self._records.change(
                run.run_id,
                life_cycle_state=life_cycle,
                result_state=result,
                state_message=message,
                termination_code=code,
                ended_ms=self.timers.now_ms(),
            )
            self._runners.pop(run.run_id, None)
            self._threads.pop(run.run_id, None)
            following = self._admission.leave(run.job_id, run.run_id)
        self._tell_ended(run, life_cycle, result)
        for other in following:
            self.submit(other)

    def _first_failure(self, run_id: int) -> str:
        failed = [task for task in self._records.tasks(run_id) if task.result_state in ("FAILED", "TIMEDOUT")]
        return f"Task {failed[0].task_key} failed with message: {failed[0].state_message}" if failed else ""

    def _tell_ended(self, run: RunRecord, life_cycle: str, result: str) -> None:
        with self._lock:
            waiting = self._ending.pop(run.run_id, [])
        for act in waiting:
            act()
        self.events.publish(RunEnded(run.run_id, run.job_id, self.timers.now_ms(), life_cycle, result))

    def _end_unstarted(self, run: RunRecord, life_cycle: str, result: str, message: str) -> None:
        values = {
            "life_cycle_state": life_cycle,
            "result_state": result,
            "state_message": message,
            "ended_ms": self.timers.now_ms(),
        }
        self._records.end_tasks(run.run_id, None, **values)
        self._records.change(run.run_id, **values)
        self._tell_ended(run, life_cycle, result)

    def _expire(self, run_id: int) -> None:
        """A run has been queued for as long as one may be."""
        with self._lock:
            try:
                run = self._records.run(run_id)
            except ApiError:  # it was deleted
                return
            if run.life_cycle_state != "QUEUED" or run_id in self._runners or self._closing:
                return
            following = self._admission.leave(run.job_id, run_id)
            message = f"The run was queued for {QUEUED_HOURS} hours, the longest that it may be. {_TOO_MANY}"
            self._end_unstarted(run, "SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED", message)
        for other in following:
            self.submit(other)

    def when_ended(self, run_id: int, act: Callable[[], None]) -> None:
        """Call `act` once the run has ended, at once where it has."""
        with self._lock:
            if self._records.run(run_id).active:
                self._ending.setdefault(run_id, []).append(act)
                return
        act()

    def cancel(self, run_id: int) -> None:
        """End a run, or the run of one task; nothing happens to one that has ended."""
        with self._lock:
            run = self._records.run(run_id)
            if not run.active:
                return
            root = run.root_id or run_id
            runner = self._runners.get(root)
            if runner is None:
                if run.root_id is None:
                    following = self._admission.leave(run.job_id, run_id)
                    self._end_unstarted(run, "TERMINATED", "CANCELED", "Run cancelled.")
                    for other in following:
                        self.submit(other)
                return
            self._records.change(run_id, life_cycle_state="TERMINATING", state_message="Run cancelled.")
        act = runner.cancel if root == run_id else lambda: runner.cancel_task(run_id)
        threading.Thread(target=act, name=f"cancel-{run_id}", daemon=True).start()

    def close(self, seconds: float = 20) -> None:
        """End every run, because the workspace stops."""
        with self._lock:
            self._closing = True
            runners, threads = list(self._runners.values()), list(self._threads.values())
        self.timers.close()
        for runner in runners:
            runner.cancel(message="The workspace was stopped.")
        for thread in threads:
            thread.join(seconds)


def _most(run: RunRecord) -> int:
    return int(run.settings.get("max_concurrent_runs", 1))


_TOO_MANY = "The job has reached its maximum number of concurrent runs."
_MESSAGES = {"CANCELED": "Run cancelled.", "TIMEDOUT": "Run timed out."}
