"""`headway gc` on a store and a served workspace: what is needed stays, whoever needs it; the rest goes, all of it."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk.errors import NotFound
from databricks.sdk.service.workspace import ImportFormat, Language
from typer.testing import CliRunner

from headway.adapters.clock import SystemClock
from headway.adapters.filestore import FileStore
from headway.cli.main import app as program
from headway.core.errors import HeadwayError
from headway.core.events import ignore
from headway.core.garbage import Rules
from headway.core.plan import desired
from headway.core.references import artifact_path, library_path
from headway.core.release import Artifact, Release, Version
from headway.delivery import collecting
from headway.delivery.configuration import load_application, read_files
from headway.delivery.deploying import bring_artifacts, change
from headway.delivery.line import Line
from headway.delivery.releasing import RECORD, configuration_bytes, last_build, record_bytes, release_folder
from headway.delivery.rolling_back import rollback
from support.served_workspace import KEY, Served

TOML = """
[app]
name = "{name}"
version = "1.0"
spark = "4.3.0"
[store]
url = "file://{folder}/store"
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
resources:
  jobs:
    daily:
      name: daily
      tasks:
        - task_key: t
          new_cluster: {spark_version: "%s", node_type_id: local.small}
          spark_jar_task: {main_class_name: Main}
          libraries: [{jar: "${artifact.jar.path}"}]
