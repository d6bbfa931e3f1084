"""Deploys of many jobs beside a plain sequential script that does it the seed's way; same workspace, same run.

The workspace is a process of its own, as it is for users.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.rows import Row
from headway.adapters.clock import SystemClock
from headway.adapters.databricks import connect
from headway.adapters.filestore import FileStore
from headway.core.application import Application
from headway.core.configuration import Files, parse
from headway.core.events import ignore
from headway.core.plan import desired
from headway.core.release import Release, Version
from headway.delivery.configuration import known_fields
from headway.delivery.deploying import Target, change
from headway.delivery.ledger import Ledger

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.served_process import Place, serving_apart
from support.served_workspace import KEY

SIZES = (10, 100, 1000)
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
prefix = "{name}-"
"""
JOB = """
    job-{number}:
      name: job-{number}
      tasks:
        - task_key: ingest
          job_cluster_key: main
          spark_jar_task: {{main_class_name: Main, parameters: ["${{release.version}}"]}}
          libraries: [{{jar: "dbfs:/FileStore/job-jars/app-${{release.version}}.jar"}}]
        - task_key: score
          depends_on: [{{task_key: ingest}}]
          job_cluster_key: main
          spark_jar_task: {{main_class_name: Score}}
          libraries: [{{jar: "dbfs:/FileStore/job-jars/app-${{release.version}}.jar"}}]
      job_clusters:
        - job_cluster_key: main
          new_cluster: {{spark_version: "{spark}", node_type_id: local.small, num_workers: 0}}
"""


@dataclass
class Calls:
    """Stands between the client and the workspace and counts."""

    do: Callable[..., Any]
    reads: int = 0
    writes: int = 0
    paths: list[str] = field(default_factory=list)

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A call of the client."""
        if method == "GET":
            self.reads += 1
        else:
            self.writes += 1
        return self.do(method, *arguments, **named)


class Deploys:
    """An application of `size` jobs."""

    def __init__(self, served: Place, folder: Path, size: int) -> None:
        self.name = f"fleet-{size}"
        jobs = "".join(JOB.format(number=number, spark=KEY) for number in range(size))
        texts = Files(TOML.format(name=self.name, host=served.url), {"jobs/j.yml": f"resources:\n  jobs:{jobs}"})
        app = parse(texts, {}, known_fields())
        assert isinstance(app, Application), app
        environment = app.environments["stage"]
        store = FileStore(folder)
        connection = connect(environment, {"TOKEN": served.token})
        self.calls = Calls(connection.client.api_client.do)
        connection.client.api_client.do = self.calls  # type: ignore[method-assign]
        ledger = Ledger(store, app.name, "stage")
        self.target = Target(app, environment, connection, ledger, store, SystemClock(), ignore)

    def release(self, build: int) -> Release:
        """A release without artifacts."""
        at = "2026-01-01T00:00:00Z"
        return Release(self.name, Version(1, 0, build), "c", "main", "s", "a", at, "4.3.0", "2.13", KEY, {}, ())

    def deploy(self, build: int) -> float:
        """Bring the environment to a release, as `headway deploy` does once the artifacts are there. Wall seconds."""
        with timed() as took:
            release = self.release(build)
            with self.target.ledger.locked(self.target.clock) as hold:
                change(self.target, release, desired(self.target.app, release, self.target.environment), hold)
        return took[0]

    def sequentially(self, build: int) -> float:
        """The same by a plain script, as the seed says: list the jobs, get each, change what must change, reset it, one
        after the other, whether or not anything differs. Wall seconds."""
        release, client = self.release(build), self.target.connection.client
        with timed() as took:
            wanted = desired(self.target.app, release, self.target.environment)
            by_name = {str(settings["name"]): dict(settings) for settings in wanted.values()}
            for job in client.jobs.list():
                name = job.settings.name if job.settings else None
                if name in by_name and job.job_id is not None:
                    found: Any = client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job.job_id})
                    settings = {**found["settings"], **by_name[str(name)]}
                    body = {"job_id": job.job_id, "new_settings": settings}
                    client.api_client.do("POST", "/api/2.2/jobs/reset", body=body)
        return took[0]


@contextmanager
def timed() -> Iterator[list[float]]:
    """The wall seconds of the block, in a list of one once it has ended."""
    took: list[float] = []
    began = time.monotonic()
    yield took
    took.append(time.monotonic() - began)


def measure(say: Callable[[str], None], sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """Create, change (both ways) and change nothing, for each size."""
    rows: list[Row] = []
    noop_writes = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for size in sizes:
            # A workspace of its own each, so that no size lists another's jobs.
            with serving_apart(folder / f"workspace-{size}") as served:
                fleet = Deploys(served, folder / f"store-{size}", size)
                created = fleet.deploy(1)
                sequential = fleet.sequentially(2)
                scripted = (fleet.calls.reads, fleet.calls.writes)
                fleet.calls.reads = fleet.calls.writes = 0
                # The script's release is what stands: a deploy of the next one changes every job again.
                changed = fleet.deploy(3)
                reads, writes = fleet.calls.reads, fleet.calls.writes
                fleet.calls.reads = fleet.calls.writes = 0
                nothing = fleet.deploy(3)
                noop_writes += fleet.calls.writes
                say(
                    f"bench: {size} jobs: created in {created:.1f} s; changed in {changed:.1f} s "
                    f"({reads} reads, {writes} writes), by a sequential script in {sequential:.1f} s "
                    f"({scripted[0]} reads); nothing to do in {nothing:.2f} s ({fleet.calls.reads} reads)"
                )
                if size >= 100:
                    rows.append(
                        Row(
                            name=f"deploy_{size}_vs_sequential",
                            value=changed,
                            unit="s",
                            against=f"list, get, reset one by one: {sequential:.1f} s",
                            ratio=changed / sequential,
                            goal="not slower than the script, journalled and all or nothing as it is",
                            met=changed <= sequential,
                        )
                    )
    rows.append(
        Row(
            name="noop_writes",
            value=noop_writes,
            unit="calls",
            against=f"deploys of {', '.join(map(str, sizes))} jobs again",
            ratio=None,
            goal="0",
            met=noop_writes == 0,
        )
    )
    return rows
