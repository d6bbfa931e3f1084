"""Who calls: personal access tokens, kept as SHA-256 of 256 random bits."""

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path

from sqlalchemy import Engine, insert, select

from headway.workspace.clock import now_ms
from headway.workspace.database import tokens
from headway.workspace.errors import ApiError

ADMIN = "admin@headway.local"
TOKEN_FILE = "admin-token"  # noqa: S105  (the name of a file)


class Tokens:
    """The tokens that this workspace takes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, str] = {}

    def create(self, user_name: str, comment: str) -> str:
        """A new token of `user_name`; this is the only time that it is seen."""
        token = "dapi" + secrets.token_hex(32)
        row = {"sha256": _digest(token), "user_name": user_name, "comment": comment, "created_ms": now_ms()}
        with self._engine.begin() as connection:
            connection.execute(insert(tokens).values(row))
        return token

    def user(self, authorization: str | None) -> str:
        """Whose token an `Authorization` header holds (bearer, or basic as `token:<PAT>`).

        Raise ApiError 401 without credentials, 403 with wrong ones, as Databricks does.
        """
        token = _token(authorization or "")
        if token is None:
            raise ApiError(
                "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.", 401
            )
        digest = _digest(token)
        if digest not in self._known:
            with self._engine.connect() as connection:
                found = connection.execute(select(tokens.c.user_name).where(tokens.c.sha256 == digest)).scalar()
            if found is None:
                raise ApiError("PERMISSION_DENIED", "Invalid access token.", 403)
            self._known[digest] = found
        return self._known[digest]


def ensure_admin_token(store: Tokens, data: Path) -> Path:
    """The file with the local user's token, made at the first start; readable by its owner only."""
    path = data / TOKEN_FILE
    if not path.exists():
        draft = data / f"{TOKEN_FILE}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as target:
            target.write(store.create(ADMIN, "made at the first start"))
        draft.replace(path)
    return path


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _token(authorization: str) -> str | None:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer" and rest:
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return password if user == "token" else None
    return None
