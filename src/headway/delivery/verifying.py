"""Verify a release against what was signed: every byte that a deploy would use."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from headway.adapters.objectstore import ObjectNotFound, ObjectStore
from headway.adapters.signing import (
    BadSignature,
    KnownKeys,
    PublicKey,
    default_config,
    key_in_store,
    open_envelope,
    public_key,
    signers_of,
)
from headway.core.application import SigningSettings
from headway.core.attestation import FILE_NAME, Check, Verification, subjects
from headway.core.errors import HeadwayError
from headway.core.release import Release
from headway.delivery.releasing import CONFIGURATION, RECORD, load_release, release_folder
from headway.delivery.sbom import FILE_NAME as SBOM
from headway.delivery.sbom import sbom_problems

Read = Callable[[str], bytes | None]
Digest = Callable[[str], str | None]


def trusted_keys(store: ObjectStore, signing: SigningSettings, envelope: bytes) -> list[PublicKey]:
    """The keys whose signature counts: those that headway.toml names, else those that this machine knows for the
    store (on its first use all that lie there: docs/releases.md)."""
    if signing.public_keys:
        found = [
            public_key(pin) if pin.startswith("-----") else key_in_store(store, pin) for pin in signing.public_keys
        ]
        return [key for key in found if key is not None]
    known = KnownKeys(default_config()).first(store)
    named = [key_in_store(store, keyid) for keyid in signers_of(envelope) if keyid in known]
    return [key for key in named if key is not None]


def verify_release(
    store: ObjectStore,
    app: str,
    version: str,
    signing: SigningSettings,
    *,
    keys: list[PublicKey] | None = None,
    artifacts: bool = True,
) -> Verification:
    """Check the signature, and with it every file of the release; without `artifacts` all but the artifacts' bytes.

    `keys` stand for those of headway.toml and of this machine. Raise HeadwayError RELEASE_NOT_FOUND.
    """
    load_release(store, app, version)
    folder = release_folder(app, version)

    def read(name: str) -> bytes | None:
        try:
            return store.get(f"{folder}/{name}")[0]
        except ObjectNotFound:
            return None

    def digest(name: str) -> str | None:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "file"
            try:
                store.download(f"{folder}/{name}", path)
            except ObjectNotFound:
                return None
            return _digest(path)

    envelope = read(FILE_NAME)
    trusted = keys if keys is not None else trusted_keys(store, signing, envelope or b"")
    return verify_files(app, version, read, digest if artifacts else None, trusted, required=signing.required)


def verify_folder(folder: Path, keys: list[PublicKey]) -> Verification:
    """The same for a copy of a release's folder, anywhere. Raise HeadwayError FOLDER_NOT_FOUND, RELEASE_NOT_FOUND."""
    if not folder.is_dir():
        raise HeadwayError("FOLDER_NOT_FOUND", path=folder)

    def read(name: str) -> bytes | None:
        path = folder / name
        return path.read_bytes() if path.is_file() else None

    def digest(name: str) -> str | None:
        path = folder / name
        return _digest(path) if path.is_file() else None

    release = _record(read(RECORD))
    if release is None:
        raise HeadwayError("RELEASE_NOT_FOUND", app=folder, version=f"({RECORD} is not there)")
    return verify_files(release.app, str(release.version), read, digest, keys, required=True)


