"""The kinds of tasks: which are served, and what each must hold. Pure.

Source: Databricks REST API, Jobs 2.2 (create, `tasks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headway.workspace.errors import invalid, malformed, not_implemented

OPERATORS = (
    "EQUAL_TO", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL",
)  # fmt: skip
MAX_ITERATIONS_AT_ONCE = 100


@dataclass(frozen=True)
class Kind:
    """A kind of task. `required` are fields of text. One that needs no cluster is done by the engine itself, or finds
    where it runs in its own settings (a SQL warehouse)."""

    served: bool
    required: tuple[str, ...] = ()
    needs_cluster: bool = True


# The one table of what is served. A kind that is not is refused with 501 when a job is made of it.
KINDS: Mapping[str, Kind] = {
    "notebook_task": Kind(True, ("notebook_path",)),
    "spark_python_task": Kind(True, ("python_file",)),
    "spark_jar_task": Kind(True, ("main_class_name",)),
    "python_wheel_task": Kind(True, ("package_name", "entry_point")),
    "condition_task": Kind(True, ("op", "left", "right"), needs_cluster=False),
    "for_each_task": Kind(True, ("inputs",), needs_cluster=False),
    "run_job_task": Kind(True, needs_cluster=False),
    "spark_submit_task": Kind(True),
    "sql_task": Kind(True),
    "dbt_task": Kind(False),
    "pipeline_task": Kind(False),
    "dashboard_task": Kind(False),
    "clean_rooms_notebook_task": Kind(False),
    "gen_ai_compute_task": Kind(False),
    "power_bi_task": Kind(False),
    "alert_task": Kind(False),
    "dbt_cloud_task": Kind(False),
    "dbt_platform_task": Kind(False),
    "ai_runtime_task": Kind(False),
    "python_operator_task": Kind(False),
}
SERVED = tuple(name for name, kind in KINDS.items() if kind.served)


def kind_of(key: str, task: Mapping[str, object]) -> str:
    """The one kind of a task. Raise ApiError where it has none, several, or one that is not served."""
    found = [name for name in KINDS if name in task]
    for name in found:
        if not KINDS[name].served:
            raise not_implemented(f"Task {key}: {name} is not served by this workspace yet")
    if len(found) != 1:
        raise invalid(f"Task {key} must have exactly one of {', '.join(SERVED)}")
    return found[0]


def check_body(key: str, name: str, body: object) -> None:
    """Raise ApiError where the body of a task's kind cannot be run."""
    if not isinstance(body, dict):
        raise malformed(f"Could not parse request object: Expected object for field {name}")
    for field in KINDS[name].required:
        value = body.get(field)
        if not isinstance(value, str) or not (value or field in ("left", "right")):
            raise invalid(f"Task {key}: missing required field: {name}.{field}")
    for field, wanted in (
        ("parameters", dict if name == "sql_task" else list),
        ("named_parameters", dict),
        ("base_parameters", dict),
        ("job_parameters", dict),
    ):
        if field in body and not isinstance(body[field], wanted):
            raise malformed(f"Could not parse request object: {name}.{field} has the wrong type")
    own = _CHECKS.get(name)
    if own is not None:
        own(key, body)


def _notebook(key: str, body: Mapping[str, object]) -> None:
    if body.get("source") != "GIT" and not str(body["notebook_path"]).startswith("/"):
        raise invalid(f"Task {key}: notebook_path must be absolute: {body['notebook_path']}")


def _python(key: str, body: Mapping[str, object]) -> None:
    file = str(body["python_file"])
    if body.get("source") != "GIT" and not file.startswith(("dbfs:/", "/", "file:/", "s3:/", "s3a:/")):
        raise invalid(f"Invalid python file reference: {file}. It must be a dbfs:/ or workspace path.")


def _condition(key: str, body: Mapping[str, object]) -> None:
    if body["op"] not in OPERATORS:
        raise invalid(f"Task {key}: condition_task.op must be one of {', '.join(OPERATORS)}")


def _for_each(key: str, body: Mapping[str, object]) -> None:
    nested = body.get("task")
    if not isinstance(nested, dict):
        raise invalid(f"Task {key}: missing required field: for_each_task.task")
    if "for_each_task" in nested:
        raise invalid(f"Task {key}: a for_each_task cannot be nested in another one")
    if nested.get("depends_on"):
        raise invalid(f"Task {key}: the task of a for_each_task cannot depend on others")
    at_once = body.get("concurrency", 1)
    if isinstance(at_once, bool) or not isinstance(at_once, int) or not 1 <= at_once <= MAX_ITERATIONS_AT_ONCE:
        raise invalid(f"Task {key}: for_each_task.concurrency must be from 1 to {MAX_ITERATIONS_AT_ONCE}")


def _run_job(key: str, body: Mapping[str, object]) -> None:
    job_id = body.get("job_id")
    if isinstance(job_id, bool) or not (isinstance(job_id, int) or (isinstance(job_id, str) and job_id.isdigit())):
        raise invalid(f"Task {key}: missing required field: run_job_task.job_id")


def _sql(key: str, body: Mapping[str, object]) -> None:
    for field in ("query", "dashboard", "alert"):
        if field in body:
            raise not_implemented(
                f"Task {key}: sql_task.{field}: this workspace keeps no saved {field} of SQL; use sql_task.file"
            )
    file = body.get("file")
    if not isinstance(file, dict) or not isinstance(file.get("path"), str) or not file["path"]:
        raise invalid(f"Task {key}: missing required field: sql_task.file.path")


def _submit(key: str, body: Mapping[str, object]) -> None:
    if not body.get("parameters"):
        raise invalid(f"Task {key}: missing required field: spark_submit_task.parameters")


_CHECKS = {
    "notebook_task": _notebook,
    "spark_python_task": _python,
    "condition_task": _condition,
    "for_each_task": _for_each,
    "run_job_task": _run_job,
    "sql_task": _sql,
    "spark_submit_task": _submit,
}
