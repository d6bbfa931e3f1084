"""`dbutils` as jobs use it: fs, widgets, notebook, jobs.taskValues. What is not here says so."""

import json
import os
import shutil
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .notebook import NotebookExit


@dataclass(frozen=True)
class FileInfo:
    """What `dbutils.fs.ls` tells of a file: `size` in bytes, `modificationTime` in milliseconds since 1970."""

    path: str
    name: str
    size: int
    modificationTime: int

    def isDir(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")

    def isFile(self) -> bool:
        """Whether it is a file."""
        return not self.isDir()


class FileSystem:
    """`dbutils.fs` over `dbfs:/`, `file:/`, `/Volumes` and `/Workspace`."""

    def __init__(self, roots: Mapping[str, str]) -> None:
        self._roots = roots

    def _local(self, path: str) -> str:
        """The local file of a path; a bare path means DBFS, as in Databricks."""
        for scheme in ("file:///", "file:/"):
            if path.startswith(scheme):
                return "/" + path[len(scheme) :]
        for prefix in ("/Volumes", "/Workspace", "/dbfs"):
            if path == prefix or path.startswith(prefix + "/"):
                return self._inside(self._roots[prefix], path[len(prefix) :])
        if path.startswith("dbfs:/"):
            path = path[len("dbfs:") :]
            if path.startswith("/Volumes/"):
                return self._local(path)
        elif ":/" in path:
            raise ValueError(f"dbutils.fs serves dbfs:/, file:/, /Volumes and /Workspace, not {path}")
        return self._inside(self._roots["/dbfs"], path)

    def _inside(self, root: str, path: str) -> str:
        local = os.path.normpath(root + "/" + path)
        if local != root and not local.startswith(root + "/"):
            raise ValueError(f"{path} is outside its root")
        return local

    def ls(self, path: str) -> list[FileInfo]:
        """What a folder holds, by name."""
        local = self._existing(path)
        if not os.path.isdir(local):
            return [self._info(path, local)]
        base = path.rstrip("/") if path.strip("/") not in ("", "dbfs:") else "dbfs:"
        return [self._info(f"{base}/{name}", os.path.join(local, name)) for name in sorted(os.listdir(local))]

    def _info(self, path: str, local: str) -> FileInfo:
        stat = os.stat(local)
        end = "/" if os.path.isdir(local) else ""
        named = path if ":" in path or path.startswith(("/Volumes", "/Workspace")) else "dbfs:" + path
        size = 0 if end else stat.st_size
        return FileInfo(named.rstrip("/") + end, os.path.basename(local) + end, size, int(stat.st_mtime * 1000))

    def _existing(self, path: str) -> str:
        local = self._local(path)
        if not os.path.exists(local):
            raise FileNotFoundError(f"java.io.FileNotFoundException: No such file or directory {path}")
        return local

    def cp(self, source: str, target: str, recurse: bool = False) -> bool:
        """Copy a file, or with `recurse` a folder."""
        origin, place = self._existing(source), self._local(target)
        if os.path.isdir(origin):
            if not recurse:
                raise IsADirectoryError(f"{source} is a directory; pass recurse=True")
            shutil.copytree(origin, place, dirs_exist_ok=True)
            return True
        if os.path.isdir(place):
            place = os.path.join(place, os.path.basename(origin))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        draft = f"{place}.{os.getpid()}.draft"
        shutil.copyfile(origin, draft)
        os.replace(draft, place)
        return True

    def mv(self, source: str, target: str, recurse: bool = False) -> bool:
        """Move a file, or with `recurse` a folder; a file takes the place of one that is there."""
        origin, place = self._existing(source), self._local(target)
        if os.path.isdir(origin) and not recurse:
            raise IsADirectoryError(f"{source} is a directory; pass recurse=True")
        if os.path.isdir(place):
            place = os.path.join(place, os.path.basename(origin))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        try:
            os.replace(origin, place)
        except OSError:  # from one file system to another
            shutil.move(origin, place)
        return True

    def rm(self, path: str, recurse: bool = False) -> bool:
        """Remove it; False where there is nothing."""
        local = self._local(path)
        if not os.path.lexists(local):
            return False
        if os.path.isdir(local) and not os.path.islink(local):
            if os.listdir(local) and not recurse:
                raise OSError(f"{path} is not empty; pass recurse=True")
            shutil.rmtree(local)
        else:
            os.remove(local)
        return True

    def mkdirs(self, path: str) -> bool:
        """Make a folder and those above it."""
        os.makedirs(self._local(path), exist_ok=True)
        return True

    def put(self, path: str, contents: str, overwrite: bool = False) -> bool:
        """Write a text file."""
        local = self._local(path)
        if os.path.exists(local) and not overwrite:
            raise FileExistsError(f"{path} exists; pass overwrite=True")
        os.makedirs(os.path.dirname(local), exist_ok=True)
        with open(local, "w", encoding="utf-8") as target:
            target.write(contents)
        return True

    def head(self, path: str, maxBytes: int = 65536) -> str:
        """The first bytes of a file, as text."""
        with open(self._existing(path), "rb") as source:
            return source.read(maxBytes).decode("utf-8", "replace")


class Widgets:
    """`dbutils.widgets`: the run's parameters, and the defaults that the notebook gives."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._given = dict(values)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str = "") -> None:
        """Declare a widget with its default."""
        self._defaults[name] = defaultValue

    def dropdown(self, name: str, defaultValue: str, choices: list[str], label: str = "") -> None:
        """Declare a widget with choices."""
        self._defaults[name] = defaultValue

    combobox = dropdown
    multiselect = dropdown

    def get(self, name: str) -> str:
        """The value given to the run, else the default."""
        if name in self._given:
            return self._given[name]
        if name in self._defaults:
            return self._defaults[name]
        raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined")

    def getAll(self) -> dict[str, str]:
        """Every value."""
        return {**self._defaults, **self._given}

    def remove(self, name: str) -> None:
        """Forget one."""
        self._defaults.pop(name, None)
        self._given.pop(name, None)

    def removeAll(self) -> None:
        """Forget all."""
        self._defaults.clear()
        self._given.clear()


class TaskValues:
    """`dbutils.jobs.taskValues`, kept in a file per task in the driver's folder."""

    def __init__(self, scratch: str, task: str) -> None:
        self._folder = os.path.join(scratch, "task-values")
        self._task = task

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value (up to 48 KiB) for later tasks."""
        text = json.dumps(value)
        if len(text) > 48 * 1024:
            raise ValueError(f"task value {key} is larger than 48 KiB")
        os.makedirs(self._folder, exist_ok=True)
        values = self._read(self._task)
        values[key] = value
        path = self._path(self._task)
        with open(path + ".draft", "w", encoding="utf-8") as target:
            json.dump(values, target)
        os.replace(path + ".draft", path)

    def get(self, taskKey: str, key: str, default: Any = None, debugValue: Any = None) -> Any:
        """What a former task kept; `default` where it kept nothing."""
        values = self._read(taskKey)
        if key in values:
            return values[key]
        if default is None:
            raise ValueError(f"task {taskKey} set no value {key}")
        return default

    def _path(self, task: str) -> str:
        return os.path.join(self._folder, f"{task}.json")

    def _read(self, task: str) -> dict[str, Any]:
        try:
            with open(self._path(task), encoding="utf-8") as source:
                return json.load(source)  # type: ignore[no-any-return]
        except FileNotFoundError:
            return {}


class NotebookUtilities:
    """`dbutils.notebook`."""

    def exit(self, value: object = "") -> None:
        """End the notebook; `value` becomes its result."""
        raise NotebookExit(str(value))

    def run(self, path: str, timeout_seconds: int = 0, arguments: Mapping[str, str] | None = None) -> str:
        """Not served yet: `%run` includes another notebook, a job's tasks run several."""
        raise NotImplementedError(f"dbutils.notebook.run({path!r}) is not served by this workspace; use %run")


class DbUtils:
    """The `dbutils` of one run."""

    def __init__(
        self, spark: Any, context: Mapping[str, str], roots: Mapping[str, str], widgets: Mapping[str, str], scratch: str
    ) -> None:
        self.fs = FileSystem(roots)
        self.widgets = Widgets(widgets)
        self.notebook = NotebookUtilities()
        self.jobs = types.SimpleNamespace(taskValues=TaskValues(scratch, context.get("task_key", "")))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(f"dbutils.{name} is not served by this workspace")


def publish(utilities: DbUtils) -> None:
    """Make `from pyspark.dbutils import DBUtils` work, as in a Databricks runtime."""
    module = types.ModuleType("pyspark.dbutils")
    module.DBUtils = lambda spark=None: utilities  # type: ignore[attr-defined]
    sys.modules["pyspark.dbutils"] = module
