"""Releases in the store: written once, found again, never overwritten."""

import hashlib
from pathlib import Path

import pytest

from headway.adapters.filestore import FileStore
from headway.core.configuration import Files
from headway.core.errors import HeadwayError
from headway.core.release import Release, Version
from headway.delivery.building import BuiltFile
from headway.delivery.releasing import (
    artifact_of,
    clear_unfinished,
    download_artifact,
    last_build,
    list_releases,
    load_configuration,
    load_release,
    store_release,
)

TEXTS = Files("toml", {"jobs/a.yml": "yaml"})


def make(store: FileStore, folder: Path, build: int, content: bytes = b"bytes") -> Release:
    """Store a release with one file."""
    version = Version(1, 0, build)
    path = folder / f"lib-{version}.jar"
    path.write_bytes(content)
    built = BuiltFile("lib", "jar", path, hashlib.sha256(content).hexdigest(), len(content))
    artifacts = {"lib": artifact_of(built, "app", version)}
    at = "2026-01-01T00:00:00Z"
    release = Release("app", version, "c", "main", "s", "a", at, "4.3.0", "2.13", "k", artifacts, ())
    store_release(store, release, {"lib": built}, TEXTS)
    return release


def test_a_release_is_found_again_whole(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    made = make(store, tmp_path, 3)
    assert load_release(store, "app", "1.0.3") == made
    assert load_configuration(store, made) == TEXTS
    (tmp_path / "out").mkdir()
    assert download_artifact(store, made.artifacts["lib"], tmp_path / "out").read_bytes() == b"bytes"
    assert store.get("app/lastBuild.txt")[0] == b"1.0.3\n"


def test_a_version_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    make(store, tmp_path, 1)
    with pytest.raises(HeadwayError) as caught:
        make(store, tmp_path, 1, b"other bytes")
    assert caught.value.code == "VERSION_EXISTS"
    assert store.get("app/releases/1.0.1/lib-1.0.1.jar")[0] == b"bytes"


def test_the_last_build_only_moves_forward(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    assert last_build(store, "app") is None
    for build in (2, 10, 9):
        make(store, tmp_path, build)
    assert str(last_build(store, "app")) == "1.0.10"
    assert [release.version.build for release in list_releases(store, "app")] == [10, 9, 2]


def test_bytes_that_changed_in_the_store_are_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    made = make(store, tmp_path, 1)
    store.put(made.artifacts["lib"].key, b"tampered")
    with pytest.raises(HeadwayError) as caught:
        download_artifact(store, made.artifacts["lib"], tmp_path / "store")
    assert caught.value.code == "DIGEST_MISMATCH"


def test_a_release_that_is_not_there_is_named(tmp_path: Path) -> None:
    for version in ("1.0.1", "latest", "../x"):
        with pytest.raises(HeadwayError, match="app has no release"):
            load_release(FileStore(tmp_path), "app", version)


def test_what_a_killed_builder_left_of_a_version_makes_room_and_a_release_does_not(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    store.put("app/releases/1.0.1/lib-1.0.1.jar", b"half")
    clear_unfinished(store, "app", Version(1, 0, 1))
    release = make(store, tmp_path, 1)
    clear_unfinished(store, "app", Version(1, 0, 1))
    assert load_release(store, "app", "1.0.1") == release
    assert store.head("app/releases/1.0.1/lib-1.0.1.jar") is not None
