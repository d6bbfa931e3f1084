"""Takes one run from RUNNING to its end: a thread for the run, one for each task that runs."""

import queue
import threading
from collections.abc import Callable, Sequence

from headway.workspace.engine.attempts import Attempts
from headway.workspace.engine.decisions import Graph, Node, decide, run_result
from headway.workspace.engine.events import RunLasts, RunStarted
from headway.workspace.engine.records import RunRecord
from headway.workspace.engine.scope import RunScope, TaskEnd


class Runner:
    """One run. `execute` returns when it has ended; `cancel` may be called from elsewhere at any time.

    `rows` are the latest attempts of its tasks: those that have ended (before a repair) stand as they are.
    """

    def __init__(self, scope: RunScope, rows: Sequence[RunRecord]) -> None:
        self._scope, self._records = scope, scope.parts.records
        self._rows = {str(row.task_key): row for row in rows}
        self._nodes = [node(row) for row in rows]
        self._graph = Graph(self._nodes)
        self._attempts = Attempts(scope)
        self._results: dict[str, str] = {}
        self._outcomes: dict[str, str] = {}
        self._started: set[str] = set()
        self._users = {
            name: {key for key, row in self._rows.items() if name in cluster_keys(row)}
            for name in scope.clusters.shared
        }
        self._finished: queue.SimpleQueue[tuple[str, RunRecord, TaskEnd]] = queue.SimpleQueue()

    def cancel(self, result_state: str = "CANCELED", message: str = "Run cancelled.") -> None:
        """End the run: what runs is ended, what waits does not begin. `message` is what its tasks tell."""
        self._scope.cancellation.cancel(result_state, message)

    def cancel_task(self, task_run_id: int) -> None:
        """End one task of it."""
        self._scope.cancel_task(task_run_id)

    def execute(self) -> str:
        """Run every task; return the run's result state."""
        run, timers = self._scope.run, self._scope.parts.timers
        began = timers.now_ms()
        again = run.repair_id is not None or self._scope.resumed
        if self._scope.resumed:
            began = run.execution_ms or began
        # A repaired run, and one that goes on after a restart, keeps the time at which it first began.
        first = {} if again else {"started_ms": began, "execution_ms": began}
        self._records.change(run.run_id, life_cycle_state="RUNNING", state_message="In run", **first)
        self._scope.parts.events.publish(RunStarted(run.run_id, run.job_id, began, again))
        off = [timers.at(began + seconds * 1000, act) for seconds, act in self._alarms()]
        try:
            self._go()
        finally:
            for take_back in off:
                take_back()
            self._scope.clusters.end_all()
        reason = self._scope.cancellation.reason
        return reason[0] if reason is not None else run_result(self._nodes, self._results)

    def _alarms(self) -> list[tuple[int, "_Act"]]:
        settings, found = self._scope.run.settings, list[tuple[int, _Act]]()
        if settings.get("timeout_seconds"):
            found.append((settings["timeout_seconds"], lambda: self.cancel("TIMEDOUT", "Run timed out.")))
        for rule in (settings.get("health") or {}).get("rules") or []:
            if rule.get("metric") == "RUN_DURATION_SECONDS":
                found.append((int(rule["value"]), lambda seconds=int(rule["value"]): self._lasts(seconds)))  # type: ignore[misc]
        return found

    def _lasts(self, seconds: int) -> None:
        run, parts = self._scope.run, self._scope.parts
        parts.events.publish(RunLasts(run.run_id, run.job_id, parts.timers.now_ms(), seconds))

    def _go(self) -> None:
        waiting = []
        for key, row in self._rows.items():
            if row.result_state is not None and not row.active:
                self._stand(key, row)
            elif row.settings.get("disabled"):
                self._end_without_running({key: "DISABLED"})
            else:
                waiting.append(self._graph.nodes[key])
        self._follow(waiting)
        while len(self._results) < len(self._nodes):
            key, row, end = self._finished.get()
            self._rows[key] = row
            self._note(key, row, end)
            self._follow(self._graph.followers([key]))
            self._close_unused(key)

    def _stand(self, key: str, row: RunRecord) -> None:
        end = TaskEnd(
            str(row.result_state),
            code=row.termination_code,
            outcome=row.output.get("outcome"),
            values=row.output.get("task_values", {}),
        )
        self._note(key, row, end)

    def _note(self, key: str, row: RunRecord, end: TaskEnd) -> None:
        self._results[key] = end.result
        if end.outcome is not None:
            self._outcomes[key] = end.outcome
        self._scope.tell_end(row, end)

    def _follow(self, nodes: Sequence[Node]) -> None:
        """Start what may start now, end what never will, and so on with what depends on that."""
        while nodes:
            decision = decide(nodes, self._results, self._started, self._outcomes)
            self._end_without_running(dict(decision.end))
            for key in decision.start:
                self._started.add(key)
                threading.Thread(target=self._task, args=(key,), name=f"task-{key}", daemon=True).start()
            nodes = self._graph.followers(decision.end)

    def _end_without_running(self, ends: dict[str, str]) -> None:
        for result in sorted(set(ends.values())):
            keys = [key for key, found in ends.items() if found == result]
            self._records.end_tasks(
                self._scope.run.run_id,
                keys,
                life_cycle_state="SKIPPED",
                result_state=result,
                state_message=_WITHOUT_RUNNING[result],
                ended_ms=self._scope.parts.timers.now_ms(),
            )
            for key in keys:
                self._note(key, self._rows[key], TaskEnd(result))
                self._close_unused(key)

    def _task(self, key: str) -> None:
        row = self._rows[key]
        end = TaskEnd("FAILED", "internal error", "INTERNAL_ERROR")
        try:
            row, end = self._attempts.run(row, {}, self._scope.cancellation)
        finally:
            self._finished.put((key, row, end))

    def _close_unused(self, key: str) -> None:
        """End a shared cluster as soon as no task is left that may want it."""
        for name, users in self._users.items():
            if key in users:
                users.discard(key)
                if not users:
                    self._scope.clusters.end(name)


def cluster_keys(row: RunRecord) -> set[str | None]:
    """The shared clusters that a task may want, also for its iterations."""
    nested = row.settings.get("for_each_task", {}).get("task", {})
    return {row.settings.get("job_cluster_key"), nested.get("job_cluster_key")}


def node(row: RunRecord) -> Node:
    """A task run as a node of its run's graph."""
    edges = row.settings.get("depends_on") or []
    return Node(
        str(row.task_key),
        tuple(entry["task_key"] for entry in edges),
        row.settings.get("run_if") or "ALL_SUCCESS",
        {entry["task_key"]: entry["outcome"] for entry in edges if entry.get("outcome") is not None},
    )


_Act = Callable[[], None]

_WITHOUT_RUNNING = {
    "UPSTREAM_FAILED": "An upstream task failed.",
    "UPSTREAM_CANCELED": "An upstream task was canceled.",
    "EXCLUDED": "The task's run_if condition does not hold.",
    "DISABLED": "The task is disabled.",
}
