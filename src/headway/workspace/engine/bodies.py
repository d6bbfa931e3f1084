"""What a task's settings ask a driver for: its parameters merged, the files it names found."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import (
    JarTask,
    NotebookTask,
    PythonFileTask,
    SqlParameter,
    SqlTask,
    SubmitTask,
    Task,
    WheelTask,
)


class CannotRun(Exception):
    """A task that fails before it reaches Spark, with what a user can do about it. `code` is a termination code."""

    def __init__(self, message: str, code: str = "INVALID_RUN_CONFIGURATION") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Asked:
    """What a task is asked with: its `settings` and what run-now gave, references resolved, and the job's parameters.

    `local` gives the file that a path means, `notebook` a notebook's (name, language, source); both may raise ApiError.
    """

    settings: Mapping[str, Any]
    given: Mapping[str, Any]
    job_parameters: Mapping[str, str]
    local: Callable[[str], Path]
    notebook: Callable[[str], tuple[str, str, str]]

    def texts(self, name: str, body: Mapping[str, Any]) -> tuple[str, ...]:
        """The parameters that run-now gave under `name`, else the task's own."""
        return tuple(str(value) for value in self.given.get(name, body.get("parameters")) or ())


def task_of(asked: Asked) -> Task:
    """What to ask a driver. Raise CannotRun, ApiError, ValueError."""
    kind = next(kind for kind in _KINDS if kind in asked.settings)
    return _KINDS[kind](asked, asked.settings[kind])


def _jar(asked: Asked, body: Mapping[str, Any]) -> Task:
    return JarTask(body["main_class_name"], asked.texts("jar_params", body))


def _python(asked: Asked, body: Mapping[str, Any]) -> Task:
    path = asked.local(body["python_file"])
    if not path.is_file():
        raise CannotRun(f"Invalid python file reference: {body['python_file']}. There is no such file.")
    return PythonFileTask(path, asked.texts("python_params", body))


def _wheel(asked: Asked, body: Mapping[str, Any]) -> Task:
    named = body.get("named_parameters")
    if named is not None:
        # A job parameter goes before a task parameter of its name. Source: Databricks, "Parameterize jobs".
        named = {**named, **asked.job_parameters, **asked.given.get("python_named_params", {})}
    return WheelTask(
        body["package_name"],
        body["entry_point"],
        asked.texts("python_params", body),
        {key: str(value) for key, value in (named or {}).items()},
    )


def _notebook(asked: Asked, body: Mapping[str, Any]) -> Task:
    name, language, source = asked.notebook(body["notebook_path"])
    values = {**body.get("base_parameters", {}), **asked.job_parameters, **asked.given.get("notebook_params", {})}
    kind: Literal["PYTHON", "SQL", "SCALA", "R"] = language  # type: ignore[assignment]
    return NotebookTask(name, kind, source, {key: str(value) for key, value in values.items()})


def _sql(asked: Asked, body: Mapping[str, Any]) -> Task:
    named = str(body["file"]["path"])
    try:
        path = asked.local(named)
    except ApiError as error:
        raise CannotRun(f"SQL file {named}: {error.message}", "RESOURCE_NOT_FOUND") from None
    if not path.is_file():
        raise CannotRun(f"SQL file {named} does not exist.", "RESOURCE_NOT_FOUND")
    values = {**asked.job_parameters, **body.get("parameters", {}), **asked.given.get("sql_params", {})}
    parameters = tuple(SqlParameter(key, str(value)) for key, value in values.items())
    return SqlTask(path.read_text(encoding="utf-8"), parameters)


def _submit(asked: Asked, body: Mapping[str, Any]) -> Task:
    given = asked.texts("spark_submit_params", body)
    if not given:
        raise CannotRun("spark_submit_task.parameters must name at least an application")
    return SubmitTask(tuple(",".join(_local(asked, part) for part in text.split(",")) for text in given))


def _local(asked: Asked, text: str) -> str:
    """A path of the workspace as the file it means (spark-submit is a program of its own); anything else as it is."""
    if not re.match(r"dbfs:/|/dbfs/|/Volumes/|/Workspace/", text):
        return text
    return str(asked.local(text))


_KINDS: Mapping[str, Callable[[Asked, Mapping[str, Any]], Task]] = {
    "spark_jar_task": _jar,
    "spark_python_task": _python,
    "python_wheel_task": _wheel,
    "notebook_task": _notebook,
    "sql_task": _sql,
    "spark_submit_task": _submit,
}
