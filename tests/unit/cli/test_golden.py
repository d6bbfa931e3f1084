"""What the command line prints, word by word: `golden/*.txt`. HEADWAY_WRITE_GOLDEN=1 writes them anew.

The workspace is a model in memory, so that numbers are the same each time; times, owners and durations are replaced.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk.errors.platform import BadRequest

from headway.adapters.clock import SystemClock
from headway.adapters.databricks import Connection
from headway.adapters.filestore import FileStore
from headway.cli.main import main
from headway.core.configuration import Files
from headway.core.errors import HeadwayError
from headway.core.release import Release, Version
from headway.delivery import applying, line
from headway.delivery.ledger import Ledger
from headway.delivery.releasing import store_release
from support.delivery_model import Killed, Model

GOLDEN = Path(__file__).parent / "golden"
KEY = "4.3.x-scala2.13"
TOML = """
[app]
name = "shop"
version = "1.0"
spark = "4.3.0"
[store]
url = "{store}"
[[artifact]]
name = "jar"
kind = "jar"
builder = "command"
command = "true"
output = "x"
[environments.stage]
host = "http://workspace"
token_env = "TOKEN"
prefix = "stage-"
values = {{ bucket = "s3://stage-data" }}
"""
JOB = """
    {key}:
      name: {key}
      timeout_seconds: {timeout}
      tasks:
        - task_key: main
          job_cluster_key: main
          spark_jar_task: {{main_class_name: Main, parameters: ["${{release.version}}"]}}
      job_clusters:
        - job_cluster_key: main
          new_cluster: {{spark_version: {runtime}, node_type_id: local.small}}
"""


class Shop:
    """An application whose workspace is the model."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.model, self.root, self._capsys, self._patch = Model(), folder / "app", capsys, monkeypatch
        self.store = FileStore(folder / "store")
        self.toml = TOML.format(store=self.store.url)
        (self.root / "jobs").mkdir(parents=True)
        (self.root / "headway.toml").write_text(self.toml)
        client = cast(Any, SimpleNamespace(api_client=self.model))
        connection = Connection("http://workspace", "t", "TOKEN", client)
        monkeypatch.setattr(line, "connect", lambda *_: connection)
        monkeypatch.setattr(applying, "MOST", 1.0)  # one call after the other: the same order each time
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.chdir(self.root)

    def release(self, build: int, jobs: Mapping[str, int]) -> None:
        """A release of these jobs, each with its timeout, as if it had been built; the folder says the same."""
        text = "resources:\n  jobs:" + "".join(
            JOB.format(key=key, timeout=timeout, runtime=KEY) for key, timeout in jobs.items()
        )
        (self.root / "jobs" / "jobs.yml").write_text(text)
        at = "2026-01-01T00:00:00Z"
        made = Release("shop", Version(1, 0, build), "c" * 40, "main", "s", "a", at, "4.3.0", "2.13", KEY, {}, ())
        store_release(self.store, made, {}, Files(self.toml, {"jobs/jobs.yml": text}))

    def headway(self, *arguments: str, also: str = "out") -> str:
        """The command, its status and what it printed (`also`: `err` for standard error too)."""
        self._patch.setattr(sys, "argv", ["headway", *arguments])
        status: Any = 0
        try:
            main()
        except SystemExit as error:
            status = error.code or 0
        captured = self._capsys.readouterr()
        told = captured.out + (captured.err if also == "err" else "")
        return f"$ headway {' '.join(arguments)}\n{told}[{status}]\n\n"

    def deploy(self, build: int) -> None:
        """Deploy a release, which goes well."""
        told = self.headway("deploy", "stage", "--version", f"1.0.{build}", also="err")
        assert told.endswith("[0]\n\n"), told


def plain(text: str, folder: Path) -> str:
    """Without what differs from run to run."""
    text = text.replace(str(folder), "/FOLDER")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z", text)
    text = re.sub(r"[\w.-]+@[\w.-]+:\d+", "somebody@somewhere:1", text)
    text = re.sub(r"\d+\.\d s\b", "0.0 s", text)
    text = re.sub(r"(?<=\S) {2,}", "  ", text)  # columns are as wide as what stands in them
    return "\n".join(entry.rstrip() for entry in text.splitlines()) + "\n"


