"""From a task's settings to what a driver is asked: parameters resolved, files found, libraries held fast."""

import shutil
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headway.workspace.engine import references
from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import (
    JarTask,
    LocalLibrary,
    NotebookTask,
    PythonFileTask,
    Task,
    TaskRequest,
    WheelTask,
)


class CannotRun(Exception):
    """A task that fails before it reaches Spark, with what a user can do about it. `code` is a termination code."""

    def __init__(self, message: str, code: str = "INVALID_RUN_CONFIGURATION") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Files:
    """How the engine reads the workspace: a path to its local file, a notebook to (name, language, source).

    Both may raise ApiError. `redactor` gives what takes the secrets that runs were shown out of a text.
    """

    local: Callable[[str], Path]
    notebook: Callable[[str], tuple[str, str, str]]
    redactor: Callable[..., Callable[[str], str]] = lambda *run_ids: str


@dataclass(frozen=True)
class Situation:
    """Where a task runs: its run and itself. `known` is what its references mean, without the job's parameters;
    `task_values` are those that the tasks before it kept, by task key."""

    job_id: int
    run_id: int
    task_key: str
    task_run_id: int
    attempt: int
    iteration: int | None
    base_url: str
    cluster_id: str
    known: Mapping[str, str]
    task_values: Mapping[str, Mapping[str, Any]]


def request(
    settings: Mapping[str, Any],
    parameters: Mapping[str, Any],
    job_parameters: Mapping[str, str],
    situation: Situation,
    files: Files,
    folder: Path,
) -> TaskRequest:
    """What to ask a driver for this task. `parameters` are those that run-now gave, `job_parameters` the job's, with
    their references resolved. Raise CannotRun."""
    known = ChainMap({f"job.parameters.{key}": value for key, value in job_parameters.items()}, dict(situation.known))
    try:
        resolved = references.resolve(dict(settings), known)
        given = references.resolve(dict(parameters), known)
        task = _task(resolved, given, job_parameters, files)
        held = tuple(
            _library(entry, files, folder / "libraries" / situation.task_key)
            for entry in resolved.get("libraries") or []
        )
    except ApiError as error:
        found = "RESOURCE_NOT_FOUND" if error.error_code == "RESOURCE_DOES_NOT_EXIST" else "INVALID_RUN_CONFIGURATION"
        raise CannotRun(error.message, found) from None
    except ValueError as error:
        raise CannotRun(str(error)) from None
    return TaskRequest(
        run_id=driver_run(situation.task_run_id, situation.attempt),
        task=task,
        libraries=held,
        log=log_file(folder, situation.task_key, situation.attempt, situation.iteration),
        context={
            "job_id": str(situation.job_id),
            "run_id": str(situation.run_id),
            "task_run_id": str(situation.task_run_id),
            "task_key": situation.task_key,
            "cluster_id": situation.cluster_id,
            "workspace_url": situation.base_url,
        },
        task_values=dict(situation.task_values),
    )


def driver_run(task_run_id: int, attempt: int) -> str:
    """What an attempt of a task is called on its driver."""
    return f"{task_run_id}-{attempt}"


def log_file(folder: Path, task_key: str, attempt: int = 0, iteration: int | None = None) -> Path:
    """Where the output of an attempt of a task (of an iteration of it) is kept in its run's folder."""
    which = "" if iteration is None else f"[{iteration}]"
    return folder / "logs" / f"{task_key}{which}{f'.{attempt}' if attempt else ''}.log"


def _task(
    settings: Mapping[str, Any], given: Mapping[str, Any], job_parameters: Mapping[str, str], files: Files
) -> Task:
    if "spark_jar_task" in settings:
        body = settings["spark_jar_task"]
        return JarTask(body["main_class_name"], _texts(given.get("jar_params", body.get("parameters"))))
    if "spark_python_task" in settings:
        body = settings["spark_python_task"]
        return PythonFileTask(
            _existing(files.local(body["python_file"]), body["python_file"]),
            _texts(given.get("python_params", body.get("parameters"))),
        )
    if "python_wheel_task" in settings:
        body = settings["python_wheel_task"]
        named = body.get("named_parameters")
        if named is not None:
            # A job parameter goes before a task parameter of its name. Source: Databricks, "Parameterize jobs".
            named = {**named, **job_parameters, **given.get("python_named_params", {})}
        return WheelTask(
            body["package_name"],
            body["entry_point"],
            _texts(given.get("python_params", body.get("parameters"))),
            {key: str(value) for key, value in (named or {}).items()},
        )
    body = settings["notebook_task"]
    name, language, source = files.notebook(body["notebook_path"])
    values = {**body.get("base_parameters", {}), **job_parameters, **given.get("notebook_params", {})}
    kind: Literal["PYTHON", "SQL", "SCALA", "R"] = language  # type: ignore[assignment]
    return NotebookTask(name, kind, source, {key: str(value) for key, value in values.items()})


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def _existing(path: Path, named: str) -> Path:
    if not path.is_file():
        raise CannotRun(f"Invalid python file reference: {named}. There is no such file.")
    return path


def _library(entry: Mapping[str, Any], files: Files, folder: Path) -> LocalLibrary:
    """A library as a file of the run's own, so that nothing done to the original reaches a run that has started."""
    kind = next((kind for kind in ("jar", "whl", "egg") if kind in entry), None)
    if kind is None:
        named = ", ".join(entry) or "an empty entry"
        raise CannotRun(
            f"Library {named}: this workspace installs jar, whl and egg libraries only, for now",
            "LIBRARY_INSTALLATION_ERROR",
        )
    path = str(entry[kind])
    origin = files.local(path)
    if not origin.is_file():
        raise CannotRun(
            f"Library installation failed: java.io.FileNotFoundException: no file at {path}",
            "LIBRARY_INSTALLATION_ERROR",
        )
    folder.mkdir(parents=True, exist_ok=True)
    held = folder / origin.name
    if not held.exists():
        shutil.copyfile(origin, held)
    return LocalLibrary(kind, held)  # type: ignore[arg-type]
