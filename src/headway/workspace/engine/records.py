"""What the engine reads of runs, and what it asks of whoever keeps them (the jobs service's store)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from headway.workspace.runtime.tasks import NotebookRun


class RunRecord(Protocol):
    """A run, or the run of a task: `task_key`, and `attempt` counted from 0."""

    @property
    def run_id(self) -> int: ...
    @property
    def job_id(self) -> int | None: ...
    @property
    def task_key(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def creator(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def trigger(self) -> str: ...
    @property
    def details(self) -> Mapping[str, Any]: ...
    @property
    def attempt(self) -> int: ...
    @property
    def iteration(self) -> int | None: ...
    @property
    def original_id(self) -> int | None: ...
    @property
    def repair_id(self) -> int | None: ...
    @property
    def root_id(self) -> int | None: ...
    @property
    def parent_id(self) -> int | None: ...
    @property
    def life_cycle_state(self) -> str: ...
    @property
    def result_state(self) -> str | None: ...
    @property
    def state_message(self) -> str: ...
    @property
    def termination_code(self) -> str | None: ...
    @property
    def cluster_id(self) -> str | None: ...
    @property
    def execution_ms(self) -> int | None: ...
    @property
    def created_ms(self) -> int: ...
    @property
    def output(self) -> Mapping[str, Any]: ...
    @property
    def active(self) -> bool: ...


class Records(Protocol):
    """Where runs are kept."""

    def run(self, run_id: int) -> Any:
        """A RunRecord. Raise ApiError."""

    def tasks(self, run_id: int) -> Sequence[Any]:
        """The latest attempt of each task of a run, or of each iteration of a for-each task's run."""

    def active_runs(self, job_id: int | None = None) -> Sequence[Any]:
        """Every run that has not ended, oldest first."""

    def change(self, run_id: int, **values: Any) -> None:
        """Set what is known of a run or task run."""

    def end_tasks(self, run_id: int, keys: Sequence[str] | None, **values: Any) -> None:
        """Set what is known of the tasks of a run that have not ended, of those named by `keys` or all of them."""

    def add_task_run(self, parent_id: int, before: RunRecord | None, **values: Any) -> Any:
        """A new task run below `parent_id`: the next attempt of `before`, or the first of its task."""

    def add_notebook_run(self, task: RunRecord, key: str, found: NotebookRun) -> int:
        """A run that has ended: of a notebook that a task ran. Return its id."""