Check = Callable[[str, str], None]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    """It."""
    return Shop(tmp_path, monkeypatch, capsys)


@pytest.fixture
def golden(tmp_path: Path) -> Check:
    """Compare with a golden file, or write it."""

    def check(name: str, told: str) -> None:
        path, found = GOLDEN / f"{name}.txt", plain(told, tmp_path)
        if os.environ.get("HEADWAY_WRITE_GOLDEN"):
            path.write_text(found)
        assert found == path.read_text()

    return check


def test_plan_of_one_job(shop: Shop, golden: Check) -> None:
    shop.release(1, {"orders": 60})
    told = shop.headway("plan", "stage", "--version", "1.0.1")
    shop.deploy(1)
    told += shop.headway("plan", "stage", "--version", "1.0.1")
    shop.release(2, {"orders": 90})
    shop.model.jobs[1]["max_concurrent_runs"] = 5
    told += shop.headway("plan", "stage", "--version", "1.0.2", "--save", "p.json")
    told += shop.headway("plan", "stage", "--version", "1.0.2", "--output", "markdown")
    shop.model.jobs[1]["max_concurrent_runs"] = 6
    told += shop.headway("deploy", "stage", "--plan", "p.json", also="err")
    golden("plan-1", told)


def test_plan_of_a_thousand_jobs(shop: Shop, golden: Check) -> None:
    fleet = {f"job-{number:04}": 60 for number in range(1000)}
    shop.release(1, fleet)
    told = shop.headway("plan", "stage", "--version", "1.0.1")
    for number, key in enumerate(fleet, 1):  # what deploying it leaves
        tags = {"headway_app": "shop", "headway_environment": "stage", "headway_job": key}
        cluster = {"spark_version": KEY, "node_type_id": "local.small"}
        task = {"main_class_name": "Main", "parameters": ["1.0.1"]}
        shop.model.jobs[number] = {
            "name": f"stage-{key}",
            "timeout_seconds": 60,
            "tags": tags,
            "tasks": [{"task_key": "main", "job_cluster_key": "main", "spark_jar_task": task}],
            "job_clusters": [{"job_cluster_key": "main", "new_cluster": cluster}],
        }
    shop.release(2, {**dict.fromkeys(list(fleet)[:-3], 60), "job-0007": 90, "new": 1})
    told += shop.headway("plan", "stage", "--version", "1.0.2")
    markdown = shop.headway("plan", "stage", "--version", "1.0.2", "--output", "markdown")
    assert len(markdown) < 65_536, "no pull request takes a longer comment"
    head, details = markdown.split("</summary>")
    told += head + "</summary>\n" + "\n".join(details.splitlines()[-6:]) + "\n"
    golden("plan-1000", told)


def test_resume(shop: Shop, golden: Check) -> None:
    shop.release(1, {"a": 1, "b": 1, "old": 1})
    shop.deploy(1)
    shop.release(2, {"a": 2, "b": 2, "new": 2})

    def killed(at: int) -> str:
        begun = shop.model.writes

        def die(number: int) -> None:
            if number >= begun + at:
                raise Killed

        shop.model.before_write = die
        with pytest.raises(Killed):
            shop.headway("deploy", "stage", "--version", "1.0.2")
        shop.model.before_write = lambda _: None
        return f"(killed at call {at})\n\n"

    told = shop.headway("resume", "stage")
    told += killed(3) + shop.headway("history", "stage") + shop.headway("resume", "stage", "--back", also="err")
    told += killed(2) + shop.headway("resume", "stage", also="err")
    told += shop.headway("history", "stage")
    golden("resume", told)


