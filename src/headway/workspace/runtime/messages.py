"""Between values and the JSON that the driver's host speaks: what is asked, what its answers mean."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headway.workspace.runtime.libraries import Installed, install
from headway.workspace.runtime.pyside.kernel import statements
from headway.workspace.runtime.pyside.results import DISPLAY_ROWS, grid
from headway.workspace.runtime.tasks import (
    ApiAccess,
    CommandOutcome,
    DriverSpec,
    JarTask,
    Library,
    NotebookRun,
    NotebookTask,
    PythonFileTask,
    ResultColumn,
    SqlOutcome,
    SqlTask,
    TaskOutcome,
    TaskRequest,
    WheelTask,
)

Message = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """The driver that is asked: its spec, its folder, the settings of its sessions; the cache of libraries, and what is
    installed on the driver for all that it runs."""

    spec: DriverSpec
    folder: Path
    settings: Mapping[str, str]
    cache: Path
    installed: Installed

    def with_own(self, libraries: Sequence[Library]) -> Installed:
        """What a run gets: libraries of its own first, then the driver's. Raise ValueError."""
        own, all_have = install(libraries, self.spec.runtime, self.cache), self.installed
        return Installed((*own.jars, *all_have.jars), (*own.python_path, *all_have.python_path))


def task(request: TaskRequest, place: Place) -> Message:
    """A task's run. Raise ValueError where a library cannot be used."""
    asked = request.task
    installed = place.with_own(request.libraries)
    common = _common(request.run_id, request.log, installed, place)
    match asked:
        case JarTask():
            return {"op": "jar", "main_class": asked.main_class, "parameters": list(asked.parameters), **common}
        case SqlTask():
            parameters = [{"name": one.name, "value": one.value, "type": one.type} for one in asked.parameters]
            named: Message = {"statements": statements(asked.statement) or [""]}
            named |= {"catalog": asked.catalog, "schema": asked.schema}
            return {"op": "sql", **named, "parameters": parameters, "row_limit": asked.row_limit, **common}
    python = _python(request.run_id, request.log, installed, request.context, request.api, place)
    python["task_values"] = {key: dict(values) for key, values in request.task_values.items()}
    match asked:
        case PythonFileTask():
            python |= {"kind": "file", "path": str(asked.path), "parameters": list(asked.parameters)}
        case WheelTask():
            named_texts = [f"--{key}={value}" for key, value in asked.named_parameters.items()]
            python |= {"kind": "wheel", "package_name": asked.package_name, "entry_point": asked.entry_point}
            python["parameters"] = [*asked.parameters, *named_texts]
        case NotebookTask():
            python |= {"kind": "notebook", "path": asked.workspace_path, "language": asked.language}
            python |= {"source": asked.source, "widgets": dict(asked.parameters)}
    return {"op": "python", "python": python, **common}


def context(
    context_id: str,
    libraries: tuple[Library, ...],
    log: Path,
    told: Mapping[str, str],
    api: ApiAccess | None,
    place: Place,
) -> Message:
    """A context's start. Raise ValueError where a library cannot be used."""
    installed = place.with_own(libraries)
    python = _python(context_id, log, installed, told, api, place) | {"kind": "repl", "path": "/"}
    return {"op": "context", "python": python, **_common(context_id, log, installed, place)}


def _common(run_id: str, log: Path, installed: Installed, place: Place) -> Message:
    jars = [str(jar) for jar in installed.jars]
    return {"run": run_id, "log": str(log), "jars": jars, "conf": dict(place.settings)}


def _python(
    run_id: str,
    log: Path,
    installed: Installed,
    told: Mapping[str, str],
    api: ApiAccess | None,
    place: Place,
) -> Message:
    """What every Python run is told. Its own files lie in the driver's `runs` folder, named by the run."""
    base = place.folder / "runs" / run_id
    base.parent.mkdir(exist_ok=True)
    spec, roots = place.spec, place.spec.roots
    return {
        "log": str(log),
        "outcome": f"{base}.json",
        "values": f"{base}.values.json",
        "children": f"{base}.children.json",
        "record": str(log.with_suffix(".cells.jsonl")),
        "packages": f"{base}.packages",
        "python_path": [str(folder) for folder in installed.python_path],
        "env": dict(spec.env),
        "context": dict(told),
        "api": None if api is None else {"url": api.url, "token": api.token},
        "roots": {"/dbfs": str(roots.dbfs), "/Volumes": str(roots.volumes), "/Workspace": str(roots.workspace)},
        "scratch": str(place.folder / "tmp"),
        "memory_mb": spec.memory_mb,
        "widgets": {},
    }