def verify_files(
    app: str, version: str, read: Read, digest: Digest | None, keys: list[PublicKey], *, required: bool
) -> Verification:
    """Every check, whatever those before it said, as far as there is something to check."""
    record = read(RECORD) or b""
    release = _record(record)
    if release is None or (release.app, str(release.version)) != (app, version):
        return Verification(app, version, (Check(RECORD, "failed", f"it is not the record of {app} {version}"),))
    checks: list[Check] = []
    envelope = read(FILE_NAME)
    signed: Mapping[str, str] = {}
    signer, statement = "", None
    if envelope is None:
        checks.append(_unsigned(release, required))
    else:
        try:
            payload, kind, signer = open_envelope(envelope, keys)
            checks.append(Check("signature", "ok", f"by key {signer[:12]}"))
            statement, signed = subjects(payload, kind, app, version)
            checks.append(Check("statement", "ok", f"{len(signed)} files, commit {release.commit[:12]}"))
        except BadSignature as error:
            checks.append(Check("signature", "failed", str(error)))
        except ValueError as error:
            checks.append(Check("statement", "failed", str(error)))
    if signed:
        documents = {RECORD: record, CONFIGURATION: read(CONFIGURATION), SBOM: read(SBOM)}
        checks.extend(_document(name, content, signed) for name, content in documents.items())
    checks.extend(_bill(read(SBOM), release))
    checks.extend(_artifacts(release, signed, digest))
    return Verification(app, version, tuple(checks), signer, statement)


def _unsigned(release: Release, required: bool) -> Check:
    if release.signed:
        return Check("signature", "failed", "the release was signed when it was made, and its statement is gone")
    if required:
        return Check("signature", "failed", "the release is not signed, and headway.toml says [signing] required")
    return Check("signature", "absent", "made by a Headway that did not sign")


def _document(name: str, content: bytes | None, signed: Mapping[str, str]) -> Check:
    if content is None:
        return Check(name, "failed", "it is gone")
    if hashlib.sha256(content).hexdigest() != signed.get(name):
        return Check(name, "failed", "it is not what was signed")
    return Check(name, "ok")


def _bill(document: bytes | None, release: Release) -> Iterator[Check]:
    if document is None:
        if release.signed:
            yield Check("bill of materials", "failed", "it is gone")
        return
    problems = sbom_problems(document, release)
    yield Check("bill of materials", "failed" if problems else "ok", "; ".join(problems))


def _artifacts(release: Release, signed: Mapping[str, str], digest: Digest | None) -> Iterator[Check]:
    folder = release_folder(release.app, release.version)
    for artifact in release.artifacts.values():
        if artifact.key != f"{folder}/{artifact.file_name}" or "/" in artifact.file_name:
            yield Check(artifact.name, "failed", f"it lies at {artifact.key}, outside of its release")
        elif signed and signed.get(artifact.file_name) != artifact.sha256:
            yield Check(artifact.file_name, "failed", "the statement has another digest, or none")
        elif digest is not None:
            actual = digest(artifact.file_name)
            if actual is None:
                yield Check(artifact.file_name, "failed", "it is gone")
            elif actual != artifact.sha256:
                yield Check(artifact.file_name, "failed", f"its digest is {actual}, not {artifact.sha256}")
            else:
                yield Check(artifact.file_name, "ok", f"sha256 {actual[:12]}…")


def _record(content: bytes | None) -> Release | None:
    try:
        return Release.from_json(json.loads(content or b""))
    except (ValueError, KeyError, TypeError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sbom_bytes(store: ObjectStore, release: Release) -> bytes | None:
    """A release's bill of materials (CycloneDX JSON) as it was stored; None where it has none."""
    try:
        return store.get(f"{release_folder(release.app, release.version)}/{SBOM}")[0]
    except ObjectNotFound:
        return None


def load_sbom(store: ObjectStore, release: Release) -> list[str]:
    """The libraries that a release's bill of materials names, as package URLs; empty where it has none."""
    data = json.loads(sbom_bytes(store, release) or b"{}")
    return sorted(str(entry["purl"]) for entry in data.get("components", []) if entry.get("purl"))


def require_genuine(
    store: ObjectStore, release: Release, signing: SigningSettings, *, artifacts: bool = True
) -> Verification:
    """Raise HeadwayError RELEASE_NOT_GENUINE unless the release is, byte by byte, what was made."""
    found = verify_release(store, release.app, str(release.version), signing, artifacts=artifacts)
    if not found.good:
        raise HeadwayError("RELEASE_NOT_GENUINE", app=release.app, version=release.version, problems=found.problems)
    return found
