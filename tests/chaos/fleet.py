"""The application whose deploys are disturbed: three releases of several jobs, with creations, changes and
deletions."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from headway.adapters.clock import SystemClock
from headway.adapters.databricks import connect
from headway.adapters.objectstore import ObjectStore
from headway.adapters.stores import open_store
from headway.core.application import Application, StoreSettings
from headway.core.configuration import Files, parse
from headway.core.events import ignore
from headway.core.plan import ObservedJob, desired, orphans, plan_steps
from headway.core.release import Release, Version
from headway.delivery.configuration import known_fields
from headway.delivery.deploying import Target, change, finish_interrupted
from headway.delivery.ledger import Ledger
from headway.delivery.observing import observe
from headway.delivery.releasing import load_configuration, load_release, store_release
from support.served_workspace import KEY, Served

TOML = """
[app]
name = "fleet"
version = "1.0"
spark = "4.3.0"
[store]
url = "${env.HEADWAY_STORE}"
[[artifact]]
name = "jar"
kind = "jar"
builder = "command"
command = "true"
output = "x"
[environments.stage]
host = "${env.HEADWAY_STAGE_HOST}"
token_env = "HEADWAY_STAGE_TOKEN"
prefix = "stage-"
"""
JOB = """
    {key}:
      name: {key}
      {permissions}
      tasks:
        - task_key: main
          job_cluster_key: main
          spark_jar_task: {{main_class_name: Main, parameters: ["${{release.version}}"]}}
        - task_key: after
          job_cluster_key: main
          depends_on: [{{task_key: main}}]
          spark_jar_task: {{main_class_name: After}}
      job_clusters:
        - job_cluster_key: main
          new_cluster: {{spark_version: "{spark}", node_type_id: {node}}}
"""
PERMITTED = "permissions: [{level: CAN_VIEW, group_name: users}]"

# What each release has. The third cannot be: the workspace refuses one of its jobs.
RELEASES: dict[int, tuple[str, ...]] = {
    1: ("alpha", "beta", "gamma", "old-one", "old-two"),
    2: ("alpha", "beta", "gamma", "new-one", "new-two"),
    3: ("alpha", "beta", "gamma", "new-three", "refused"),
}


def job_file(build: int) -> str:
    """The job file of a release. `beta` and `new-one` say who may see them, from the second release on."""
    text = "resources:\n  jobs:"
    for key in RELEASES[build]:
        permissions = PERMITTED if key in ("beta", "new-one") and build == 2 else ""
        node = "no-such-node" if key == "refused" else "local.small"
        text += JOB.format(key=key, permissions=permissions, spark=KEY, node=node).replace("      \n", "")
    return text


@lru_cache
def _store(url: str) -> ObjectStore:
    return open_store(StoreSettings(url))


@dataclass(frozen=True)
class Fleet:
    """The application's folder and store, and its releases. `served` is reached directly, without faults."""

    served: Served
    folder: Path
    bucket: str = ""  # of an S3 server, as a URL; without it the store is a folder
    _targets: dict[int, tuple[Target, Release]] = field(default_factory=dict)

    @property
    def store(self) -> ObjectStore:
        """Where releases and ledgers are."""
        return _store(self.bucket or (self.folder / "store").as_uri())

    def variables(self, host: str) -> dict[str, str]:
        """The environment of a deployer."""
        return {
            "HEADWAY_STORE": self.bucket or (self.folder / "store").as_uri(),
            "HEADWAY_STAGE_HOST": host,
            "HEADWAY_STAGE_TOKEN": self.served.token,
            "HEADWAY_HTTP_TIMEOUT_SECONDS": "0.7",
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def prepare(self) -> None:
        """Write the application and its releases."""
        root = self.folder / "app"
        (root / "jobs").mkdir(parents=True)
        (root / "headway.toml").write_text(TOML)
        (root / "jobs" / "jobs.yml").write_text(job_file(1))
        for build in RELEASES:
            at = "2026-01-01T00:00:00Z"
            version = Version(1, 0, build)
            made = Release("fleet", version, "c" * 40, "main", "s", "a", at, "4.3.0", "2.13", KEY, {}, ())
            store_release(self.store, made, {}, Files(TOML, {"jobs/jobs.yml": job_file(build)}))

    def target(self, build: int) -> tuple[Target, Release]:
        """A release's own way to the workspace, past the proxy."""
        if build not in self._targets:
            self._targets[build] = self._target(build)
        return self._targets[build]

    def _target(self, build: int) -> tuple[Target, Release]:
        release = load_release(self.store, "fleet", f"1.0.{build}")
        variables = self.variables(self.served.url)
        app = parse(load_configuration(self.store, release), variables, known_fields())
        assert isinstance(app, Application), app
        environment = app.environments["stage"]
        ledger = Ledger(self.store, app.name, "stage")
        connection = connect(environment, variables)
        return Target(app, environment, connection, ledger, self.store, SystemClock(), ignore), release

    def stand_at(self, build: int) -> None:
        """Bring the fleet to a release, undisturbed."""
        target, release = self.target(build)
        with target.ledger.locked(target.clock) as hold:
            finish_interrupted(target, hold)
            change(target, release, desired(target.app, release, target.environment), hold)

    def where(self, *builds: int) -> str:
        """Which of these releases the whole fleet stands at, by the jobs themselves and by the ledger; else what is
        wrong with it."""
        problems = []
        for build in builds:
            target, release = self.target(build)
            wanted = desired(target.app, release, target.environment)
            rights: dict[str, list[dict[str, str]]] = {key: [] for key in wanted}
            observed = observe(target.connection, target.app, target.environment, permissions=rights)
            problem = self._differs(target, build, wanted, observed)
            if not problem:
                return f"1.0.{build}"
            problems.append(f"not 1.0.{build}: {problem}")
        return "; ".join(problems)

    def _differs(self, target: Target, build: int, wanted: dict[str, Any], observed: tuple[ObservedJob, ...]) -> str:
        steps, _ = plan_steps({key: {"permissions": [], **job} for key, job in wanted.items()}, observed)
        state = target.ledger.state()
        left = target.ledger.unfinished()
        doubled = orphans(observed)
        if steps:
            return ", ".join(f"{step.action} {step.key}" for step in steps)
        if doubled:
            return ", ".join(orphan.reason for orphan in doubled)
        if left:
            return f"deployment {left[0].id} is not finished"
        if state.version != f"1.0.{build}":
            return f"the ledger says {state.version}"
        found = {job.key: job.job_id for job in observed}
        return "" if dict(state.jobs) == found else f"the ledger has jobs {dict(state.jobs)}, there are {found}"
