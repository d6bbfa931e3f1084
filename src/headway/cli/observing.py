"""`headway workspace metrics|logs`: what a run of the embedded workspace cost, and what it prints."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headway.cli.output import Format, Output, Result, show
from headway.core.errors import HeadwayError
from headway.workspace.process import status

_FOLLOW_SECONDS = 0.5

RunId = Annotated[int, typer.Argument(help="A run, or the run of one of its tasks.")]
Data = Annotated[
    Path, typer.Option("--data", help="Folder of the workspace.", envvar="HEADWAY_WORKSPACE_DATA", show_default=True)
]
DEFAULT_DATA = Path(".headway/workspace")
# What people want to see at a glance, and in which unit.
_SHOWN = (
    ("jobs", "jobs", ""),
    ("tasks", "tasks", ""),
    ("failed_tasks", "failed", ""),
    ("executor_run_ms", "executor time", "ms"),
    ("gc_ms", "GC", "ms"),
    ("input_bytes", "input", "B"),
    ("output_bytes", "output", "B"),
    ("shuffle_write_bytes", "shuffle", "B"),
    ("disk_spilled_bytes", "spill", "B"),
    ("peak_heap_bytes", "peak heap", "B"),
)


def register(app: typer.Typer) -> None:
    """Add the commands to `headway workspace`."""
    app.command("metrics")(metrics)
    app.command("logs")(logs)


def metrics(run_id: RunId, data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """What a run has cost on Spark: tasks, executor time, bytes read, written, shuffled and spilled, peak memory."""
    found = _get(data, "/api/2.1/headway/runs/metrics", run_id=run_id)

    def text(console: Console) -> None:
        table = Table("task", "seconds", *(title for _, title, _ in _SHOWN), box=None, header_style="bold")
        for task in found["tasks"]:
            name = task["task_key"] + (f"[{task['iteration']}]" if "iteration" in task else "")
            name += f" (attempt {task['attempt_number']})" if task["attempt_number"] else ""
            table.add_row(name.replace("[", r"\["), f"{task['cluster_seconds']:.1f}", *_cells(task["metrics"]))
        table.add_row("all", f"{found['cluster_seconds']:.1f}", *_cells(found["metrics"]), style="bold")
        console.print(table)
        if not found["available"]:
            console.print("the event log of some of its clusters is not kept any more: their figures are missing")

    show(Result("workspace metrics", found, text), output)


def logs(
    run_id: RunId,
    data: Data = DEFAULT_DATA,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    output: Output = Format.TEXT,
) -> None:
    """What a task has printed; with --follow also what it prints from now on."""
    if output is Format.JSON:
        found = _get(data, "/api/2.1/headway/runs/logs", run_id=run_id)
        show(Result("workspace logs", found, lambda console: None), output)
        return
    offset = 0
    while True:
        found = _get(data, "/api/2.1/headway/runs/logs", run_id=run_id, offset=offset)
        typer.echo(found["logs"], nl=False)
        grown, offset = found["next_offset"] > offset, found["next_offset"]
        if not grown and not (follow and found["active"]):
            return
        if not grown:
            time.sleep(_FOLLOW_SECONDS)


def _get(data: Path, path: str, **query: Any) -> dict[str, Any]:
    """Ask the workspace that runs on `data`, as its administrator. Raise HeadwayError WORKSPACE_NOT_RUNNING."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors.base import DatabricksError

    found = status(data.resolve())
    if found.url is None or found.token_file is None:
        raise HeadwayError("WORKSPACE_NOT_RUNNING", data=data)
    client = WorkspaceClient(host=found.url, token=found.token_file.read_text(), auth_type="pat")
    try:
        answer: Any = client.api_client.do("GET", path, query=query)
    except DatabricksError as error:
        raise HeadwayError("WORKSPACE_CALL_FAILED", call=path, host=found.url, reason=str(error)) from error
    return dict(answer)


def _cells(found: dict[str, int]) -> list[str]:
    return [_text(found[name], unit) for name, _, unit in _SHOWN]


def _text(value: int, unit: str) -> str:
    if unit == "ms":
        return f"{value / 1000:.1f} s"
    if unit == "B":
        for size, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
            if value >= size:
                return f"{value / size:.1f} {name}"
    return str(value)
