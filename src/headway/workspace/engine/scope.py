"""What the tasks of one run share, and how each of them ends."""

import threading
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.engine import references
from headway.workspace.engine.bodies import CannotRun
from headway.workspace.engine.cancellation import Cancellation
from headway.workspace.engine.decisions import FAILURES
from headway.workspace.engine.events import Events
from headway.workspace.engine.git_tasks import in_checkout, is_in_git
from headway.workspace.engine.job_clusters import RunClusters
from headway.workspace.engine.preparation import Files
from headway.workspace.engine.records import Records, RunRecord
from headway.workspace.engine.timers import Timers
from headway.workspace.errors import ApiError


@dataclass(frozen=True)
class TaskEnd:
    """How an attempt of a task ended. `code` is a termination code; `output` what `runs/get-output` tells;
    `outcome` a condition's (`"true"`); `values` the task values it set."""

    result: str
    message: str = ""
    code: str | None = None
    output: Mapping[str, Any] = field(default_factory=dict)
    outcome: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


class ChildRuns(Protocol):
    """How a run_job task starts another job's run and learns of its end (the engine)."""

    def start_child(self, parent: RunRecord, task_run_id: int, body: Mapping[str, Any]) -> int:
        """A run of `body["job_id"]` with the parameters of `body`. Raise ApiError."""

    def when_ended(self, run_id: int, act: Callable[[], None]) -> None:
        """Call `act` once the run has ended."""

    def cancel(self, run_id: int) -> None:
        """End a run."""


@dataclass(frozen=True)
class Parts:
    """What every run of a workspace uses."""

    records: Records
    files: Files
    timers: Timers
    events: Events
    children: ChildRuns
    base_url: str


class RunScope:
    """One run while it goes on. `settings` and `parameters` are those it goes by (a repair may have newer ones)."""

    def __init__(self, run: RunRecord, parts: Parts, clusters: RunClusters, folder: Path, repair_count: int) -> None:
        self.run, self.parts, self.clusters, self.folder = run, parts, clusters, folder
        self.cancellation = Cancellation()
        # It was going when the workspace was killed.
        self.resumed = run.life_cycle_state in ("RUNNING", "TERMINATING")
        if self.resumed:
            clusters.take_over()
        self.task_values: dict[str, Mapping[str, Any]] = {}
        self._ended: dict[str, str] = {}
        self._known = references.of_run(
            job_id=run.job_id or 0,
            job_name=run.name,
            run_id=run.run_id,
            start_ms=run.created_ms,
            base_url=parts.base_url,
            trigger=run.trigger,
            details=run.details,
            repair_count=repair_count,
        )
        self._lock = threading.Lock()
        self._git_lock, self._git_root = threading.Lock(), ""
        self._switches: dict[int, Cancellation] = {}
        self._canceled_before: set[int] = set()

    def known(self, row: RunRecord, extra: Mapping[str, str]) -> "ChainMap[str, str]":
        """What the references of a task mean; `extra` those of its iteration."""
        own = references.of_task(str(row.task_key), row.run_id, row.attempt, row.settings)
        return ChainMap({**own, **extra}, self._known, self._ended)

    def job_parameters(self, known: Mapping[str, str]) -> dict[str, str]:
        """The job's parameters: run-now's before the defaults, references resolved. Raise ValueError."""
        defaults = {entry["name"]: entry.get("default", "") for entry in self.run.settings.get("parameters") or []}
        given = {**defaults, **self.run.parameters.get("job_parameters", {})}
        return {name: references.text(references.resolve(value, known)) for name, value in given.items()}

    def settings_of(self, row: RunRecord) -> Mapping[str, Any]:
        """A task's settings; what is in the job's git source is in a checkout of it, of one commit for all tasks.
        Raise CannotRun."""
        git = self.run.settings.get("git_source")
        if not git or not is_in_git(row.settings):
            return row.settings
        with self._git_lock:
            if not self._git_root:
                records, run_id = self.parts.records, self.run.run_id
                known = records.run(run_id).details
                try:
                    root, commit = self.parts.files.checkout(git, self.run.creator, known.get("git_commit"))
                except ApiError as error:
                    raise CannotRun(f"Git source: {error.message}", "REPOSITORY_CHECKOUT_FAILED") from None
                records.change(run_id, details={**records.run(run_id).details, "git_commit": commit})
                self._git_root = root
        return in_checkout(row.settings, self._git_root)

    def tell_end(self, row: RunRecord, end: TaskEnd) -> None:
        """Let later tasks know of one that ended (not of iterations)."""
        key = str(row.task_key)
        failed = end.result in FAILURES
        error = _ERROR_CODES.get(end.code or "", "RunExecutionError") if failed else ""
        if end.values:
            self.task_values[key] = end.values
        self._ended |= references.of_ended_task(
            key, row.run_id, row.attempt, end.result, error, end.values, row.settings
        )

    def switch(self, row: RunRecord, under: Cancellation) -> Cancellation:
        """The cancellation of one attempt, set with the one above it; `leave` it when the attempt has ended."""
        made = Cancellation(under)
        with self._lock:
            self._switches[row.run_id] = made
            at_once = row.run_id in self._canceled_before
        if at_once:
            made.cancel()
        return made

    def leave(self, row: RunRecord) -> None:
        """Close the cancellation of an attempt."""
        with self._lock:
            made = self._switches.pop(row.run_id, None)
        if made is not None:
            made.close()

    def cancel_task(self, task_run_id: int) -> None:
        """End one task: at once where it runs, else when its turn comes."""
        with self._lock:
            made = self._switches.get(task_run_id)
            if made is None:
                self._canceled_before.add(task_run_id)
        if made is not None:
            made.cancel()


# Source: Databricks, "What is a dynamic value reference?", tasks.<task-key>.error_code.
_ERROR_CODES = {
    "LIBRARY_INSTALLATION_ERROR": "LibraryInstallationError",
    "CLUSTER_ERROR": "ClusterError",
    "DRIVER_ERROR": "DriverError",
    "RESOURCE_NOT_FOUND": "ResourceNotFound",
    "INVALID_RUN_CONFIGURATION": "InvalidRunConfiguration",
    "UNAUTHORIZED_ERROR": "UnauthorizedError",
    "INTERNAL_ERROR": "InternalError",
}
