"""The workspace's own keys, kept in its data folder and readable by its owner only."""

import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headway.core.errors import HeadwayError

KEY_BYTES = 32
_NONCE_BYTES = 12


def key(folder: Path, name: str) -> bytes:
    """The key of that name, made at its first use. Raise HeadwayError WORKSPACE_KEY where its file is no key."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    if not path.exists():
        draft = folder / f"{name}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(secrets.token_bytes(KEY_BYTES))
            target.flush()
            os.fsync(target.fileno())
        try:
            os.link(draft, path)  # whoever was first keeps its key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    found = path.read_bytes()
    if len(found) != KEY_BYTES:
        raise HeadwayError("WORKSPACE_KEY", path=path)
    return found


class Vault:
    """Encrypts what is kept in the database: AES-256-GCM with a random nonce, bound to what the value belongs to."""

    def __init__(self, secret: bytes) -> None:
        self._cipher, self._secret = AESGCM(secret), secret

    def seal(self, value: bytes, owner: str) -> bytes:
        """`value` encrypted. It is opened only with the same `owner`, so that no row can take another's place."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, owner.encode())

    def blind(self, value: bytes) -> bytes:
        """What stands for `value` where equal ones must be found, and tells nothing of it without the key."""
        return hmac.digest(self._secret, value, "sha256")

    def open(self, sealed: bytes, owner: str) -> bytes:
        """The value. Raise HeadwayError WORKSPACE_SEAL where it was changed, moved, or sealed with another key."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        except InvalidTag:
            raise HeadwayError("WORKSPACE_SEAL", owner=owner) from None