"""


class Yard:
    """An application with six releases; stage had 2, 3 and stands at 4."""

    def __init__(self, served: Served, folder: Path, name: str) -> None:
        self.served, self.folder, self.name = served, folder, name
        (folder / "jobs").mkdir()
        (folder / "jobs" / "j.yml").write_text(JOB % KEY)
        (folder / "headway.toml").write_text(TOML.format(name=name, folder=folder, host=served.url))
        application = load_application(folder, {})
        self.line = Line(application, FileStore(folder / "store"), {"TOKEN": served.token}, SystemClock(), ignore)
        for build in range(1, 7):
            self.make(build)
        self.line.store.put(f"{name}/lastBuild.txt", b"1.0.6\n")
        for build in (2, 3, 4):
            self.deploy(build)

    def release(self, build: int) -> Release:
        """Its record."""
        version, at = Version(1, 0, build), "2026-01-01T00:00:00Z"
        key = f"{release_folder(self.name, version)}/{self.name}-{version}.jar"
        jar = Artifact("jar", "jar", f"{self.name}-{version}.jar", key, "0" * 64, 5)
        return Release(self.name, version, "c", "main", "s", "a", at, "4.3.0", "2.13", KEY, {"jar": jar}, ())

    def path(self, build: int) -> str:
        """Where jobs read its JAR."""
        return artifact_path(self.line.app, f"1.0.{build}", self.release(build).artifacts["jar"])

    def make(self, build: int) -> None:
        """Store it, and lay its files into the workspace as a deployment does."""
        release = self.release(build)
        store, place = self.line.store, release_folder(self.name, release.version)
        store.put(release.artifacts["jar"].key, b"bytes")
        store.put(f"{place}/configuration.json", configuration_bytes(read_files(self.folder)))
        store.put(f"{place}/{RECORD}", record_bytes(release))
        content = base64.b64encode(b"bytes").decode()
        self.served.client.dbfs.put(self.path(build), contents=content)
        self.served.client.dbfs.put(f"{self.path(build)}.sha256", contents=base64.b64encode(b"0" * 64).decode())

    def deploy(self, build: int) -> None:
        """Bring it to the stage."""
        target, release = self.line.target("stage"), self.release(build)
        with target.ledger.locked(target.clock) as hold:
            change(target, release, desired(target.app, release, target.environment), hold)

    def gc(self, *arguments: str) -> str:
        """The command."""
        found = CliRunner(env={"TOKEN": self.served.token}).invoke(
            program, ["gc", "--keep", "1", "--rollbacks", "2", "--root", str(self.folder), *arguments]
        )
        if found.exception is not None:
            raise found.exception
        return found.stdout

    def standing(self) -> tuple[list[int], list[int]]:
        """The releases whose JAR the store has, and those whose JAR the workspace has."""
        stored = [n for n in range(1, 7) if self.line.store.head(self.release(n).artifacts["jar"].key)]
        there = []
        for number in range(1, 7):
            try:
                self.served.client.dbfs.get_status(self.path(number))
                there.append(number)
            except NotFound:
                pass
        return stored, there


@pytest.fixture
def yard(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Yard:
    """One of its own for each test."""
    return Yard(served, tmp_path, f"app-{abs(hash(request.node.name)) % 10**8}")


def test_what_stands_and_what_may_come_back_stays_the_rest_goes(yard: Yard) -> None:
    text = yard.gc()
    assert "= 1.0.6: the last build" in text
    assert "= 1.0.4: stands in stage; stage can be rolled back to it" in text
    assert "= 1.0.3: stage can be rolled back to it" in text
    assert f"stage: {yard.path(1)} (5 bytes)" in text
    assert "nothing was removed (30 bytes): `headway gc --apply` does that" in text
    assert yard.standing() == ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert "removed (30 bytes)" in yard.gc("--apply")
    assert yard.standing() == ([3, 4, 6], [3, 4, 6])
    with pytest.raises(NotFound):
        yard.served.client.dbfs.get_status(f"{yard.path(1)}.sha256")
    assert last_build(yard.line.store, yard.name) == Version(1, 0, 6)
    assert "nothing to remove" in yard.gc("--apply")


def test_a_release_whose_files_are_gone_is_refused_with_the_reason(yard: Yard) -> None:
    yard.gc("--apply")
    target = yard.line.target("stage")
    with pytest.raises(HeadwayError, match=r"the files of .* 1\.0\.2 were removed by `headway gc`"):
        rollback(target, "1.0.2")
    with pytest.raises(HeadwayError, match="were removed"):
        bring_artifacts(target, yard.release(5))
    assert target.ledger.state().version == "1.0.4"


@pytest.mark.parametrize("who", ["job", "run", "notebook"])
def test_what_anybody_refers_to_stays(yard: Yard, who: str) -> None:
    client, path = yard.served.client, yard.path(5)
    task = {
        "task_key": "other",
        "new_cluster": {"spark_version": KEY, "node_type_id": "local.small"},
        "spark_jar_task": {"main_class_name": "Main"},
        "libraries": [{"jar": path}],
    }
    do: Any = client.api_client.do
    if who == "job":
        name = do("POST", "/api/2.2/jobs/create", body={"name": f"of others {yard.name}", "tasks": [task]})["job_id"]
        expected = f"job of others {yard.name} of stage refers to it"
    elif who == "run":
        waits = {**task, "task_key": "waits"}
        yard.served.fleet.acts["waits"] = lambda driver, request, canceled: str(canceled.wait(20))
        name = do("POST", "/api/2.1/jobs/runs/submit", body={"run_name": "long", "tasks": [waits]})["run_id"]
        expected = f"run {name} of stage refers to it"
    else:
        name = f"/Shared/pinned-{yard.name}"
        source = f"%pip install /dbfs{path.removeprefix('dbfs:')}\n".encode()
        client.workspace.upload(name, io.BytesIO(source), format=ImportFormat.SOURCE, language=Language.PYTHON)
        expected = f"notebook {name} of stage refers to it"
    text = yard.gc("--apply")
    assert f"= 1.0.5: {expected}" in text
    assert yard.standing() == ([3, 4, 5, 6], [3, 4, 5, 6])
    if who == "run":
        client.jobs.cancel_run(name)


def test_an_interrupted_gc_leaves_nothing_that_looks_whole_and_the_next_one_ends_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(collecting, "_remove_from", killed)
    with pytest.raises(Killed):
        collecting.collect(yard.line, Rules(1, 2), apply=True)
    monkeypatch.undo()
    with pytest.raises(HeadwayError, match="were removed"):
        bring_artifacts(yard.line.target("stage"), yard.release(5))
    yard.gc("--apply")
    assert yard.standing() == ([3, 4, 6], [3, 4, 6])


def test_a_deployment_under_way_is_waited_for_by_nobody_but_respected(yard: Yard) -> None:
    target = yard.line.target("stage")
    with target.ledger.locked(target.clock), pytest.raises(HeadwayError) as caught:
        yard.gc("--apply")
    assert caught.value.code == "ENVIRONMENT_LOCKED"
    assert yard.standing() == ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])


def test_published_libraries_go_too(yard: Yard) -> None:
    jar = io.BytesIO()
    zipfile.ZipFile(jar, "w").close()
    for build in (1, 3):
        folder, _, name = library_path(yard.line.app, yard.release(build).artifacts["jar"]).rpartition("/")
        answer = requests.post(
            f"{yard.served.url}/api/1.2/libraries/upload",
            data={"folder": folder, "name": name},
            files={"uri": jar.getvalue()},
            headers={"Authorization": f"Bearer {yard.served.token}"},
            timeout=9,
        )
        assert answer.status_code == 200, answer.text
    yard.gc("--apply")
    listed: Any = yard.served.client.api_client.do("GET", "/api/1.2/libraries/list")
    left = [entry["name"] for entry in listed if yard.name in entry["folder"]]
    assert left == [f"{yard.name}-1.0.3.jar"]
