"""run_job tasks: another job's run, started, waited for, and ended with the run that asked for it."""

import threading
from collections.abc import Mapping
from typing import Any

from headway.workspace.engine.cancellation import Cancellation
from headway.workspace.engine.decisions import GOOD
from headway.workspace.engine.records import RunRecord
from headway.workspace.engine.scope import RunScope, TaskEnd
from headway.workspace.errors import ApiError


def run_job(scope: RunScope, row: RunRecord, body: Mapping[str, Any], switch: Cancellation) -> TaskEnd:
    """Run the job to its end."""
    children, records = scope.parts.children, scope.parts.records
    try:
        # One that it had started before the workspace was killed goes on by itself.
        child = row.output.get("child_run_id") or children.start_child(scope.run, row.run_id, body)
    except ApiError as error:
        return TaskEnd("FAILED", error.message, "INVALID_RUN_CONFIGURATION", {"error": error.message})
    output: dict[str, Any] = {"child_run_id": child}
    records.change(row.run_id, output=output)
    ended = threading.Event()
    children.when_ended(child, ended.set)
    off = switch.on_cancel(lambda: children.cancel(child))
    ended.wait()
    off()
    if switch.reason is not None:
        return TaskEnd(*switch.reason, output=output)
    run = records.run(child)
    if run.result_state in GOOD:
        return TaskEnd("SUCCESS", output=output)
    message = f"Run {child} of job {run.job_id} ended {run.result_state}: {run.state_message}"
    return TaskEnd("FAILED", message, "RUN_EXECUTION_ERROR", output | {"error": message})
