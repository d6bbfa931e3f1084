"""The jobs engine: starts runs, holds back those that must wait, ends them when the workspace stops."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.clock import now_ms
from headway.workspace.engine.job_clusters import RunClusters
from headway.workspace.engine.preparation import Files
from headway.workspace.engine.runner import Runner

logger = logging.getLogger(__name__)


class Records(Protocol):
    """What the engine needs of the jobs service's store."""

    def run(self, run_id: int) -> Any:
        """A run."""

    def tasks(self, run_id: int) -> list[Any]:
        """Its task runs."""

    def active_runs(self, job_id: int | None = None) -> list[Any]:
        """Every run that has not ended, oldest first."""

    def change(self, run_id: int, **values: Any) -> None:
        """Set what is known of a run."""

    def end_tasks(self, run_id: int, keys: Any, **values: Any) -> None:
        """Set what is known of the tasks of a run that have not ended."""


class Engine:
    """Runs by id. `clusters` gives the clusters of a run, given the run and its folder."""

    def __init__(
        self, records: Records, clusters: Callable[[Any, Path], RunClusters], files: Files, folder: Path, base_url: str
    ) -> None:
        self._records, self._clusters, self._files, self._folder = records, clusters, files, folder
        self.base_url = base_url
        self._lock = threading.RLock()
        self._runners: dict[int, Runner] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._closing = False

    def run_folder(self, run_id: int) -> Path:
        """Where a run's logs, libraries and event logs are kept."""
        return self._folder / str(run_id)

    def recover(self) -> None:
        """What a workspace that was killed left behind: runs that had begun go on, on drivers that live; those that
        waited begin. See `resumption`."""
        found = self._records.active_runs()
        for run in found:
            if run.life_cycle_state in ("RUNNING", "TERMINATING"):
                self._begin(run, resumed=True)
                if run.life_cycle_state == "TERMINATING":
                    self.cancel(run.run_id)
        for run in found:
            self.submit(run.run_id)

    def submit(self, run_id: int) -> None:
        """Start a run that is PENDING or QUEUED, unless its job may not have another one now: then it waits (QUEUED)
        where the job has a queue, else it is SKIPPED."""
        with self._lock:
            run = self._records.run(run_id)
            if not run.active or run_id in self._runners or self._closing:
                return
            if run.job_id and not self._room(run):
                if run.settings.get("queue", {}).get("enabled"):
                    self._records.change(run_id, life_cycle_state="QUEUED", state_message="Waiting for another run")
                else:
                    self._skip(run_id)
                return
            self._begin(run)

    def _begin(self, run: Any, *, resumed: bool = False) -> None:
        run_id = run.run_id
        with self._lock:
            folder = self.run_folder(run_id)
            folder.mkdir(parents=True, exist_ok=True)
            runner = Runner(
                run,
                self._records.tasks(run_id),
                self._records,
                self._clusters(run, folder),
                self._files,
                folder,
                self.base_url,
                resumed,
            )
            self._runners[run_id] = runner
            thread = threading.Thread(target=self._execute, args=(run_id, runner), name=f"run-{run_id}", daemon=True)
            self._threads[run_id] = thread
            thread.start()

    def _room(self, run: Any) -> bool:
        others = [
            other
            for other in self._records.active_runs(run.job_id)
            if other.run_id != run.run_id and other.life_cycle_state != "QUEUED"
        ]
        return len(others) < int(run.settings.get("max_concurrent_runs", 1))

    def _skip(self, run_id: int) -> None:
        values = {
            "life_cycle_state": "SKIPPED",
            "result_state": "MAXIMUM_CONCURRENT_RUNS_REACHED",
            "state_message": "The job has reached its maximum number of concurrent runs.",
            "ended_ms": now_ms(),
        }
        self._records.end_tasks(run_id, None, **values)
        self._records.change(run_id, **values)

    def _execute(self, run_id: int, runner: Runner) -> None:
        life_cycle, message, code = "TERMINATED", "", None
        try:
            result = runner.execute()
            message = _MESSAGES.get(result, "")
        except Exception as error:
            logger.exception("run %s", run_id)
            life_cycle, result, code = "INTERNAL_ERROR", "FAILED", "INTERNAL_ERROR"
            message = f"internal error: {type(error).__name__}: {error}"
        if result == "FAILED" and not code:
            failed = [task for task in self._records.tasks(run_id) if task.result_state in ("FAILED", "TIMEDOUT")]
            if failed:
                message = f"Task {failed[0].task_key} failed with message: {failed[0].state_message}"
        with self._lock:
            self._records.change(
                run_id,
                life_cycle_state=life_cycle,
                result_state=result,
                state_message=message,
                termination_code=code,
                ended_ms=now_ms(),
            )
            self._runners.pop(run_id, None)
            self._threads.pop(run_id, None)
            run = self._records.run(run_id)
            waiting = [] if self._closing else self._records.active_runs(run.job_id) if run.job_id else []
        for other in waiting:
            if other.life_cycle_state == "QUEUED":
                self.submit(other.run_id)

    def cancel(self, run_id: int) -> None:
        """End a run that has not ended; nothing happens to one that has."""
        with self._lock:
            runner = self._runners.get(run_id)
            run = self._records.run(run_id)
            if runner is None:
                if run.active:
                    values = {
                        "life_cycle_state": "TERMINATED",
                        "result_state": "CANCELED",
                        "state_message": "Run cancelled.",
                        "ended_ms": now_ms(),
                    }
                    self._records.end_tasks(run_id, None, **values)
                    self._records.change(run_id, **values)
                return
            self._records.change(run_id, life_cycle_state="TERMINATING", state_message="Run cancelled.")
        threading.Thread(target=runner.cancel, name=f"cancel-{run_id}", daemon=True).start()

    def close(self, seconds: float = 20) -> None:
        """End every run, because the workspace stops."""
        with self._lock:
            self._closing = True
            runners, threads = list(self._runners.values()), list(self._threads.values())
        for runner in runners:
            runner.cancel(message="The workspace was stopped.")
        for thread in threads:
            thread.join(seconds)


_MESSAGES = {"CANCELED": "Run cancelled.", "TIMEDOUT": "Run timed out."}
