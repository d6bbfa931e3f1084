"""`dbutils` as jobs and notebooks use it: fs, widgets, secrets, notebook, jobs.taskValues. What is not here says so."""

import base64
import json
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .api import Api
from .filesystem import FileSystem
from .kernel import Secrets
from .notebook import NotebookExit, find_notebook

VALUE_BYTES = 48 * 1024


class Widgets:
    """`dbutils.widgets`: the run's parameters, and the defaults that the notebook gives."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._given = dict(values)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str = "", label: str | None = None) -> None:
        """Declare a widget with its default."""
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:
        """Declare a widget that has one of `choices`. Raise ValueError where its default is none of them."""
        if str(defaultValue) not in [str(choice) for choice in choices]:
            raise ValueError(f"the default of widget {name}, {defaultValue}, is none of its choices")
        self._defaults[name] = str(defaultValue)

    def combobox(self, name: str, defaultValue: str, choices: Sequence[str] = (), label: str | None = None) -> None:
        """Declare a widget with proposals."""
        self._defaults[name] = str(defaultValue)

    def multiselect(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:
        """Declare a widget that has some of `choices`, as text with commas."""
        self.dropdown(name, defaultValue, choices, label)

    def get(self, name: str) -> str:
        """The value given to the run, else the default."""
        if name in self._given:
            return self._given[name]
        if name in self._defaults:
            return self._defaults[name]
        raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined")

    def getArgument(self, name: str, defaultValue: str | None = None) -> str:
        """The same, with a default in the call."""
        if defaultValue is not None and name not in self._given and name not in self._defaults:
            return defaultValue
        return self.get(name)

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

    def given(self, values: Mapping[str, str]) -> dict[str, str]:
        """Give more values, as `%run` does; return those before."""
        before = dict(self._given)
        self._given.update(values)
        return before

    def give_back(self, before: Mapping[str, str]) -> None:
        """Undo it."""
        self._given = dict(before)


class SecretMetadata(NamedTuple):
    """A secret's name, as `dbutils.secrets.list` gives it."""

    key: str


class SecretScope(NamedTuple):
    """A scope's name."""

    name: str

    def getName(self) -> str:
        """It."""
        return self.name


class SecretUtilities:
    """`dbutils.secrets`: the workspace's, as the run's user may read them. What is read is not shown in outputs."""

    def __init__(self, api: Api, secrets: Secrets) -> None:
        self._api, self._secrets = api, secrets

    def getBytes(self, scope: str, key: str) -> bytes:
        """A secret's bytes."""
        value = base64.b64decode(self._api.get("/api/2.0/secrets/get", scope=scope, key=key)["value"])
        self._secrets.add(value.decode("utf-8", "replace"))
        return value

    def get(self, scope: str, key: str) -> str:
        """A secret as text."""
        return self.getBytes(scope, key).decode("utf-8")

    def listScopes(self) -> list[SecretScope]:
        """The scopes."""
        return [SecretScope(entry["name"]) for entry in self._api.get("/api/2.0/secrets/scopes/list").get("scopes", [])]

    def list(self, scope: str) -> Sequence[SecretMetadata]:
        """The names in a scope."""
        found = self._api.get("/api/2.0/secrets/list", scope=scope).get("secrets", [])
        return [SecretMetadata(entry["key"]) for entry in found]


