"""One attempt of a task on a Spark driver."""

import contextlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from headway.workspace.directory import spark_context_id
from headway.workspace.engine.bodies import CannotRun
from headway.workspace.engine.cancellation import Cancellation
from headway.workspace.engine.preparation import Situation, driver_run, log_file, record_file, request
from headway.workspace.engine.records import RunRecord
from headway.workspace.engine.scope import RunScope, TaskEnd
from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import DriverFailed, TaskOutcome

logger = logging.getLogger(__name__)

OUTPUT_LIMIT = 5 * 1024 * 1024


def on_driver(scope: RunScope, row: RunRecord, extra: Mapping[str, str], switch: Cancellation) -> TaskEnd:
    """Run the attempt to its end on its cluster's driver, started first where it must be."""
    name = str(row.task_key) if row.iteration is None else f"{row.task_key}-{row.iteration}"
    name += f".{row.attempt}" if row.attempt else ""
    records, now = scope.parts.records, scope.parts.timers.now_ms
    if row.life_cycle_state in ("RUNNING", "TERMINATING") and row.cluster_id:
        end = _go_on(scope, row, name, row.cluster_id, switch)
        if end is not None:
            return end
    on: list[str] = []

    def on_cluster(cluster_id: str) -> None:
        on.append(cluster_id)
        records.change(row.run_id, cluster_id=cluster_id)

    records.change(row.run_id, life_cycle_state="PENDING", started_ms=now(), state_message="Waiting for cluster")
    began = False
    try:
        with scope.clusters.driver(name, row.settings, on_cluster) as driver:
            began = True
            return _on(scope, driver, row, extra, switch, on[0])
    except CannotRun as cannot:
        return TaskEnd("FAILED", str(cannot), cannot.code, {"error": str(cannot)})
    except ApiError as error:  # existing_cluster_id names none
        return TaskEnd("FAILED", error.message, "CLUSTER_ERROR", {"error": error.message})
    except DriverFailed as failed:
        if switch.reason is not None:
            return TaskEnd(*switch.reason)
        code = "DRIVER_ERROR" if began else "CLUSTER_ERROR"
        return TaskEnd("FAILED", failed.message, code, {"error": failed.message, "reason": failed.reason})
    finally:
        scope.parts.files.end_access(row.run_id)


def _go_on(scope: RunScope, row: RunRecord, name: str, cluster_id: str, switch: Cancellation) -> TaskEnd | None:
    """Wait for an attempt that was running when the workspace was killed. None where its driver never began it: then it
    has to begin."""
    run_id = driver_run(row.run_id, row.attempt)
    try:
        with scope.clusters.adopted(cluster_id) as driver:
            since = row.execution_ms or scope.parts.timers.now_ms()
            outcome = _watched(scope, driver, run_id, row, switch, since, lambda: driver.resume(run_id))
    except (DriverFailed, ApiError) as failed:
        if switch.reason is not None:
            return TaskEnd(*switch.reason)
        message = f"The run was going when the workspace ended, and its driver is gone: {failed}"
        return TaskEnd("FAILED", message, "DRIVER_ERROR", {"error": message})
    finally:
        scope.parts.files.end_access(row.run_id)
        scope.clusters.release(name, row.settings)
    return None if outcome is None else _end(scope, row, outcome, switch)


def _on(
    scope: RunScope, driver: Any, row: RunRecord, extra: Mapping[str, str], switch: Cancellation, cluster_id: str
) -> TaskEnd:
    known = scope.known(row, extra)
    try:
        job_parameters = scope.job_parameters(known)
    except ValueError as error:
        raise CannotRun(str(error)) from None
    situation = Situation(
        job_id=scope.run.job_id or 0,
        run_id=scope.run.run_id,
        task_key=str(row.task_key),
        task_run_id=row.run_id,
        attempt=row.attempt,
        iteration=row.iteration,
        base_url=scope.parts.base_url,
        cluster_id=cluster_id,
        known=known,
        task_values=scope.task_values,
        user=scope.run.creator,
        env=driver.env,
    )
    asked = request(
        scope.settings_of(row), scope.run.parameters, job_parameters, situation, scope.parts.files, scope.folder
    )
    if switch.reason is not None:
        return TaskEnd(*switch.reason)
    timers = scope.parts.timers
    details = {**row.details, "spark_context_id": str(spark_context_id(driver.application_id))}
    values = {"execution_ms": timers.now_ms(), "state_message": "In run", "details": details}
    scope.parts.records.change(row.run_id, life_cycle_state="RUNNING", **values)
    outcome = _watched(scope, driver, asked.run_id, row, switch, timers.now_ms(), lambda: driver.run(asked))
    return _end(scope, row, outcome or TaskOutcome("CANCELED"), switch)


