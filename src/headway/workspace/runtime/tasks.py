"""What a driver is asked to run and what it answers: the values between the jobs engine and the drivers.

The jobs engine resolves everything first (parameters, paths, libraries as local files); a driver only runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Runtime:
    """An installed Spark. `key` is the `spark_version` that names it, as `4.3.x-scala2.13`. `options` are what was
    installed on top, as `s3a`; `extra_jars` what they add to the driver's class path."""

    key: str
    name: str
    spark: str
    scala: str
    python: Path
    spark_home: Path
    java_home: Path
    options: tuple[str, ...] = ()
    extra_jars: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FileRoots:
    """The folders behind `dbfs:/` and `/Workspace`, and the one for `/Volumes`."""

    dbfs: Path
    workspace: Path
    volumes: Path

    @property
    def metastore(self) -> Path:
        """The folder of databases and tables, beside the others."""
        return self.dbfs.parent / "metastore"


@dataclass(frozen=True)
class DriverSpec:
    """A driver to start. `folder` is its own: logs, event log, scratch. `memory_mb` is the heap of its JVM.

    `quick` compiles user code and Spark with the JVM's first compiler only: half the CPU for starts and small data,
    2.5 to 3.7 times slower on big data.
    """

    cluster_id: str
    runtime: Runtime
    folder: Path
    roots: FileRoots
    memory_mb: int = 1024
    cores: int = 2
    quick: bool = False
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JarTask:
    """`main` of a class, found in the task's JARs, called with `parameters`."""

    main_class: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class PythonFileTask:
    """A Python file, run as `__main__` with `parameters` as its `sys.argv[1:]`."""

    path: Path
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class WheelTask:
    """An entry point of an installed wheel. `named_parameters` become `--key=value` arguments."""

    package_name: str
    entry_point: str
    parameters: tuple[str, ...] = ()
    named_parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NotebookTask:
    """A notebook. `source` is its text as exported (Databricks source format); `workspace_path` its name in the
    workspace (`/Shared/report`); `parameters` are its widgets' values."""

    workspace_path: str
    language: Literal["PYTHON", "SQL", "SCALA", "R"]
    source: str
    parameters: Mapping[str, str] = field(default_factory=dict)


Task = JarTask | PythonFileTask | WheelTask | NotebookTask


@dataclass(frozen=True)
class LocalLibrary:
    """A library as a local file. Its name ends in `.jar`, `.whl` or `.egg`."""

    kind: Literal["jar", "whl", "egg"]
    path: Path


@dataclass(frozen=True)
class TaskRequest:
    """One task run. `log` receives its stdout and stderr while it runs. `context` is what `dbutils` may tell:
    `job_id`, `run_id`, `task_key`, `cluster_id`, `workspace_url`, all as text.
    `task_values` are those that the tasks before it kept, by task key."""

    run_id: str
    task: Task
    libraries: tuple[LocalLibrary, ...]
    log: Path
    context: Mapping[str, str] = field(default_factory=dict)
    task_values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskOutcome:
    """How a task ended. `error` is one line, `error_trace` the stack. `notebook_result` is the text given to
    `dbutils.notebook.exit`. `seconds` is the task's own wall time on the driver. `task_values` are those that it set
    by `dbutils.jobs.taskValues`."""

    state: Literal["SUCCESS", "FAILED", "CANCELED"]
    error: str = ""
    error_trace: str = ""
    notebook_result: str | None = None
    seconds: float = 0.0
    task_values: Mapping[str, Any] = field(default_factory=dict)


class DriverFailed(Exception):
    """A driver did not start, or died. `reason` is a Databricks termination code, as `DRIVER_UNREACHABLE`,
    `SPARK_STARTUP_FAILURE`, `DRIVER_OUT_OF_MEMORY`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
