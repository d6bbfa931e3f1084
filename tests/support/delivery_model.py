"""A workspace as a model in memory, and delivery to it: for properties over many generated fleets."""

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from headway.adapters.clock import SystemClock
from headway.adapters.databricks import Connection
from headway.adapters.filestore import FileStore
from headway.core.application import Application, DeploySettings, Environment, StoreSettings
from headway.core.events import ignore
from headway.core.plan import TAG_JOB
from headway.core.release import Release, Version
from headway.delivery.calling import Once
from headway.delivery.deploying import Target
from headway.delivery.ledger import Ledger

ENVIRONMENT = Environment("stage", "http://model", "TOKEN", "")
APP = Application(
    "app", "main", (1, 0), "4.3.0", StoreSettings("file:///s"), (), (), DeploySettings(), {"stage": ENVIRONMENT}, {}
)


class Killed(BaseException):
    """As SIGKILL."""


class Model:
    """Jobs in memory, with what a server fills in. `before_write` is called before each write, with its number."""

    def __init__(self) -> None:
        self.jobs: dict[int, dict[str, Any]] = {}
        self.last = self.writes = self.creates = 0
        self.before_write: Callable[[int], None] = lambda _: None

    def do(self, method: str, path: str, query: Any = None, data: Once | None = None, headers: Any = None) -> Any:
        """A call."""
        if method == "GET":
            if path.endswith("/jobs/get"):
                return {"job_id": query["job_id"], "settings": copy.deepcopy(self.jobs[query["job_id"]])}
            if path.endswith("/clusters/spark-versions"):
                return {"versions": [{"key": "4.3.x-scala2.13", "name": "Spark 4.3.0"}]}
            assert path.endswith("/jobs/list")
            listed: list[dict[str, Any]] = [
                {"job_id": n, "settings": {"format": "MULTI_TASK", **copy.deepcopy(job)}}
                for n, job in self.jobs.items()
            ]
            name = query.get("name")
            return {"jobs": [job for job in listed if name in (None, job["settings"]["name"])]}
        self.writes += 1
        self.before_write(self.writes)
        body = data.body if data else {}
        match path.rpartition("/")[2]:
            case "create":
                self.last += 1
                self.creates += 1
                self.jobs[self.last] = {key: value for key, value in body.items() if key != "idempotency_token"}
                return {"job_id": self.last}
            case "reset":
                self.jobs[body["job_id"]] = body["new_settings"]
            case "update":
                self.jobs[body["job_id"]] |= body["new_settings"]
            case "delete":
                self.jobs.pop(body["job_id"], None)
        return {}

    def fleet(self) -> dict[str, int]:
        """What stands, as the fleets are generated."""
        return {job["tags"][TAG_JOB]: job["timeout_seconds"] for job in self.jobs.values()}


def target(model: Model, folder: str, app: Application = APP, environment: Environment = ENVIRONMENT) -> Target:
    """Delivery to the model, with its ledger in a folder."""
    store = FileStore(Path(folder))
    connection = Connection("http://model", "t", "TOKEN", cast(Any, SimpleNamespace(api_client=model)))
    return Target(app, environment, connection, Ledger(store, "app", "stage"), store, SystemClock(), ignore)


def release(build: int) -> Release:
    """A release without artifacts."""
    at = "2026-01-01T00:00:00Z"
    return Release("app", Version(1, 0, build), "c", "main", "s", "a", at, "4.3.0", "2.13", "k", {}, ())