class TaskValues:
    """`dbutils.jobs.taskValues`. `before` are those of the tasks that ran before this one, by task key; what this task
    sets is written to `path`, where the driver's supervisor finds it."""

    def __init__(self, before: Mapping[str, Mapping[str, Any]], task: str, path: str) -> None:
        self._before, self._task, self._path = before, task, path
        self._own: dict[str, Any] = {}

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value (up to 48 KiB) for later tasks."""
        if len(json.dumps(value)) > VALUE_BYTES:
            raise ValueError(f"task value {key} is larger than 48 KiB")
        self._own[key] = value
        with open(self._path + ".draft", "w", encoding="utf-8") as target:
            json.dump(self._own, target)
        os.replace(self._path + ".draft", self._path)

    def get(self, taskKey: str, key: str, default: Any = None, debugValue: Any = None) -> Any:
        """What a former task kept; `default` where it kept nothing; outside a job, `debugValue`."""
        values = self._own if taskKey == self._task else self._before.get(taskKey, {})
        if key in values:
            return values[key]
        if not self._task and debugValue is not None:
            return debugValue
        if default is None:
            raise ValueError(f"task {taskKey} set no value {key}")
        return default


class Option:
    """A value as Scala's `Option` gives it to Python."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def get(self) -> str:
        """It. Raise ValueError where there is none."""
        if self._value is None:
            raise ValueError("None.get")
        return self._value

    def isDefined(self) -> bool:
        """Whether there is one."""
        return self._value is not None

    def getOrElse(self, default: Any) -> Any:
        """It, or `default`."""
        return default if self._value is None else self._value


class Context:
    """`dbutils.notebook.getContext()`: where this run is."""

    def __init__(self, told: Mapping[str, str], path: str, api: Api) -> None:
        self._told, self._path, self._api = told, path, api

    def notebookPath(self) -> Option:
        """The notebook's name in the workspace."""
        return Option(self._path or None)

    def apiUrl(self) -> Option:
        """The workspace."""
        return Option(self._told.get("workspace_url"))

    def apiToken(self) -> Option:
        """A token of the run's user that ends with the run."""
        return Option(self._api.token or None)

    def clusterId(self) -> Option:
        """The cluster."""
        return Option(self._told.get("cluster_id"))

    def jobId(self) -> Option:
        """The job."""
        return Option(self._told.get("job_id"))

    def currentRunId(self) -> Option:
        """The run of this task."""
        return Option(self._told.get("task_run_id") or self._told.get("run_id"))

    def userName(self) -> Option:
        """Whose run it is."""
        return Option(self._told.get("user"))

    def tags(self) -> Any:
        """The same by Databricks's names."""
        names = {"jobId": "job_id", "runId": "task_run_id", "multitaskParentRunId": "run_id", "clusterId": "cluster_id"}
        names |= {"taskKey": "task_key", "user": "user"}
        found = {name: self._told[key] for name, key in names.items() if self._told.get(key)}
        return types.SimpleNamespace(get=lambda name: Option(found.get(name)), toJson=lambda: json.dumps(found))

    def toJson(self) -> str:
        """All of it."""
        extra = {"notebook_path": self._path, "api_url": self._told.get("workspace_url", "")}
        return json.dumps({"tags": json.loads(self.tags().toJson()), "extraContext": extra})

    safeToJson = toJson


