"""Versions and releases in the store: taken once, written once, never changed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from headway.adapters.objectstore import ObjectNotFound, ObjectStore, PreconditionFailed
from headway.core.application import Application
from headway.core.configuration import Files
from headway.core.errors import HeadwayError
from headway.core.release import Artifact, Release, Version
from headway.delivery.building import BuiltFile

RECORD = "release.json"
CONFIGURATION = "configuration.json"
COLLECTED = "collected.json"  # its files were removed by `headway gc`
_TRIES = 200


def release_folder(app: str, version: object) -> str:
    """Where a release lies in the store."""
    return f"{app}/releases/{version}"


def take_version(store: ObjectStore, app: Application) -> Version:
    """The next version: no other caller, on whatever machine, ever gets the same. A number may stay unused."""
    key = f"{app.name}/builds.json"
    for _ in range(_TRIES):
        try:
            try:
                data, tag = store.get(key)
                number = int(json.loads(data)["last"]) + 1
                store.put(key, json.dumps({"last": number}).encode(), if_tag=tag)
            except ObjectNotFound:
                number = 1
                store.put(key, json.dumps({"last": number}).encode(), if_absent=True)
            return Version(*app.version, number)
        except PreconditionFailed:
            continue
    raise HeadwayError("STORE_CONFLICT", key=key, url=store.url)


def record_bytes(release: Release) -> bytes:
    """The very content of `release.json`."""
    return json.dumps(release.to_json(), indent=2).encode()


def configuration_bytes(configuration: Files) -> bytes:
    """The very content of `configuration.json`."""
    return json.dumps({"toml": configuration.toml, "jobs": dict(configuration.jobs)}, indent=2).encode()


def claim_version(store: ObjectStore, app: Application, commit: str) -> Version:
    """The version of a commit: taken once, the same for whoever asks again, on whatever machine. So two builds of one
    commit never take two versions."""
    key = f"{app.name}/commits/{commit}.json"
    try:
        data, _ = store.get(key)
    except ObjectNotFound:
        version = take_version(store, app)
        try:
            store.put(key, json.dumps({"version": str(version)}).encode(), if_absent=True)
            return version
        except PreconditionFailed:  # somebody else was quicker; our number stays unused
            data, _ = store.get(key)
    return Version.parse(json.loads(data)["version"])


def find_release(store: ObjectStore, app: str, version: Version) -> Release | None:
    """The release of a version; None where it was taken and never stored."""
    try:
        return load_release(store, app, str(version))
    except HeadwayError as error:
        if error.code != "RELEASE_NOT_FOUND":
            raise
        return None


def clear_unfinished(store: ObjectStore, app: str, version: Version) -> None:
    """Remove what a killed builder stored of a version that never became a release: nothing can refer to it."""
    if find_release(store, app, version) is None:
        for entry in store.list(f"{release_folder(app, version)}/"):
            store.delete(entry.key)


def store_release(
    store: ObjectStore,
    release: Release,
    built: Mapping[str, BuiltFile],
    configuration: Files,
    documents: Mapping[str, bytes] | None = None,
) -> None:
    """Write the artifacts, the configuration, `documents` (by file name), then `release.json`, then move
    `lastBuild.txt` forward.

    Raise HeadwayError VERSION_EXISTS; nothing that exists is overwritten.
    """
    folder = release_folder(release.app, release.version)
    try:
        for name, artifact in release.artifacts.items():
            store.put_file(artifact.key, built[name].path, if_absent=True)
        store.put(f"{folder}/{CONFIGURATION}", configuration_bytes(configuration), if_absent=True)
        for file, content in (documents or {}).items():
            store.put(f"{folder}/{file}", content, if_absent=True)
        store.put(f"{folder}/{RECORD}", record_bytes(release), if_absent=True)
    except PreconditionFailed:
        raise HeadwayError("VERSION_EXISTS", version=release.version, app=release.app) from None
    _move_last_build(store, release)


def _move_last_build(store: ObjectStore, release: Release) -> None:
    key = f"{release.app}/lastBuild.txt"
    for _ in range(_TRIES):
        try:
            try:
                data, tag = store.get(key)
                if Version.parse(data.decode().strip()) >= release.version:
                    return
                store.put(key, f"{release.version}\n".encode(), if_tag=tag)
            except ObjectNotFound:
                store.put(key, f"{release.version}\n".encode(), if_absent=True)
            return
        except PreconditionFailed:
            continue
    raise HeadwayError("STORE_CONFLICT", key=key, url=store.url)


def artifact_of(built: BuiltFile, app: str, version: Version) -> Artifact:
    """The record of a built file."""
    key = f"{release_folder(app, version)}/{built.path.name}"
    return Artifact(built.name, built.kind, built.path.name, key, built.sha256, built.size)


def last_build(store: ObjectStore, app: str) -> Version | None:
    """The newest released version; None before the first."""
    try:
        data, _ = store.get(f"{app}/lastBuild.txt")
    except ObjectNotFound:
        return None
    return Version.parse(data.decode().strip())


def load_release(store: ObjectStore, app: str, version: str) -> Release:
    """Raise HeadwayError RELEASE_NOT_FOUND."""
    try:
        data, _ = store.get(f"{release_folder(app, Version.parse(version))}/{RECORD}")
    except (ObjectNotFound, ValueError):
        raise HeadwayError("RELEASE_NOT_FOUND", app=app, version=version) from None
    return Release.from_json(json.loads(data))


def require_kept(store: ObjectStore, release: Release) -> None:
    """Raise HeadwayError RELEASE_COLLECTED where the release's files were removed."""
    try:
        note = json.loads(store.get(f"{release_folder(release.app, release.version)}/{COLLECTED}")[0])
    except ObjectNotFound:
        return
    raise HeadwayError("RELEASE_COLLECTED", app=release.app, version=release.version, at=note["at"], by=note["by"])


def load_configuration(store: ObjectStore, release: Release) -> Files:
    """The configuration as it was in the release's commit."""
    key = f"{release_folder(release.app, release.version)}/{CONFIGURATION}"
    try:
        data, _ = store.get(key)
    except ObjectNotFound:
        raise HeadwayError("STORE_NOT_FOUND", url=store.url, key=key) from None
    texts = json.loads(data)
    return Files(texts["toml"], texts["jobs"])


def list_releases(store: ObjectStore, app: str) -> list[Release]:
    """Every release, the newest first."""
    found = []
    for entry in store.list(f"{app}/releases/"):
        if entry.key.endswith(f"/{RECORD}"):
            data, _ = store.get(entry.key)
            found.append(Release.from_json(json.loads(data)))
    return sorted(found, key=lambda release: release.version, reverse=True)


def download_artifact(store: ObjectStore, artifact: Artifact, folder: Path) -> Path:
    """The artifact's file in `folder`. Raise HeadwayError DIGEST_MISMATCH where the store holds other bytes."""
    path = folder / artifact.file_name
    try:
        store.download(artifact.key, path)
    except ObjectNotFound:
        raise HeadwayError("STORE_NOT_FOUND", url=store.url, key=artifact.key) from None
    with path.open("rb") as source:
        actual = hashlib.file_digest(source, "sha256").hexdigest()
    if actual != artifact.sha256:
        path.unlink()
        raise HeadwayError("DIGEST_MISMATCH", what=artifact.file_name, actual=actual, expected=artifact.sha256)
    return path
