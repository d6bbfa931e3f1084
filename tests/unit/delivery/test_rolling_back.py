"""A rollback goes back to nothing that does not verify, unless somebody answers for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headway.adapters.filestore import FileStore
from headway.core.application import SigningSettings
from headway.core.errors import HeadwayError
from headway.delivery.deploying import Target, change
from headway.delivery.rolling_back import rollback
from support.delivery_model import Model, target
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


@pytest.mark.parametrize("file", ["lib-1.0.1.jar", "configuration.json", "release.json"])
def test_a_release_that_was_changed_is_refused_before_anything_is_touched(
    stage: Target, model: Model, file: str
) -> None:
    key = f"app/releases/1.0.1/{file}"
    stage.store.put(key, stage.store.get(key)[0] + b" ")
    state, writes = stage.ledger.state(), model.writes
    with pytest.raises(HeadwayError) as caught:
        rollback(stage)
    assert (caught.value.code, caught.value.exit_status) == ("RELEASE_NOT_GENUINE", 3)
    assert file in caught.value.message
    assert (stage.ledger.state(), model.writes, standing(model)) == (state, writes, [2])
    assert rollback(stage, unverified=True).version == "1.0.1"


def test_a_release_signed_by_somebody_else_is_refused(stage: Target, model: Model) -> None:
    pinned = replace(stage.app, signing=SigningSettings(public_keys=("ab" * 32,)))
    with pytest.raises(HeadwayError, match="is not the release that was made"):
        rollback(replace(stage, app=pinned))
    assert standing(model) == [2]