class NotebookUtilities:
    """`dbutils.notebook`."""

    def __init__(self, spark: Any, request: Mapping[str, Any], api: Api) -> None:
        self._spark, self._request, self._api = spark, request, api
        self._count = 0
        self._runs: list[dict[str, Any]] = []

    def exit(self, value: object = "") -> None:
        """End the notebook; `value` becomes its result."""
        raise NotebookExit(str(value))

    def getContext(self) -> Context:
        """Where this run is."""
        return Context(self._request["context"], self._request.get("path", ""), self._api)

    @property
    def entry_point(self) -> Any:
        """`entry_point.getDbutils().notebook().getContext()`, as older notebooks write it."""
        holder = types.SimpleNamespace(notebook=lambda: self)
        return types.SimpleNamespace(getDbutils=lambda: holder)

    def run(self, path: str, timeout_seconds: int = 0, arguments: Mapping[str, str] | None = None) -> str:
        """Run another notebook on this cluster, in a session and a process of its own; return what it exits with.

        `timeout_seconds` 0 means no limit. Raise RuntimeError where it fails or takes longer.
        """
        here = self._request.get("path", "/")
        name, language, source = find_notebook(self._request["roots"]["/Workspace"], path, here)
        self._count += 1
        run_id = f"{self._request['run']}.{self._count}"
        base = os.path.join(self._request["scratch"], "notebook-runs", run_id)
        os.makedirs(os.path.dirname(base), exist_ok=True)
        child = {
            **{key: value for key, value in self._request.items() if key not in ("port", "secret", "op")},
            "run": run_id,
            "kind": "notebook",
            "path": name,
            "language": language,
            "source": source,
            "widgets": {key: str(value) for key, value in (arguments or {}).items()},
            "outcome": base + ".json",
            "record": base + ".cells.json",
            "values": base + ".values.json",
            "packages": base + ".packages",
        }
        java = self._spark.sparkContext._gateway.entry_point
        timed_out = threading.Event()

        def time_out() -> None:
            timed_out.set()
            java.cancelChild(run_id)

        timer = threading.Timer(timeout_seconds, time_out) if timeout_seconds > 0 else None
        began, started_ms = time.monotonic(), int(time.time() * 1000)
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            answer = json.loads(java.notebook(json.dumps(child)))
        finally:
            if timer is not None:
                timer.cancel()
        told: dict[str, Any] = {}
        if os.path.exists(base + ".json"):
            with open(base + ".json", encoding="utf-8") as outcome:
                told = json.load(outcome)
        state = answer["state"]
        error = "" if state == "SUCCESS" else told.get("error") or answer["error"]
        if timed_out.is_set():
            state, error = "TIMEDOUT", f"it took longer than {timeout_seconds} s"
        self._tell(child, state, error, told.get("notebook_result"), started_ms, time.monotonic() - began)
        if state != "SUCCESS":
            raise RuntimeError(
                f"WorkflowException: notebook {name} {'' if timed_out.is_set() else 'failed: '}{error}".strip()
            )
        return str(told.get("notebook_result") or "")

    def _tell(
        self, child: Mapping[str, Any], state: str, error: str, result: str | None, started_ms: int, seconds: float
    ) -> None:
        """Among this run's notebook runs, for the workspace's list of runs."""
        self._runs.append(
            {
                "path": child["path"],
                "parameters": child["widgets"],
                "state": state,
                "error": error,
                "result": result,
                "record": child["record"],
                "started_ms": started_ms,
                "seconds": round(seconds, 3),
            }
        )
        draft = self._request["children"] + ".draft"
        with open(draft, "w", encoding="utf-8") as target:
            json.dump(self._runs, target)
        os.replace(draft, self._request["children"])


class DbUtils:
    """The `dbutils` of one run."""

    def __init__(self, spark: Any, request: Mapping[str, Any], secrets: Secrets) -> None:
        context, given = request["context"], request.get("api") or {}
        api = Api(given.get("url", ""), given.get("token", ""))
        if api.token:
            secrets.add(api.token)
        self.fs = FileSystem(request["roots"])
        self.widgets = Widgets(request["widgets"])
        self.secrets = SecretUtilities(api, secrets)
        self.notebook = NotebookUtilities(spark, request, api)
        values = TaskValues(request.get("task_values") or {}, context.get("task_key", ""), request["values"])
        self.jobs = types.SimpleNamespace(taskValues=values)
        self.library = types.SimpleNamespace(restartPython=lambda: None)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(f"dbutils.{name} is not served by this workspace")

    def help(self, *_: str) -> None:
        """What is served."""
        print("dbutils: fs, widgets, secrets, notebook, jobs.taskValues, library.restartPython")  # noqa: T201


def publish(utilities: DbUtils) -> None:
    """Make `from pyspark.dbutils import DBUtils` and `from databricks.sdk.runtime import dbutils` work, as in a
    Databricks runtime."""
    module = types.ModuleType("pyspark.dbutils")
    module.DBUtils = lambda spark=None: utilities  # type: ignore[attr-defined]
    sys.modules["pyspark.dbutils"] = module
