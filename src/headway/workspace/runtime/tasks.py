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
class Executors:
    """Executors that do a driver's work, from a Spark `master`: at least and at most so many, each of that size.

    They reach the driver at `driver_host`; it listens on `bind_address`. `python` and `class_path` are where they have
    Python and the driver host's JARs: the driver's own paths where empty. `hadoop_conf` is YARN's configuration folder.
    """

    master: str
    least: int
    most: int
    memory_mb: int = 1024
    cores: int = 1
    driver_host: str = "127.0.0.1"
    bind_address: str = "127.0.0.1"
    python: str = ""
    class_path: tuple[str, ...] = ()
    hadoop_conf: str = ""


@dataclass(frozen=True)
class InitScript:
    """A shell script that runs before a driver starts. `everywhere`: it is one of the workspace, for every cluster;
    else `source` is what the cluster's `init_scripts` says of it."""

    name: str
    text: bytes
    everywhere: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DriverSpec:
    """A driver to start. `folder` is its own: logs, event log, scratch. `memory_mb` is the heap of its JVM.

    `quick` compiles user code and Spark with the JVM's first compiler only: half the CPU for starts and small data,
    2.5 to 3.7 times slower on big data. `secret_conf` names those of `spark_conf` that nobody may read: neither in the
    list of processes nor in the event log. Without `executors` the driver does all the work itself. `init_scripts` run
    before it, in their order, with `script_env`.
    """

    cluster_id: str
    runtime: Runtime
    folder: Path
    roots: FileRoots
    memory_mb: int = 1024
    cores: int = 2
    quick: bool = False
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    secret_conf: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=dict)
    executors: Executors | None = None
    init_scripts: tuple[InitScript, ...] = ()
    script_env: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True)
class SqlParameter:
    """A named parameter of a statement (`:name`). `value` None is NULL; `type` is a SQL type, as `DATE`."""

    name: str
    value: str | None
    type: str = "STRING"


@dataclass(frozen=True)
class SqlTask:
    """SQL statements with semicolons between them, run in one session of their own. The first `row_limit` rows of the
    last one are kept. Parameters are given to the statements that name them."""

    statement: str
    parameters: tuple[SqlParameter, ...] = ()
    catalog: str | None = None
    schema: str | None = None
    row_limit: int = 10_000


@dataclass(frozen=True)
class SubmitTask:
    """`spark-submit` with these arguments, in a process of its own. Files are named as local ones."""

    arguments: tuple[str, ...]


Task = JarTask | PythonFileTask | WheelTask | NotebookTask | SqlTask | SubmitTask


@dataclass(frozen=True)
class LocalLibrary:
    """A library as a local file: its name ends in `.jar`, `.whl` or `.egg`. `requirements` is pip's file of names."""

    kind: Literal["jar", "whl", "egg", "requirements"]
    path: Path


@dataclass(frozen=True)
class PackageLibrary:
    """A Python package, as pip is asked for it (`simplejson==3.8.0`); `index` is a registry that is asked too."""

    requirement: str
    index: str | None = None


@dataclass(frozen=True)
class MavenLibrary:
    """JARs by coordinates (`group:artifact:version`), with what they need but the `exclusions` (`group:artifact`);
    `repo` is asked before the others."""

    coordinates: str
    repo: str | None = None
    exclusions: tuple[str, ...] = ()


Library = LocalLibrary | PackageLibrary | MavenLibrary


@dataclass(frozen=True)
class ApiAccess:
    """The workspace's URL and a token of the run's user, for as long as the run lasts."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class ResultColumn:
    """A column: `type_text` as SQL writes it (`DECIMAL(10,2)`), `type_name` as the SQL API names it (`DECIMAL`),
    `type_json` as Spark's schemas do (`"decimal(10,2)"`)."""

    name: str
    type_text: str
    type_name: str
    type_json: str
    precision: int | None = None
    scale: int | None = None


@dataclass(frozen=True)
class SqlOutcome:
    """What a statement gave: values as text (JSON_ARRAY of the SQL Statement API: timestamps in UTC, nested values as
    JSON, binary in Base64). `truncated` where it had more rows. With an error, `error_class` and `sql_state` are
    Spark's."""

    columns: tuple[ResultColumn, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    truncated: bool = False
    error_class: str = ""
    sql_state: str = ""


@dataclass(frozen=True)
class TaskRequest:
    """One task run. `log` receives its stdout and stderr while it runs. `context` is what `dbutils` may tell:
    `job_id`, `run_id` (of the job's run), `task_run_id`, `task_key`, `cluster_id`, `workspace_url`, `user`: all text.
    `task_values` are those that the tasks before it kept, by task key. `api` is how `dbutils` reaches the workspace."""

    run_id: str
    task: Task
    libraries: tuple[Library, ...]
    log: Path
    context: Mapping[str, str] = field(default_factory=dict)
    task_values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    api: ApiAccess | None = None


@dataclass(frozen=True)
class NotebookRun:
    """A notebook that a task ran by `dbutils.notebook.run`. `record` is as in TaskOutcome."""

    path: str
    parameters: Mapping[str, str]
    state: Literal["SUCCESS", "FAILED", "CANCELED", "TIMEDOUT"]
    error: str
    result: str | None
    record: Path
    started_ms: int
    seconds: float


@dataclass(frozen=True)
class TaskOutcome:
    """How a task ended. `error` is one line, `error_trace` the stack. `notebook_result` is the text given to
    `dbutils.notebook.exit`. `seconds` is the task's own wall time on the driver. `task_values` are those that it set
    by `dbutils.jobs.taskValues`. `record` is a file of JSON lines: what a notebook was (`{"path", "language"}`), then
    its cells and what each showed (`{"magic", "text", "state", "outputs", "seconds", …}`), written as they end.
    `sql` is what a SqlTask found. `code` is a termination code, where it is not the user's code that failed."""

    state: Literal["SUCCESS", "FAILED", "CANCELED"]
    error: str = ""
    error_trace: str = ""
    notebook_result: str | None = None
    seconds: float = 0.0
    task_values: Mapping[str, Any] = field(default_factory=dict)
    record: Path | None = None
    notebook_runs: tuple[NotebookRun, ...] = ()
    sql: SqlOutcome | None = None
    code: str = ""


ContextLanguage = Literal["PYTHON", "SQL", "SCALA"]


@dataclass(frozen=True)
class CommandOutcome:
    """How a command in a context ended.

    `kind` is what it showed last: `text` is what it printed (for `html` and `image` their source: HTML, PNG in Base64);
    a `table` has `columns` and `rows` (JSON values). With state ERROR, `summary` is one line and `cause` the trace.
    `lost` says that the context is gone with it.
    """

    state: Literal["FINISHED", "ERROR", "CANCELED"]
    kind: Literal["text", "table", "html", "image"] = "text"
    text: str = ""
    columns: tuple[ResultColumn, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    truncated: bool = False
    summary: str = ""
    cause: str = ""
    lost: bool = False


class ContextFailed(Exception):
    """A context could not be made, or is not there."""


class DriverFailed(Exception):
    """A driver did not start, or died. `reason` is a Databricks termination code, as `DRIVER_UNREACHABLE`,
    `SPARK_STARTUP_FAILURE`, `DRIVER_OUT_OF_MEMORY`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
