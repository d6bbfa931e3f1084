"""Who calls: personal access tokens, tokens of runs, OAuth access tokens.

Of the first two only the SHA-256 is kept (of 256 random bits). OAuth tokens are signed, short-lived, and good only
while the client secret that they were given for stands.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from sqlalchemy import Engine, Row, delete, func, insert, or_, select, update

from headway.workspace.clock import now_ms
from headway.workspace.database import tokens
from headway.workspace.errors import ApiError
from headway.workspace.principals import Principal
from headway.workspace.runtime.tasks import ApiAccess

ADMIN = "admin@headway.local"
TOKEN_FILE = "admin-token"  # noqa: S105  (the name of a file)
ACCESS_SECONDS = 3600
_MOST_KNOWN = 10_000
CONTEXT = "context-"  # what the run id of a token for an execution context begins with
_ALGORITHM = "HS256"
_ISSUER = "headway"


class Directory(Protocol):
    """Where principals are looked up (the identity service's store)."""

    def principal(self, name: str) -> Principal | None:
        """The active principal of that name (a user's name or an application id), with its groups."""

    def secret_stands(self, secret_id: int, application_id: str) -> bool:
        """Whether a service principal's OAuth secret may still be used."""


@dataclass(frozen=True)
class Token:
    """A personal access token as others may see it. Times in milliseconds since 1970; `expires_ms` None: never."""

    token_id: str
    user_name: str
    comment: str
    created_ms: int
    created_by: str
    expires_ms: int | None


@dataclass(frozen=True)
class _Known:
    principal: Principal
    until_ms: int


class Tokens:
    """The tokens that this workspace takes. `signing` signs OAuth access tokens."""

    def __init__(self, engine: Engine, directory: Directory, signing: bytes, clock: Callable[[], int] = now_ms) -> None:
        self._engine, self._directory, self._clock = engine, directory, clock
        self._signing = OctKey.import_key(signing)
        self._known: dict[str, _Known] = {}
        self._generation = 0

    # made and taken back

    def create(
        self, user_name: str, comment: str, lifetime_seconds: int | None = None, created_by: str | None = None
    ) -> str:
        """A new personal access token of `user_name`; this is the only time that it is seen."""
        return self.issue(user_name, comment, lifetime_seconds, created_by)[0]

    def issue(
        self, user_name: str, comment: str, lifetime_seconds: int | None = None, created_by: str | None = None
    ) -> tuple[str, Token]:
        """The same, with what may be told of it."""
        now = self._clock()
        expires = now + lifetime_seconds * 1000 if lifetime_seconds is not None else None
        token, row = self._add(user_name, comment, created_by or user_name, expires, None)
        return token, row

    def mint_for_run(self, user_name: str, run_id: int | str) -> str:
        """A token for what a run does in its user's name (`dbutils`, REST calls from a notebook). It is good until
        `end_run`, is in nobody's list of tokens, and goes with the run."""
        return self._add(user_name, f"run {run_id}", user_name, None, str(run_id))[0]

    def end_run(self, run_id: int | str) -> None:
        """Take back the tokens of a run."""
        self._remove(tokens.c.run_id == str(run_id))

    def end_runs_except(self, run_ids: set[str]) -> None:
        """Take back the tokens of all other runs: what a workspace that was killed left behind."""
        self._remove(tokens.c.run_id.is_not(None) & tokens.c.run_id.not_in(run_ids))

    def _add(
        self, user_name: str, comment: str, created_by: str, expires_ms: int | None, run_id: str | None
    ) -> tuple[str, Token]:
        token = "dapi" + secrets.token_hex(32)
        digest, now = _digest(token), self._clock()
        row = {
            "sha256": digest,
            "user_name": user_name,
            "comment": comment,
            "created_ms": now,
            "created_by": created_by,
            "expires_ms": expires_ms,
            "run_id": run_id,
        }
        with self._engine.begin() as connection:
            connection.execute(insert(tokens).values(row))
        return token, Token(_token_id(digest), user_name, comment, now, created_by, expires_ms)

    def list(self, user_name: str | None = None, created_by: str | None = None) -> list[Token]:
        """Personal access tokens that have not expired, the newest first: one user's, or everybody's."""
        alive = or_(tokens.c.expires_ms.is_(None), tokens.c.expires_ms > self._clock())
        query = select(tokens).where(tokens.c.run_id.is_(None), alive).order_by(tokens.c.created_ms.desc())
        if user_name is not None:
            query = query.where(tokens.c.user_name == user_name)
        if created_by is not None:
            query = query.where(tokens.c.created_by == created_by)
        with self._engine.connect() as connection:
            return [_token_of(row) for row in connection.execute(query)]

    def count(self, user_name: str) -> int:
        """How many personal access tokens a user has, expired ones too."""
        query = select(func.count()).where(tokens.c.user_name == user_name, tokens.c.run_id.is_(None))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def comment(self, token_id: str, text: str, user_name: str | None = None) -> Token | None:
        """Say something else of a personal access token; with `user_name` only of one of theirs. None: there is
        none."""
        digest = self._digest_of(token_id, user_name)
        if digest is None:
            return None
        with self._engine.begin() as connection:
            connection.execute(update(tokens).where(tokens.c.sha256 == digest).values(comment=text))
            row = connection.execute(select(tokens).where(tokens.c.sha256 == digest)).one_or_none()
        return None if row is None else _token_of(row)

    def revoke(self, token_id: str, user_name: str | None = None) -> bool:
        """Take a personal access token back, at once; with `user_name` only one of theirs. False: there is none."""
        digest = self._digest_of(token_id, user_name)
        return digest is not None and self._remove(tokens.c.sha256 == digest) > 0

    def _digest_of(self, token_id: str, user_name: str | None) -> str | None:
        query = select(tokens.c.sha256).where(tokens.c.run_id.is_(None))
        if user_name is not None:
            query = query.where(tokens.c.user_name == user_name)
        with self._engine.connect() as connection:
            return next((one for one in connection.scalars(query) if _token_id(one) == token_id), None)

    def revoke_all(self, user_name: str) -> None:
        """Take back every token of a user who is gone, those of runs too."""
        self._remove(tokens.c.user_name == user_name)

    def _remove(self, where: Any) -> int:
        with self._engine.begin() as connection:
            count = int(connection.execute(delete(tokens).where(where)).rowcount)
        self.forget()
        return count

    # OAuth

    def access_token(self, application_id: str, secret_id: int) -> str:
        """A signed access token of a service principal, good for an hour while its secret stands."""
        now = self._clock() // 1000
        claims = {
            "iss": _ISSUER,
            "sub": application_id,
            "secret": secret_id,
            "scope": "all-apis",
            "iat": now,
            "exp": now + ACCESS_SECONDS,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._signing)

    # who calls

    def forget(self) -> None:
        """Look everything up anew: a token was taken back, a principal or a group was changed."""
        self._generation += 1
        self._known.clear()

    def known(self, authorization: str | None) -> Principal | None:
        """The caller, where the header was seen before and nothing has changed since: no database is read."""
        if authorization is None:
            return None
        found = self._known.get(_digest(authorization))
        return found.principal if found is not None and found.until_ms > self._clock() else None

    def principal(self, authorization: str | None) -> Principal:
        """Whose token an `Authorization` header holds (bearer, or basic as `token:<PAT>`).

        Raise ApiError 401 without credentials, 403 with wrong ones, as Databricks does.
        """
        token = _token(authorization or "")
        if token is None or authorization is None:
            raise ApiError(
                "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.", 401
            )
        generation = self._generation
        name, until_ms, run_id = self._signed(token) if token.count(".") == 2 else self._kept(token)
        found = self._directory.principal(name)
        if found is None:
            raise _invalid()
        if run_id is not None:
            found = replace(found, run_id=run_id)
        if generation == self._generation:  # else what was read may be old by now
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[_digest(authorization)] = _Known(found, until_ms)
        return found

    def _kept(self, token: str) -> tuple[str, int, str | None]:
        query = select(tokens.c.user_name, tokens.c.expires_ms, tokens.c.run_id).where(
            tokens.c.sha256 == _digest(token)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _invalid()
        if row.expires_ms is not None and row.expires_ms <= self._clock():
            raise ApiError("PERMISSION_DENIED", "The access token has expired.", 403)
        return row.user_name, row.expires_ms if row.expires_ms is not None else 2**63, row.run_id

    def _signed(self, token: str) -> tuple[str, int, str | None]:
        try:
            claims = jwt.decode(token, self._signing, algorithms=[_ALGORITHM]).claims
            name, secret_id, expires = str(claims["sub"]), int(claims["secret"]), int(claims["exp"]) * 1000
        except (JoseError, KeyError, TypeError, ValueError, UnicodeError):
            raise _invalid() from None
        if claims.get("iss") != _ISSUER or not self._directory.secret_stands(secret_id, name):
            raise _invalid()
        if expires <= self._clock():
            raise ApiError("PERMISSION_DENIED", "The access token has expired.", 403)
        return name, expires, None


class ContextAccess:
    """What lets the code of execution contexts call the workspace in their user's name."""

    def __init__(self, tokens: Tokens, url: str) -> None:
        self._tokens, self._url = tokens, url

    def begin(self, user: str, context_id: str) -> ApiAccess:
        """A token for a context."""
        return ApiAccess(self._url, self._tokens.mint_for_run(user, CONTEXT + context_id))

    def end(self, context_id: str) -> None:
        """Take it back."""
        self._tokens.end_run(CONTEXT + context_id)


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


def credentials(authorization: str) -> tuple[str, str] | None:
    """The name and password of basic authentication; None for any other header."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return name, password


def _invalid() -> ApiError:
    return ApiError("PERMISSION_DENIED", "Invalid access token.", 403)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _token_id(digest: str) -> str:
    """What names a token in public: a digest of its digest, so that it tells nothing of what is kept."""
    return hashlib.sha256(digest.encode()).hexdigest()


def _token_of(row: Row[Any]) -> Token:
    return Token(
        _token_id(row.sha256), row.user_name, row.comment, row.created_ms, row.created_by or row.user_name,
        row.expires_ms,
    )  # fmt: skip


def _token(authorization: str) -> str | None:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    found = credentials(authorization)
    return found[1] if found is not None and found[0] == "token" else None