def _end(scope: RunScope, row: RunRecord, outcome: TaskOutcome, switch: Cancellation) -> TaskEnd:
    _keep_notebook_runs(scope, row, outcome)
    return told(_redacted(outcome, scope.parts.files.redactor(scope.run.run_id, row.run_id)), switch)


def _watched(
    scope: RunScope,
    driver: Any,
    run_id: str,
    row: RunRecord,
    switch: Cancellation,
    since_ms: int,
    wait: Callable[[], TaskOutcome | None],
) -> TaskOutcome | None:
    """Wait for a run of a driver, which meanwhile a cancel, or the task's timeout counted from `since_ms`, may end."""
    off_cancel = switch.on_cancel(lambda: _cancel(driver, run_id))
    seconds = row.settings.get("timeout_seconds") or 0
    off_timer: Callable[[], None] = lambda: None  # noqa: E731
    if seconds:
        timers = scope.parts.timers
        off_timer = timers.at(since_ms + seconds * 1000, lambda: switch.cancel("TIMEDOUT", "Run timed out."))
    try:
        return wait()
    finally:
        off_cancel()
        off_timer()


def _keep_notebook_runs(scope: RunScope, row: RunRecord, outcome: TaskOutcome) -> None:
    """What the task ran by `dbutils.notebook.run`, as runs of their own."""
    redact = scope.parts.files.redactor(scope.run.run_id, row.run_id)
    for found in outcome.notebook_runs:
        key = found.path.rpartition("/")[2] or "notebook"
        run_id = scope.parts.records.add_notebook_run(row, key, replace(found, error=redact(found.error)))
        log = log_file(scope.folder.parent / str(run_id), key)
        log.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.move(found.record, record_file(log))


def _redacted(outcome: TaskOutcome, redact: Callable[[str], str]) -> TaskOutcome:
    """The same without the secrets that the run was shown: they are not kept."""
    result = outcome.notebook_result
    return replace(
        outcome,
        error=redact(outcome.error),
        error_trace=redact(outcome.error_trace),
        notebook_result=None if result is None else redact(result),
    )


def _cancel(driver: Any, run_id: str) -> None:
    try:
        driver.cancel(run_id)
    except DriverFailed as failed:
        logger.warning("run %s: %s", run_id, failed.message)


def told(outcome: TaskOutcome, switch: Cancellation) -> TaskEnd:
    """How an attempt ended, from what its driver says."""
    output: dict[str, Any] = {"seconds": outcome.seconds}
    if outcome.notebook_result is not None:
        output["notebook_result"] = outcome.notebook_result[:OUTPUT_LIMIT]
        output["truncated"] = len(outcome.notebook_result) > OUTPUT_LIMIT
    if outcome.sql is not None:
        output["sql"] = {"rows": len(outcome.sql.rows), "truncated": outcome.sql.truncated}
    if outcome.state == "SUCCESS":
        return TaskEnd("SUCCESS", output=output, values=outcome.task_values)
    if outcome.state == "CANCELED" or switch.reason is not None:
        result, message = switch.reason or ("CANCELED", "Run cancelled.")
        return TaskEnd(result, message, output=output)
    output |= {"error": outcome.error, "error_trace": outcome.error_trace}
    return TaskEnd("FAILED", outcome.error, outcome.code or None, output, values=outcome.task_values)
