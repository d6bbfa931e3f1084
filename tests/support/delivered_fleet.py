"""A fleet of jobs that is delivered to a served workspace through the official client, with faults at its calls."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databricks.sdk.errors.platform import BadRequest

from headway.adapters.clock import SystemClock
from headway.adapters.databricks import connect
from headway.adapters.filestore import FileStore
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application
from headway.core.configuration import Files, parse
from headway.core.events import ignore
from headway.core.release import Release, Version
from headway.delivery.configuration import known_fields
from headway.delivery.deploying import change, everything, finish_interrupted
from headway.delivery.ledger import Ledger
from headway.delivery.observing import observe
from headway.delivery.target import NeverStopping, Stopping, Target
from support.served_workspace import KEY, Served

TOML = """
[app]
name = "{name}"
version = "1.0"
spark = "4.3.0"
[store]
url = "file:///unused"
[[artifact]]
name = "jar"
kind = "jar"
builder = "command"
command = "true"
output = "x"
[environments.stage]
host = "{host}"
token_env = "TOKEN"
prefix = "stage-"
[[environments.stage.gates]]
kind = "run"
jobs = ["{gated}"]
"""
JOB = """
    {key}:
      name: {name}-{key}
      tasks:
        - task_key: {task}
          job_cluster_key: main
          spark_jar_task: {{main_class_name: Main, parameters: ["${{release.version}}"]}}
      job_clusters:
        - job_cluster_key: main
          new_cluster: {{spark_version: "{spark}", node_type_id: local.small}}
"""


class Killed(BaseException):
    """As SIGKILL: nothing is caught, nothing is cleaned up."""


@dataclass
class Faults:
    """Stands between the client and the workspace: counts writes, and makes the n-th one fail."""

    do: Callable[..., Any]
    fail_at: int | None = None
    after: bool = False
    writes: int = 0
    kill_at: int | None = None

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A call of the client."""
        if method != "POST":
            return self.do(method, *arguments, **named)
        self.writes += 1
        if self.kill_at is not None and self.writes >= self.kill_at:
            raise Killed
        broken = self.writes == self.fail_at
        if broken and not self.after:
            raise BadRequest("it broke before it was done")
        answer = self.do(method, *arguments, **named)
        if broken:
            raise BadRequest("it was done, and the answer was lost")
        return answer


class Fleet:
    """An application with jobs of the given keys, deployed to a served workspace."""

    def __init__(self, served: Served, folder: Path, name: str) -> None:
        self.served, self.name = served, name
        self.store: ObjectStore = FileStore(folder)

    def toml(self, gated: str) -> str:
        """The text of headway.toml."""
        return TOML.format(name=self.name, host=self.served.url, gated=gated)

    def text(self, *keys: str, task: str = "t") -> str:
        """The text of the jobs' file."""
        jobs = "".join(JOB.format(key=key, name=self.name, spark=KEY, task=task) for key in keys)
        return f"resources:\n  jobs:{jobs}"

    def target(
        self,
        *keys: str,
        task: str = "t",
        extra: str = "",
        environment: str = "stage",
        edit: Callable[[str], str] = str,
        stopping: Stopping | None = None,
    ) -> Target:
        """Where to, with a definition for each of these jobs; `extra` is more of headway.toml, `edit` changes the jobs'
        text."""
        jobs = edit(self.text(*keys, task=task))
        toml = self.toml(keys[0]) + extra
        app = parse(Files(toml, {"jobs/j.yml": jobs}), {}, known_fields())
        assert isinstance(app, Application), app
        place = app.environments[environment]
        connection = connect(place, {"TOKEN": self.served.token})
        connection.client.api_client.do = Faults(connection.client.api_client.do)  # type: ignore[method-assign]
        ledger = Ledger(self.store, app.name, environment)
        asked = stopping or NeverStopping()
        return Target(app, place, connection, ledger, self.store, SystemClock(), ignore, asked)

    def release(self, build: int) -> Release:
        """A release without artifacts."""
        at = "2026-01-01T00:00:00Z"
        return Release(self.name, Version(1, 0, build), "c", "main", "s", "a", at, "4.3.0", "2.13", KEY, {}, ())

    def deploy(self, target: Target, build: int) -> None:
        """Bring the environment to a release, as `deploy` does once the artifacts are there."""
        release = self.release(build)
        with target.ledger.locked(target.clock) as hold:
            finish_interrupted(target, hold)
            change(target, release, everything(target, release), hold)

    def standing(self, target: Target) -> dict[str, Any]:
        """The settings of every job, as the workspace has them."""
        return {job.key: job.settings for job in observe(target.connection, target.app, target.environment)}


def faults(target: Target) -> Faults:
    """What stands between."""
    found = target.connection.client.api_client.do
    assert isinstance(found, Faults)
    return found
