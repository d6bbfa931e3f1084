"""Tasks whose source is in git: their paths, from the repository to a checkout in the workspace tree. Pure.

Source: Databricks REST API, Jobs 2.2 (`git_source`, `source` of tasks).
"""

from collections.abc import Mapping
from typing import Any

_ENDINGS = (".py", ".sql", ".scala", ".r", ".ipynb")


def is_in_git(settings: Mapping[str, Any]) -> bool:
    """Whether a task's code is in its job's git source."""
    return any(body.get("source") == "GIT" for body in _bodies(settings))


def in_checkout(settings: Mapping[str, Any], root: str) -> dict[str, Any]:
    """A task's settings with the paths of its git source below the folder `root`."""
    result = dict(settings)
    notebook, python, sql = (settings.get(name) for name in ("notebook_task", "spark_python_task", "sql_task"))
    if notebook and notebook.get("source") == "GIT":
        path = str(notebook["notebook_path"])
        ending = next((one for one in _ENDINGS if path.lower().endswith(one)), "")
        result["notebook_task"] = {
            **notebook,
            "notebook_path": f"{root}/{path.removesuffix(path[-len(ending) :]) if ending else path}",
        }
    if python and python.get("source") == "GIT":
        result["spark_python_task"] = {**python, "python_file": f"{root}/{python['python_file']}"}
    if sql and (sql.get("file") or {}).get("source") == "GIT":
        result["sql_task"] = {**sql, "file": {**sql["file"], "path": f"{root}/{sql['file']['path']}"}}
    return result


def _bodies(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [settings.get("notebook_task"), settings.get("spark_python_task")]
    found.append((settings.get("sql_task") or {}).get("file"))
    return [body for body in found if isinstance(body, Mapping)]
