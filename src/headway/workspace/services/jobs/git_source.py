"""The git source of a job: what it must hold, and which tasks are in it. Pure.

Source: Databricks REST API, Jobs 2.2 (create: `git_source`, `source` of tasks).
"""

from collections.abc import Mapping
from typing import Any

from headway.workspace.errors import invalid, malformed

REFERENCES = ("git_branch", "git_tag", "git_commit")


def with_sources(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings; notebooks and SQL files that name no source are in the job's git source, where it has one."""
    result = dict(settings)
    if result.get("git_source") and isinstance(result.get("tasks"), list):
        result["tasks"] = [_with_source(task) for task in result["tasks"]]
    return result


def _with_source(task: Any) -> Any:
    if not isinstance(task, Mapping):
        return task
    result = dict(task)
    notebook, sql, each = (result.get(name) for name in ("notebook_task", "sql_task", "for_each_task"))
    if isinstance(notebook, Mapping):
        result["notebook_task"] = {"source": "GIT", **notebook}
    if isinstance(sql, Mapping) and isinstance(sql.get("file"), Mapping):
        result["sql_task"] = {**sql, "file": {"source": "GIT", **sql["file"]}}
    if isinstance(each, Mapping) and "task" in each:
        result["for_each_task"] = {**each, "task": _with_source(each["task"])}
    return result


def check_git(settings: Mapping[str, Any]) -> None:
    """Raise ApiError where the git source of a job cannot be, or a task has another than its job."""
    git = settings.get("git_source")
    if git is not None:
        if not isinstance(git, dict):
            raise malformed("Could not parse request object: Expected object for field git_source")
        for name in ("git_url", "git_provider"):
            if not isinstance(git.get(name), str) or not git[name]:
                raise invalid(f"Missing required field: git_source.{name}")
        given = [name for name in REFERENCES if git.get(name)]
        if len(given) != 1 or not isinstance(git[given[0]], str):
            raise invalid(f"git_source must have exactly one of {', '.join(REFERENCES)}")
    for task in settings.get("tasks") or []:
        check_source(str(task.get("task_key")), task, git is not None)


def check_source(key: str, task: Mapping[str, Any], has_git: bool) -> None:
    """Raise ApiError where the source of a task's code cannot be."""
    sql = task.get("sql_task")
    for body, field in (
        (task.get("notebook_task"), "notebook_path"),
        (task.get("spark_python_task"), "python_file"),
        (sql.get("file") if isinstance(sql, Mapping) else None, "path"),
    ):
        if not isinstance(body, Mapping) or body.get("source") is None:
            continue
        if body["source"] not in ("WORKSPACE", "GIT"):
            raise invalid(f"Task {key}: source must be WORKSPACE or GIT")
        if body["source"] == "GIT":
            if not has_git:
                raise invalid(f"Task {key}: its source is GIT, and the job has no git_source")
            path = str(body.get(field))
            if path.startswith("/") or ".." in path.split("/") or "://" in path:
                raise invalid(f"Task {key}: {field} must be a path within the git repository: {path[:200]}")
    each = task.get("for_each_task")
    if isinstance(each, Mapping) and isinstance(each.get("task"), Mapping):
        check_source(key, each["task"], has_git)
