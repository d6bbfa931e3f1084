"""Neither a rollback nor a promotion takes what does not verify; a rollback does where somebody answers for it."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headway.adapters.clock import SystemClock
from headway.adapters.filestore import FileStore
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Environment, SigningSettings
from headway.core.attestation import FILE_NAME as STATEMENT
from headway.core.errors import HeadwayError
from headway.core.events import ignore
from headway.core.ledger import Verdict
from headway.core.release import Release
from headway.delivery import line as lines
from headway.delivery.deploying import Target, change
from headway.delivery.line import Line
from headway.delivery.rolling_back import rollback
from support.delivery_model import APP, ENVIRONMENT, Model, target
from unit.delivery.test_verifying import config as config  # a user of each test's own
from unit.delivery.test_verifying import make


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def stage(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """An environment at 1.0.2 that stood at 1.0.1 before, both signed."""
    found = target(model, str(tmp_path / "store"))
    assert isinstance(found.store, FileStore)
    for build in (1, 2):
        release = make(tmp_path, found.store, build)
        with found.ledger.locked(found.clock) as hold:
            change(found, release, {"a": {"name": "a", "timeout_seconds": build, "tags": {}}}, hold)
    brought: list[Any] = []
    monkeypatch.setattr("headway.delivery.rolling_back.bring_artifacts", lambda _, release: brought.append(release))
    return found


def standing(model: Model) -> list[int]:
    return [job["timeout_seconds"] for job in model.jobs.values()]


def test_what_verifies_is_gone_back_to(stage: Target, model: Model) -> None:
    assert rollback(stage).version == "1.0.1"
    assert standing(model) == [1]


Tamper = Callable[[bytes], bytes]


def another_payload(envelope: bytes) -> bytes:
    """A statement that says something else than what was signed."""
    return json.dumps({**json.loads(envelope), "payload": "e30="}).encode()


# What somebody changes in the store, and what the refusal names.
CHANGES: Mapping[str, tuple[str, Tamper, str]] = {
    "a byte": ("lib-1.0.1.jar", lambda old: old[:-1] + bytes([old[-1] ^ 1]), "lib-1.0.1.jar"),
    "the statement": (STATEMENT, another_payload, "signature"),
    "the bill of materials": ("sbom.cdx.json", lambda old: old + b" ", "sbom.cdx.json"),
    "the record": ("release.json", lambda old: old + b" ", "release.json"),
    "the configuration": ("configuration.json", lambda old: old + b" ", "configuration.json"),
}


def tamper(store: ObjectStore, what: str) -> str:
    """Change one file of 1.0.1; what a refusal names."""
    file, edit, named = CHANGES[what]
    key = f"app/releases/1.0.1/{file}"
    store.put(key, edit(store.get(key)[0]))
    return named


def content(store: ObjectStore) -> dict[str, bytes]:
    """The whole store but locks."""
    return {entry.key: store.get(entry.key)[0] for entry in store.list("") if not entry.key.endswith("lock.json")}


@pytest.mark.parametrize("to", [None, "1.0.1"])
@pytest.mark.parametrize("what", CHANGES)
def test_a_release_that_was_changed_is_not_gone_back_to_and_nothing_is_touched(
    stage: Target, model: Model, what: str, to: str | None
) -> None:
    named = tamper(stage.store, what)
    before, writes = content(stage.store), model.writes
    with pytest.raises(HeadwayError) as caught:
        rollback(stage, to)
    assert (caught.value.code, caught.value.exit_status) == ("RELEASE_NOT_GENUINE", 3)
    assert named in caught.value.message
    assert (content(stage.store), model.writes, standing(model)) == (before, writes, [2])
    if what == "the record":
        return
    assert rollback(stage, to, unverified=True).version == "1.0.1"


def test_a_release_signed_by_somebody_else_is_refused(stage: Target, model: Model) -> None:
    pinned = replace(stage.app, signing=SigningSettings(public_keys=("ab" * 32,)))
    with pytest.raises(HeadwayError, match="is not the release that was made"):
        rollback(replace(stage, app=pinned))
    assert standing(model) == [2]


# promotion

PRODUCTION = Environment("production", "http://production", "TOKEN", "", after="stage")


@pytest.fixture
def passed(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Line, Release]:
    """A line whose stage has a signed release that passed there, and whose production has nothing."""
    to = target(model, str(tmp_path / "store"))
    assert isinstance(to.store, FileStore)
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    made = make(tmp_path, to.store, 1, content=jar.getvalue())
    with to.ledger.locked(to.clock) as hold:
        change(to, made, {"a": {"name": "a", "timeout_seconds": 1, "tags": {}}}, hold)
    digests = {artifact.name: artifact.sha256 for artifact in made.artifacts.values()}
    to.ledger.write(to.ledger.state().next(verdict=Verdict("1.0.1", True, "2026-01-01T00:00:00Z", digests, ())))
    app = replace(APP, environments={"stage": ENVIRONMENT, "production": PRODUCTION})
    monkeypatch.setattr(lines, "connect", lambda *_: to.connection)
    monkeypatch.setattr("headway.delivery.deploying.bring_artifacts", lambda *_: None)
    return Line(app, to.store, {}, SystemClock(), ignore), made


def test_what_passed_and_verifies_is_promoted(passed: tuple[Line, Release]) -> None:
    line, made = passed
    lines.promote(line, made, "production")
    assert line.target("production").ledger.state().version == "1.0.1"


@pytest.mark.parametrize("what", [*CHANGES, "the key"])
def test_what_passed_and_was_changed_since_is_not_promoted_and_nothing_is_touched(
    passed: tuple[Line, Release], model: Model, what: str
) -> None:
    line, made = passed
    if what == "the key":
        named = "signature"
        line = replace(line, app=replace(line.app, signing=SigningSettings(public_keys=("ab" * 32,))))
    else:
        named = tamper(line.store, what)
    before, writes = content(line.store), model.writes
    with pytest.raises(HeadwayError) as caught:
        lines.promote(line, made, "production")
    assert (caught.value.code, caught.value.exit_status) == ("RELEASE_NOT_GENUINE", 3)
    assert named in caught.value.message
    assert (content(line.store), model.writes) == (before, writes)
    assert line.target("production").ledger.state().version is None