def test_a_rollback_that_fails_says_what_stands_where_and_how_to_finish(shop: Shop, golden: Check) -> None:
    shop.release(1, {"a": 1, "b": 1, "c": 1})
    shop.deploy(1)
    shop.release(2, {"a": 2, "b": 2, "c": 2, "new": 2})
    act, begun = shop.model.do, shop.model.writes

    def refuse(method: str, path: str, **named: Any) -> Any:
        """From the third write on the workspace lets nobody create a job, nor change `b`."""
        late = method != "GET" and shop.model.writes >= begun + 2
        if late and ("create" in path or (named["data"].body.get("job_id") == 2 and "reset" in path)):
            raise BadRequest("quota exceeded")
        return act(method, path, **named)

    shop.model.do = refuse  # type: ignore[method-assign, assignment]
    told = shop.headway("deploy", "stage", "--version", "1.0.2", also="err")
    assert shop.model.fleet() == {"a": 1, "b": 2, "c": 1}
    told += shop.headway("history", "stage") + shop.headway("resume", "stage", also="err")
    shop.model.do = act  # type: ignore[method-assign]
    told += shop.headway("resume", "stage", also="err")
    assert shop.model.fleet() == {"a": 1, "b": 1, "c": 1}
    golden("rollback-failed", told)


def test_lock(shop: Shop, golden: Check) -> None:
    shop.release(1, {"a": 1})
    told = shop.headway("lock", "show", "stage")
    clock = SystemClock()
    with Ledger(shop.store, "shop", "stage").locked(clock) as hold:
        told += shop.headway("lock", "show", "stage")
        told += shop.headway("deploy", "stage", "--version", "1.0.1", also="err")
        told += shop.headway("lock", "break", "stage", "--yes")
        assert hold.renew() is False
        with pytest.raises(HeadwayError, match="somebody took it over"):
            hold.check()
    told += shop.headway("lock", "break", "stage", "--yes")
    golden("lock", told)


def test_history_and_rollback(shop: Shop, golden: Check) -> None:
    told = shop.headway("history", "stage", also="err")
    shop.release(1, {"a": 1, "old": 1})
    told += shop.headway("rollback", "stage", also="err")
    shop.deploy(1)
    told += shop.headway("rollback", "stage", also="err")
    shop.release(2, {"a": 2, "new": 2})
    shop.deploy(2)
    shop.model.jobs[1]["timeout_seconds"] = 99
    told += shop.headway("rollback", "stage", also="err")
    told += shop.headway("rollback", "stage", "--to", "1.0.7", also="err")
    told += shop.headway("history", "stage")
    golden("history-rollback", told)


def test_adopt(shop: Shop, golden: Check) -> None:
    library = {"libraries": [{"jar": "dbfs:/jars/jar-0.9.jar"}]}
    task = {
        "task_key": "t",
        "spark_jar_task": {"main_class_name": "M", "parameters": ["s3://stage-data/in"]},
        **library,
    }
    shop.model.jobs = {
        1: {"name": "stage-ETL: orders", "tasks": [task], "tags": {"team": "data"}},
        2: {"name": "stage-ETL: all", "tasks": [{"task_key": "t", "run_job_task": {"job_id": 1}}]},
        3: {"name": "nightly", "tasks": [task]},
        4: {"name": "stage-locked", "tasks": [task], "deployment": {"kind": "BUNDLE"}},
        5: {"name": "stage-leaky", "tasks": [task], "parameters": [{"name": "x", "default": "[REDACTED]"}]},
    }
    shop.model.last = 5
    told = shop.headway("adopt", "stage", "--write", also="err")
    told += shop.headway("adopt", "stage", "--all")
    told += shop.headway("adopt", "stage", "--all", "--write", also="err")
    told += shop.headway("adopt", "stage", "--name", "stage-ETL*", "--write")
    told += "".join(f"{path.name}:\n{path.read_text()}\n" for path in sorted((shop.root / "jobs").glob("etl-*.yml")))
    told += shop.headway("adopt", "stage", "--tag", "team=data", "--output", "json")
    told += shop.headway("adopt", "stage", "--job", "77", also="err")
    told += shop.headway("history", "stage")
    golden("adopt", told)
