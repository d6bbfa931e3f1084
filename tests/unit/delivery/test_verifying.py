"""What was signed verifies, offline; whatever was changed afterwards does not, and is named."""

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.adapters.clock import SystemClock
from headway.adapters.filestore import FileStore
from headway.adapters.signing import keys_in_store, public_key, signing_key
from headway.core.application import SigningSettings
from headway.core.attestation import FILE_NAME, Origin, Verification
from headway.core.configuration import Files
from headway.core.errors import HeadwayError
from headway.core.release import Release, Version
from headway.delivery.attesting import key_for, origin_of, sign_release
from headway.delivery.building import BuiltFile
from headway.delivery.releasing import artifact_of, record_bytes, store_release
from headway.delivery.sbom import sbom_document
from headway.delivery.toolchain import installed_toolchain
from headway.delivery.verifying import require_genuine, verify_folder, verify_release

TEXTS = Files("toml", {"jobs/a.yml": "yaml"})
AT = "2026-01-01T00:00:00Z"
ORIGIN = Origin("https://example.org/app.git", "somebody", {"headway": "0.1.0"}, AT, AT)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of each test's own."""
    monkeypatch.delenv("HEADWAY_SIGNING_KEY", raising=False)
    monkeypatch.setenv("HEADWAY_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def make(folder: Path, store: FileStore, build: int = 1, *, signed: bool = True, content: bytes = b"bytes") -> Release:
    """A release with one JAR."""
    version = Version(1, 0, build)
    path = folder / f"lib-{version}.jar"
    path.write_bytes(content)
    built = BuiltFile("lib", "jar", path, hashlib.sha256(content).hexdigest(), len(content))
    artifacts = {"lib": artifact_of(built, "app", version)}
    release = Release(
        "app", version, "c" * 40, "main", "s", "a", AT, "4.3.0", "2.13", "k", artifacts, (), signed=signed
    )
    documents = {}
    if signed:
        key = key_for(store, SigningSettings())
        documents = dict(sign_release(store, key, release, TEXTS, sbom_document(release, {}), ORIGIN))
    store_release(store, release, {"lib": built}, TEXTS, documents)
    return release


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A store with one signed release, 1.0.1."""
    found = FileStore(tmp_path / "store")
    make(tmp_path, found)
    return found


def verify(store: FileStore, version: str = "1.0.1", **settings: object) -> Verification:
    """With the keys of this machine, or those of `settings`."""
    return verify_release(store, "app", version, SigningSettings(**settings))  # type: ignore[arg-type]


def failures(found: Verification) -> set[str]:
    """The checks that failed."""
    return {check.name for check in found.checks if check.outcome == "failed"}


def test_what_was_made_verifies(store: FileStore) -> None:
    found = verify(store, required=True)
    assert found.good, found.problems
    assert {check.name for check in found.checks} == {
        "signature",
        "statement",
        "release.json",
        "configuration.json",
        "sbom.cdx.json",
        "bill of materials",
        "lib-1.0.1.jar",
    }
    assert found.signer == keys_in_store(store)[0].keyid
    assert found.statement is not None
    source = found.statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert source == {"uri": "git+https://example.org/app.git", "digest": {"gitCommit": "c" * 40}}


def edited(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change a file of the release."""

    def act(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return act


TAMPERING = {
    "other bytes of the artifact": (edited("lib-1.0.1.jar", lambda _: b"evil"), {"lib-1.0.1.jar"}),
    "no artifact": (lambda folder: (folder / "lib-1.0.1.jar").unlink(), {"lib-1.0.1.jar"}),
    "another configuration": (edited("configuration.json", lambda old: old + b" "), {"configuration.json"}),
    "another record": (edited("release.json", lambda old: old.replace(b'"main"', b'"evil"')), {"release.json"}),
    "no bill of materials": (
        lambda folder: (folder / "sbom.cdx.json").unlink(),
        {"sbom.cdx.json", "bill of materials"},
    ),
    "another bill of materials": (
        edited("sbom.cdx.json", lambda old: old.replace(b"SHA-256", b"SHA-512")),
        {"sbom.cdx.json", "bill of materials"},
    ),
    "no statement": (lambda folder: (folder / FILE_NAME).unlink(), {"signature"}),
    "a broken envelope": (edited(FILE_NAME, lambda _: b"{}"), {"signature"}),
    "not even JSON": (edited(FILE_NAME, lambda _: b"\xff"), {"signature"}),
    "another payload": (
        edited(FILE_NAME, lambda old: json.dumps({**json.loads(old), "payload": "e30="}).encode()),
        {"signature"},
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_whatever_was_changed_is_named_and_refused(store: FileStore, tmp_path: Path, what: str) -> None:
    release = json.loads((tmp_path / "store/app/releases/1.0.1/release.json").read_text())
    tamper, expected = TAMPERING[what]
    tamper(tmp_path / "store/app/releases/1.0.1")
    assert failures(verify(store)) == expected
    with pytest.raises(HeadwayError) as caught:
        require_genuine(store, Release.from_json(release), SigningSettings())
    assert (caught.value.code, caught.value.exit_status) == ("RELEASE_NOT_GENUINE", 3)
    assert all(name in caught.value.message for name in expected)


def test_the_statement_of_another_release_proves_nothing(store: FileStore, tmp_path: Path) -> None:
    make(tmp_path, store, 2, content=b"other")
    folder = tmp_path / "store/app/releases"
    (folder / "1.0.2" / FILE_NAME).write_bytes((folder / "1.0.1" / FILE_NAME).read_bytes())
    found = verify(store, "1.0.2")
    assert failures(found) == {"statement"}
    assert "it is about app 1.0.1" in found.problems


def test_a_whole_release_that_was_replaced_is_refused(store: FileStore, tmp_path: Path) -> None:
    """Somebody who can write the store makes everything anew with a key of his own, and lays it into the store."""
    good = verify(store).signer
    thief = FileStore(tmp_path / "thief")
    (tmp_path / "his").mkdir()
    key = signing_key(thief.url, {}, tmp_path / "his")
    version = Version(1, 0, 1)
    built = BuiltFile("lib", "jar", tmp_path / "lib-1.0.1.jar", hashlib.sha256(b"evil").hexdigest(), 4)
    artifacts = {"lib": artifact_of(built, "app", version)}
    release = Release("app", version, "d" * 40, "main", "s", "a", AT, "4.3.0", "2.13", "k", artifacts, (), signed=True)
    for name, content in sign_release(store, key, release, TEXTS, sbom_document(release, {}), ORIGIN).items():
        store.put(f"app/releases/1.0.1/{name}", content)
    store.put("app/releases/1.0.1/release.json", record_bytes(release))
    store.put("app/releases/1.0.1/lib-1.0.1.jar", b"evil")
    # This very process made that signature; a machine that knew the store before has not met the key.
    known = tmp_path / "config" / "known-keys.json"
    known.write_text(json.dumps({store.url: [good]}))
    assert "signature" in failures(verify(store))
    assert "signature" in failures(verify(store, public_keys=(good,)))
    assert verify(store, public_keys=(key.public.keyid,)).good


def test_the_first_use_of_a_store_trusts_what_lies_there_and_the_next_key_must_be_trusted(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_CONFIG", str(tmp_path / "another-machine"))
    assert verify(store).good
    monkeypatch.setenv("HEADWAY_CONFIG", str(tmp_path / "a-third-machine"))
    make(tmp_path, store, 2)
    assert verify(store, "1.0.1").good
    monkeypatch.setenv("HEADWAY_CONFIG", str(tmp_path / "another-machine"))
    assert failures(verify(store, "1.0.2")) == {"signature"}


def test_a_pinned_key_counts_by_id_and_by_text_and_only_it(store: FileStore, tmp_path: Path) -> None:
    key = keys_in_store(store)[0]
    assert verify(store, public_keys=(key.keyid,)).good
    assert verify(store, public_keys=(key.pem,)).good
    other = signing_key("file:///other", {}, tmp_path / "other")
    assert failures(verify(store, public_keys=(other.public.pem,))) == {"signature"}
    with pytest.raises(HeadwayError, match="not among the \\[signing\\] public_keys"):
        key_for(store, SigningSettings(public_keys=(other.public.keyid,)))


def test_a_key_in_the_store_that_is_not_what_its_name_says_does_not_count(store: FileStore, tmp_path: Path) -> None:
    key = keys_in_store(store)[0]
    other = signing_key("file:///other", {}, tmp_path / "other")
    store.put(f"keys/{key.keyid}.pub", other.public.pem.encode())
    assert keys_in_store(store) == []
    assert failures(verify(store)) == {"signature"}


def test_a_release_of_before_signing_is_read_unless_signatures_are_required(store: FileStore, tmp_path: Path) -> None:
    make(tmp_path, store, 2, signed=False)
    found = verify(store, "1.0.2")
    assert found.good
    assert [check.name for check in found.checks if check.outcome == "absent"] == ["signature"]
    assert failures(verify(store, "1.0.2", required=True)) == {"signature"}
    store.put("app/releases/1.0.2/lib-1.0.2.jar", b"evil")
    assert failures(verify(store, "1.0.2")) == {"lib-1.0.2.jar"}


def test_a_copied_folder_verifies_with_the_public_key_alone(store: FileStore, tmp_path: Path) -> None:
    folder = tmp_path / "store/app/releases/1.0.1"
    key = public_key((next((tmp_path / "store/keys").glob("*.pub"))).read_text())
    assert verify_folder(folder, [key]).good
    (folder / "lib-1.0.1.jar").write_bytes(b"evil")
    assert failures(verify_folder(folder, [key])) == {"lib-1.0.1.jar"}
    assert failures(verify_folder(folder, [signing_key("x", {}, tmp_path / "x").public])) >= {"signature"}


def test_the_private_key_is_made_once_for_its_owner_only(config: Path, store: FileStore) -> None:
    files = list((config / "keys").iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600]
    assert stat.S_IMODE((config / "keys").stat().st_mode) == 0o700
    assert key_for(store, SigningSettings()).public == key_for(store, SigningSettings()).public


def test_the_key_of_the_environment_is_used_as_text_or_file(
    config: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = signing_key("file:///ci", {}, tmp_path / "ci")
    file = next((tmp_path / "ci" / "keys").iterdir())
    for given in (str(file), file.read_text()):
        monkeypatch.setenv("HEADWAY_SIGNING_KEY", given)
        assert key_for(store, SigningSettings()).public == own.public
    for wrong in ("/no/such/file", "-----BEGIN NONSENSE-----"):
        monkeypatch.setenv("HEADWAY_SIGNING_KEY", wrong)
        with pytest.raises(HeadwayError) as caught:
            key_for(store, SigningSettings())
        assert caught.value.code == "SIGNING_KEY_INVALID"


def test_the_origin_has_no_credentials() -> None:
    class Remote:
        """A repository whose remote holds a password."""

        def remote(self) -> str:
            """It."""
            return "https://me:secret@example.org/app.git"

    origin = origin_of(Remote(), installed_toolchain(), AT, SystemClock())  # type: ignore[arg-type]
    assert origin.repository == "https://example.org/app.git"
