"""`headway workspace metrics|logs`: what a run of the embedded workspace cost, and what it prints."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from headway.cli.output import Format, Output, Result, show
from headway.core.errors import HeadwayError
from headway.workspace.process import status

_FOLLOW_SECONDS = 0.5

RunId = Annotated[int, typer.Argument(help="A run, or the run of one of its tasks.")]
Data = Annotated[
    Path, typer.Option("--data", help="Folder of the workspace.", envvar="HEADWAY_WORKSPACE_DATA", show_default=True)
]
DEFAULT_DATA = Path(".headway/workspace")


def register(app: typer.Typer) -> None:
    """Add the commands to `headway workspace`."""
    app.command("metrics")(metrics)
    app.command("logs")(logs)


def metrics(run_id: RunId, data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """What a run has cost on Spark: tasks, executor time, bytes read, written, shuffled and spilled, peak memory."""
    found = _get(data, "/api/2.1/headway/runs/metrics", run_id=run_id)

    def text(console: Console) -> None:
        for task in found["tasks"]:
            name = task["task_key"] + (f"[{task['iteration']}]" if "iteration" in task else "")
            name += f" (attempt {task['attempt_number']})" if task["attempt_number"] else ""
            _print(console, name, task["cluster_seconds"], task["metrics"])
        if len(found["tasks"]) != 1:
            _print(console, "together", found["cluster_seconds"], found["metrics"])
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


def _print(console: Console, name: str, seconds: float, found: dict[str, int]) -> None:
    failed = f" ({found['failed_tasks']} failed)" if found["failed_tasks"] else ""
    console.print(
        f"{name}: {seconds:.1f} s on its cluster, {found['jobs']} jobs, {found['tasks']} tasks{failed}", markup=False
    )
    times = f"executor time {found['executor_run_ms'] / 1000:.1f} s, garbage collection {found['gc_ms'] / 1000:.1f} s"
    console.print(f"  {times}, peak heap {_size(found['peak_heap_bytes'])}", markup=False)
    sizes = ("input", "output", "shuffle_write", "disk_spilled")
    told = ", ".join(f"{size.replace('_', ' ')} {_size(found[f'{size}_bytes'])}" for size in sizes)
    console.print(f"  {told}", markup=False)


def _size(value: int) -> str:
    for size, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if value >= size:
            return f"{value / size:.1f} {name}"
    return f"{value} B"