def remembered(message: Message) -> Message:
    """What of a run's message `outcome` needs: where the run tells of itself. It has no token and no parameter."""
    python = {key: message["python"][key] for key in _TOLD} if "python" in message else {}
    kept = {"op": message["op"], "log": message["log"], "python": python}
    return kept | {"statements": message["statements"]} if message["op"] == "sql" else kept


_TOLD = ("kind", "outcome", "values", "children", "record")


def outcome(message: Message, answer: Mapping[str, Any], seconds: float) -> TaskOutcome:
    """How a run ended: what the JVM answered, and what a Python run told before its end. Its files stay: whoever asks
    again, because the one who asked was killed before it noted the end, gets the same."""
    python = message.get("python", {})
    if message["op"] == "sql":
        _keep_sql(message, answer)
    told = _read(python.get("outcome"))
    state: Literal["SUCCESS", "FAILED", "CANCELED"] = answer["state"]
    good = state == "SUCCESS"
    record = None
    if python.get("kind") == "notebook" or message["op"] == "sql":
        record = Path(message["log"]).with_suffix(".cells.jsonl")
    return TaskOutcome(
        state=state,
        error="" if good else told.get("error") or answer["error"],
        error_trace="" if good else told.get("trace") or answer["trace"],
        notebook_result=told.get("notebook_result"),
        seconds=seconds,
        task_values=_read(python.get("values")),
        record=record if record is not None and record.exists() else None,
        notebook_runs=tuple(
            NotebookRun(**{**entry, "record": Path(entry["record"])}) for entry in _read(python.get("children")) or ()
        ),
        sql=sql_outcome(answer) if message["op"] == "sql" else None,
    )


def _keep_sql(message: Message, answer: Mapping[str, Any]) -> None:
    """The statements and the last one's rows, in the log and as a notebook's record has them."""
    if message["log"] == os.devnull:
        return
    text = ";\n".join(message["statements"])
    cell: Message = {"magic": "sql", "text": text, "state": "FINISHED", "outputs": []}
    if answer["state"] != "SUCCESS":
        cell |= {"state": "ERROR", "error": {"summary": answer["error"], "cause": answer["trace"]}}
    elif answer["columns"]:
        rows = answer["rows"][:DISPLAY_ROWS]
        truncated = answer["truncated"] or len(answer["rows"]) > DISPLAY_ROWS
        cell["outputs"] = [{"kind": "table", "columns": answer["columns"], "rows": rows, "truncated": truncated}]
        with Path(message["log"]).open("a", encoding="utf-8") as log:
            log.write(grid([entry["name"] for entry in answer["columns"]], rows))
    with Path(message["log"]).with_suffix(".cells.jsonl").open("w", encoding="utf-8") as record:
        record.write(json.dumps({"path": "", "language": "SQL"}) + "\n" + json.dumps(cell) + "\n")


def sql_outcome(answer: Mapping[str, Any]) -> SqlOutcome:
    """What a statement gave."""
    return SqlOutcome(
        tuple(_column(entry) for entry in answer.get("columns", ())),
        tuple(tuple(row) for row in answer.get("rows", ())),
        bool(answer.get("truncated")),
        answer.get("error_class", ""),
        answer.get("sql_state", ""),
    )


def command_outcome(answer: Mapping[str, Any]) -> CommandOutcome:
    """How a command ended: the last thing that it showed, with its text before that where it showed only text."""
    if "lost" in answer:
        why = str(answer["lost"])
        return CommandOutcome("ERROR", summary=f"The context is gone: {why}", cause=why, lost=True)
    outputs = answer.get("outputs", [])
    printed = "".join(entry["text"] for entry in outputs if entry["kind"] == "text")
    shown = next((entry for entry in reversed(outputs) if entry["kind"] != "text"), None)
    end = {"state": answer["state"], "summary": answer.get("summary", ""), "cause": answer.get("cause", "")}
    if shown is None:
        return CommandOutcome(text=printed, truncated=any(entry.get("truncated") for entry in outputs), **end)
    match shown["kind"]:
        case "table":
            columns = tuple(_column(entry) for entry in shown["columns"])
            rows = tuple(tuple(row) for row in shown["rows"])
            return CommandOutcome(
                kind="table", text=printed, columns=columns, rows=rows, truncated=shown["truncated"], **end
            )
        case "image":
            return CommandOutcome(kind="image", text=shown["png"], **end)
        case _:
            return CommandOutcome(kind="html", text=shown["html"], **end)


def _column(entry: Mapping[str, Any]) -> ResultColumn:
    return ResultColumn(
        entry["name"],
        entry["type_text"],
        entry["type_name"],
        entry["type_json"],
        entry.get("precision"),
        entry.get("scale"),
    )


def _read(path: str | None) -> Any:
    """What a run wrote into a file of its own; empty where it wrote nothing or was killed before."""
    if path is None:
        return {}
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
