"""Ed25519 keys and signed envelopes (DSSE), and which keys this machine trusts.

Private keys: `HEADWAY_SIGNING_KEY` (a PEM text or the path of one), else one that is made on first use for each store,
in the user's configuration folder, readable by its owner only. Public keys lie in the store as `keys/<keyid>.pub`. A
key's id is a digest of the key, so that naming the id pins the key, wherever its bytes come from.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey  # type: ignore[attr-defined]

from headway.adapters.objectstore import ObjectNotFound, ObjectStore, PreconditionFailed
from headway.core.errors import HeadwayError

VARIABLE = "HEADWAY_SIGNING_KEY"
KEYS = "keys"


@dataclass(frozen=True)
class PublicKey:
    """A public key: its id (64 hexadecimal digits) and its PEM text."""

    keyid: str
    pem: str


class BadSignature(Exception):
    """An envelope that cannot be read, or that no accepted key signed. The message says which."""


class SigningKey:
    """A private key that signs."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._signer = CryptoSigner(private)
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.public = PublicKey(str(self._signer.public_key.keyid), pem)

    def sign(self, payload: bytes, payload_type: str) -> dict[str, Any]:
        """A DSSE envelope. Source: Dead Simple Signing Envelope, protocol v1."""
        envelope = Envelope(payload, payload_type, {})
        envelope.sign(self._signer)
        found: dict[str, Any] = envelope.to_dict()
        return found


def open_envelope(data: bytes, keys: Iterable[PublicKey]) -> tuple[bytes, str, str]:
    """The payload of an envelope that one of `keys` signed, its type, and that key's id. Raise BadSignature."""
    try:
        envelope = Envelope.from_dict(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSignature(f"it is not a signed envelope ({type(error).__name__})") from error
    except Exception as error:
        raise BadSignature(f"it is not a signed envelope: {error}") from error
    accepted: list[Key] = [SSlibKey.from_crypto(load_pem_public_key(key.pem.encode())) for key in keys]
    if not accepted:
        raise BadSignature("no key is trusted here")
    try:
        verified = envelope.verify(accepted, 1)
    except VerificationError:
        signers = ", ".join(keyid[:12] for keyid in envelope.signatures) or "nobody"
        known = ", ".join(key.keyid[:12] for key in accepted)
        raise BadSignature(f"it is signed by {signers}; the keys trusted here, {known}, do not verify it") from None
    return envelope.payload, str(envelope.payload_type), next(iter(verified))


def signers_of(data: bytes) -> list[str]:
    """The ids of the keys that an envelope says it is signed by, unverified."""
    try:
        return [str(entry["keyid"]) for entry in json.loads(data)["signatures"]]
    except (ValueError, KeyError, TypeError):
        return []


def public_key(pem: str) -> PublicKey:
    """Raise HeadwayError SIGNING_KEY_INVALID unless `pem` is an Ed25519 public key."""
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(pem.encode()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HeadwayError("SIGNING_KEY_INVALID", what="the public key", reason=str(error)) from error
    if key.keytype != "ed25519":
        raise HeadwayError("SIGNING_KEY_INVALID", what="the public key", reason=f"it is of type {key.keytype}")
    return PublicKey(str(key.keyid), pem)


def default_config() -> Path:
    """The folder of the user's keys: `HEADWAY_CONFIG`, else `headway` in the user's configuration folder."""
    given = os.environ.get("HEADWAY_CONFIG")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "headway"


def signing_key(store_url: str, variables: Mapping[str, str], config: Path) -> SigningKey:
    """The key that signs releases for a store, made where there is none. Raise HeadwayError SIGNING_KEY_INVALID."""
    given = variables.get(VARIABLE, "")
    if given:
        return _given(given)
    path = config / "keys" / f"{hashlib.sha256(store_url.encode()).hexdigest()[:16]}.pem"
    try:
        if not path.exists():
            _make(path)
        return SigningKey(_load(path.read_bytes(), str(path)))
    except OSError as error:
        raise HeadwayError("SIGNING_KEY_INVALID", what=path, reason=error.strerror or str(error)) from error


def _given(given: str) -> SigningKey:
    if given.lstrip().startswith("-----BEGIN"):
        return SigningKey(_load(given.encode(), VARIABLE))
    try:
        return SigningKey(_load(Path(given).read_bytes(), given))
    except OSError as error:
        reason = error.strerror or str(error)
        raise HeadwayError("SIGNING_KEY_INVALID", what=f"{VARIABLE}={given}", reason=reason) from error


def _load(pem: bytes, what: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own words may repeat what it read.
        reason = "it is not an unencrypted private key in PEM form"
        raise HeadwayError("SIGNING_KEY_INVALID", what=what, reason=reason) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise HeadwayError("SIGNING_KEY_INVALID", what=what, reason="it is not an Ed25519 key")
    return key


def _make(path: Path) -> None:
    """A new private key at `path`; where two make one at once, both use that of the first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


def publish_key(store: ObjectStore, key: PublicKey) -> None:
    """Lay a public key into the store, where it is not there yet."""
    name = f"{KEYS}/{key.keyid}.pub"
    if store.head(name) is None:
        try:
            store.put(name, key.pem.encode(), if_absent=True)
        except PreconditionFailed:
            return  # somebody else laid the same key


def key_in_store(store: ObjectStore, keyid: str) -> PublicKey | None:
    """The key of this id, from the store; None where it has none, or one that is not what its name says."""
    try:
        data, _ = store.get(f"{KEYS}/{keyid}.pub")
        key = public_key(data.decode())
    except (ObjectNotFound, HeadwayError, UnicodeDecodeError):
        return None
    return key if key.keyid == keyid else None


def keys_in_store(store: ObjectStore) -> list[PublicKey]:
    """Every public key that lies in the store."""
    names = [entry.key for entry in store.list(f"{KEYS}/") if entry.key.endswith(".pub")]
    found = (key_in_store(store, name.removeprefix(f"{KEYS}/").removesuffix(".pub")) for name in names)
    return [key for key in found if key is not None]


class KnownKeys:
    """The keys that this machine's user trusts for each store: those that lay there when it was first used, and those
    that were added since (`headway keys trust`). Only ids are kept."""

    def __init__(self, config: Path) -> None:
        self._path = config / "known-keys.json"

    def of(self, store: ObjectStore) -> list[str] | None:
        """The ids; None where the store was never used from here."""
        return self._read().get(store.url)

    def first(self, store: ObjectStore) -> list[str]:
        """The same, trusting what lies in the store where it was never used from here."""
        known = self.of(store)
        return known if known is not None else self.trust(store, [key.keyid for key in keys_in_store(store)])

    def trust(self, store: ObjectStore, keyids: Iterable[str]) -> list[str]:
        """Trust these as well; return all."""
        with self._locked():
            known = self._read()
            found = sorted({*known.get(store.url, ()), *keyids})
            if found != known.get(store.url):
                draft = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
                draft.write_text(json.dumps({**known, store.url: found}, indent=2), encoding="utf-8")
                os.replace(draft, self._path)
        return found

    def _read(self) -> dict[str, list[str]]:
        try:
            found: dict[str, list[str]] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise HeadwayError("SIGNING_KEY_INVALID", what=self._path, reason=str(error)) from error
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = self._path.with_name("known-keys.lock").open("w")
        except OSError as error:
            raise HeadwayError("SIGNING_KEY_INVALID", what=self._path, reason=error.strerror or str(error)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
