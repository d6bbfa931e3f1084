"""A workspace as a model in memory, and delivery to it: for properties over many generated fleets."""

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from headway.adapters.clock import Clock, SystemClock
from headway.adapters.databricks import Connection
from headway.adapters.filestore import FileStore
from headway.adapters.objectstore import ObjectStore
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
_PERMISSIONS, _POLICIES = "/api/2.0/permissions/jobs/", "/api/2.0/policies/clusters/"
_OWNER = {"user_name": "owner", "all_permissions": [{"permission_level": "IS_OWNER"}]}


class Killed(BaseException):
    """As SIGKILL."""


class Model:
    """Jobs, their permissions and cluster policies in memory, with what a server fills in.

    `before_write` is called before each write, with its number; `before_read` before each read.
    """

    def __init__(self) -> None:
        self.jobs: dict[int, dict[str, Any]] = {}
        self.rights: dict[int, list[dict[str, str]]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.last = self.last_policy = self.writes = self.creates = 0
        self.before_write: Callable[[int], None] = lambda _: None
        self.before_read: Callable[[], None] = lambda: None

    def do(self, method: str, path: str, query: Any = None, data: Once | None = None, headers: Any = None) -> Any:
        """A call."""
        if method == "GET":
            self.before_read()
            return self._read(path, query or {})
        self.writes += 1
        self.before_write(self.writes)
        body = data.body if data else {}
        if path.startswith(_PERMISSIONS):
            number = int(path.removeprefix(_PERMISSIONS))
            entries = body["access_control_list"]
            self.rights[number] = [entry for entry in entries if entry["permission_level"] != "IS_OWNER"]
            return {}
        act = path.rpartition("/")[2]
        return self._policy(act, body) if path.startswith(_POLICIES) else self._job(act, body)

    def _read(self, path: str, query: Any) -> Any:
        if path.endswith("/jobs/get"):
            return {"job_id": query["job_id"], "settings": filled(self.jobs[query["job_id"]])}
        if path.endswith("/clusters/spark-versions"):
            return {"versions": [{"key": "4.3.x-scala2.13", "name": "Spark 4.3.0"}]}
        if path.startswith(_PERMISSIONS):
            given = [
                {**{k: v for k, v in entry.items() if k != "permission_level"}, "all_permissions": [entry]}
                for entry in self.rights.get(int(path.removeprefix(_PERMISSIONS)), [])
            ]
            return {"access_control_list": [_OWNER, *given]}
        if path.startswith(_POLICIES):
            return {"policies": [{"policy_id": number, **policy} for number, policy in self.policies.items()]}
        assert path.endswith("/jobs/list"), path
        listed: list[dict[str, Any]] = [{"job_id": n, "settings": filled(job)} for n, job in self.jobs.items()]
        name = query.get("name")
        return {"jobs": [job for job in listed if name in (None, job["settings"]["name"])]}

    def _job(self, act: str, body: Any) -> Any:
        match act:
            case "create":
                self.last += 1
                self.creates += 1
                self.jobs[self.last] = {key: value for key, value in body.items() if key != "idempotency_token"}
                return {"job_id": self.last}
            case "reset":
                assert body["job_id"] in self.jobs, "a job that is not there is reset"
                self.jobs[body["job_id"]] = body["new_settings"]
            case "update":
                self.jobs[body["job_id"]] |= body["new_settings"]
            case "delete":
                self.jobs.pop(body["job_id"], None)
        return {}

    def _policy(self, act: str, body: Any) -> Any:
        number = str(body.get("policy_id", ""))
        policy = {key: value for key, value in body.items() if key != "policy_id"}
        match act:
            case "create":
                assert policy["name"] not in {other["name"] for other in self.policies.values()}
                self.last_policy += 1
                number = f"P{self.last_policy}"
                self.policies[number] = policy
                return {"policy_id": number}
            case "edit":
                assert number in self.policies, "a policy that is not there is edited"
                self.policies[number] = policy
            case "delete":
                used = [job["name"] for job in self.jobs.values() if f'"{number}"' in str(job).replace("'", '"')]
                assert not used, f"{number} is deleted while {used} go by it"
                self.policies.pop(number, None)
        return {}

    def fleet(self) -> dict[str, int]:
        """What stands: the timeout of each job by its key."""
        return {job["tags"][TAG_JOB]: job["timeout_seconds"] for job in self.jobs.values()}


def filled(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as a server tells them: with what it fills in, and lists in another order."""
    found = copy.deepcopy(settings)
    found = {"format": "MULTI_TASK", "email_notifications": {}, "max_concurrent_runs": 1, **found}
    if "schedule" in found:
        found["schedule"].setdefault("pause_status", "UNPAUSED")
    for task in found.get("tasks", ()):
        task.setdefault("run_if", "ALL_SUCCESS")
        if "libraries" in task:
            task["libraries"].reverse()
    for cluster in found.get("job_clusters", ()):
        cluster["new_cluster"].setdefault("enable_elastic_disk", False)
    return found


def target(
    model: Any,
    folder: str,
    app: Application = APP,
    environment: Environment = ENVIRONMENT,
    store: ObjectStore | None = None,
    clock: Clock | None = None,
) -> Target:
    """Delivery to the model, with its ledger in a folder, or in a `store`."""
    store = store or FileStore(Path(folder))
    connection = Connection("http://model", "t", "TOKEN", cast(Any, SimpleNamespace(api_client=model)))
    return Target(app, environment, connection, Ledger(store, "app", "stage"), store, clock or SystemClock(), ignore)


def release(build: int) -> Release:
    """A release without artifacts."""
    at = "2026-01-01T00:00:00Z"
    return Release("app", Version(1, 0, build), "c", "main", "s", "a", at, "4.3.0", "2.13", "k", {}, ())
