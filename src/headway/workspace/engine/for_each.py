"""for_each tasks: one nested task, run for each element of a list, some at a time.

Source: Databricks, "Use a For each task to run another task in a loop": the task fails where any iteration does, after
all of them have run; when it is repaired, only the iterations that did not succeed are run again.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headway.workspace.engine import references
from headway.workspace.engine.cancellation import Cancellation
from headway.workspace.engine.decisions import GOOD
from headway.workspace.engine.records import RunRecord
from headway.workspace.engine.scope import RunScope, TaskEnd

MAX_ITERATIONS = 5000
RunTask = Callable[[RunRecord, Mapping[str, str], Cancellation], tuple[RunRecord, TaskEnd]]


def parse_inputs(text: str) -> list[Any]:
    """The elements of `inputs`, after its references are resolved. Raise ValueError."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError(f"for_each_task.inputs must be a JSON array, not {text[:200]}")
    if len(found) > MAX_ITERATIONS:
        raise ValueError(f"for_each_task.inputs has {len(found)} elements; at most {MAX_ITERATIONS} are run")
    return found


class Tally:
    """How the iterations of one for-each run stand, as `stats` of the API."""

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._total, self._scheduled, self._active = total, 0, 0
        self._good, self._bad = 0, 0
        self._errors: Counter[tuple[str, str]] = Counter()

    def began(self) -> None:
        """One begins."""
        with self._lock:
            self._scheduled += 1
            self._active += 1

    def ended(self, end: TaskEnd) -> dict[str, Any]:
        """One has ended."""
        with self._lock:
            self._active -= 1
            self._count(end.result, end.message, end.code)
            return self._stats()

    def kept(self) -> None:
        """One that succeeded before counts as done."""
        with self._lock:
            self._scheduled += 1
            self._good += 1

    def _count(self, result: str, message: str, code: str | None) -> None:
        if result in GOOD:
            self._good += 1
        else:
            self._bad += 1
            self._errors[message, code or "RUN_EXECUTION_ERROR"] += 1

    @property
    def failed(self) -> int:
        """How many did not succeed."""
        return self._bad

    def stats(self) -> dict[str, Any]:
        """The present stand."""
        with self._lock:
            return self._stats()

    def _stats(self) -> dict[str, Any]:
        return {
            "error_message_stats": [
                {"count": count, "error_message": message, "termination_category": code}
                for (message, code), count in self._errors.most_common(3)
            ],
            "task_run_stats": {
                "total_iterations": self._total,
                "scheduled_iterations": self._scheduled,
                "active_iterations": self._active,
                "completed_iterations": self._good + self._bad,
                "succeeded_iterations": self._good,
                "failed_iterations": self._bad,
            },
        }


def for_each(
    scope: RunScope, row: RunRecord, known: Mapping[str, str], switch: Cancellation, run_task: RunTask
) -> TaskEnd:
    """Run all iterations. Raise ValueError where the inputs are not a list."""
    body = row.settings["for_each_task"]
    inputs = parse_inputs(references.text(references.resolve(body["inputs"], known)))
    kept = _kept(scope, row, inputs)
    tally = Tally(len(inputs))
    for _ in kept:
        tally.kept()
    records = scope.parts.records
    # Of one that was going when the workspace was killed: iterations that ended stand, those that had begun go on.
    before = {entry.iteration: entry for entry in records.tasks(row.run_id)} if scope.resumed else {}
    for entry in [entry for entry in before.values() if not entry.active]:
        tally.began()
        tally.ended(TaskEnd(str(entry.result_state), entry.state_message, entry.termination_code))
    done = {*kept, *(number for number, entry in before.items() if not entry.active)}
    output: dict[str, Any] = {"kept": sorted(kept.values())}
    records.change(row.run_id, output=output | {"stats": tally.stats()})
    todo = iter([(number, value) for number, value in enumerate(inputs) if number not in done])
    lock = threading.Lock()
    workers = [
        threading.Thread(
            target=_work,
            args=(scope, row, body["task"], _locked(todo, lock), switch, run_task, tally, output, before),
            name=f"for-each-{row.run_id}",
            daemon=True,
        )
        for _ in range(min(int(body.get("concurrency") or 1), len(inputs) - len(done)))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    output["stats"] = tally.stats()
    if switch.reason is not None:
        return TaskEnd(*switch.reason, output=output)
    if tally.failed:
        message = f"{tally.failed} of {len(inputs)} iterations did not succeed"
        return TaskEnd("FAILED", message, "RUN_EXECUTION_ERROR", output | {"error": message})
    return TaskEnd("SUCCESS", output=output)


def _kept(scope: RunScope, row: RunRecord, inputs: list[Any]) -> dict[int, int]:
    """The iterations of the attempt before that a repair need not run again: number → task run."""
    before = row.details.get("repairs")
    if before is None:
        return {}
    done = scope.parts.records.tasks(int(before))
    return {
        entry.iteration: entry.run_id
        for entry in done
        if entry.result_state in GOOD
        and entry.iteration is not None
        and entry.iteration < len(inputs)
        and entry.details.get("input") == inputs[entry.iteration]
    }


def _locked(todo: Iterator[tuple[int, Any]], lock: threading.Lock) -> Callable[[], tuple[int, Any] | None]:
    def following() -> tuple[int, Any] | None:
        with lock:
            return next(todo, None)

    return following


def _work(
    scope: RunScope,
    row: RunRecord,
    nested: Mapping[str, Any],
    following: Callable[[], tuple[int, Any] | None],
    switch: Cancellation,
    run_task: RunTask,
    tally: Tally,
    output: Mapping[str, Any],
    before: Mapping[int | None, RunRecord],
) -> None:
    records = scope.parts.records
    while switch.reason is None:
        item = following()
        if item is None:
            return
        number, value = item
        iteration = before.get(number) or records.add_task_run(
            row.run_id,
            None,
            task_key=nested.get("task_key") or f"{row.task_key}_iteration",
            settings=dict(nested),
            iteration=number,
            details={"input": value},
        )
        tally.began()
        _, end = run_task(iteration, references.of_input(value), switch)
        records.change(row.run_id, output={**output, "stats": tally.ended(end)})
