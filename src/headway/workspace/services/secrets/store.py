"""The tables of secrets; values are sealed before they reach the database."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError, missing
from headway.workspace.keys import Vault
from headway.workspace.principals import Principal
from headway.workspace.services.secrets import model
from headway.workspace.services.secrets.tables import secret_acls, secret_scopes, secrets, shown_secrets


class Directory(Protocol):
    """Where principals are looked up (the identity service's store)."""

    def principal(self, name: str) -> Principal | None:
        """The active principal of that name."""


class SecretStore:
    """Scopes, secrets and who may do what with them. Every method may raise ApiError."""

    def __init__(self, engine: Engine, vault: Vault, directory: Directory) -> None:
        self._engine, self._vault, self._directory = engine, vault, directory

    # scopes

    def create_scope(self, scope: str, manager: str) -> None:
        """A new scope that `manager` (a principal's name) manages."""
        with self._engine.begin() as connection:
            if connection.execute(select(func.count()).select_from(secret_scopes)).scalar_one() >= model.MOST_SCOPES:
                raise ApiError(
                    "RESOURCE_LIMIT_EXCEEDED", f"There are {model.MOST_SCOPES} scopes, the most there may be"
                )
            try:
                connection.execute(insert(secret_scopes).values(scope=scope, created_ms=now_ms()))
            except IntegrityError:
                raise ApiError("RESOURCE_ALREADY_EXISTS", f"Scope {scope} already exists!") from None
            connection.execute(insert(secret_acls).values(scope=scope, principal=manager, permission="MANAGE"))

    def delete_scope(self, scope: str) -> None:
        """Remove a scope with everything in it."""
        with self._engine.begin() as connection:
            if connection.execute(delete(secret_scopes).where(secret_scopes.c.scope == scope)).rowcount == 0:
                raise model.no_scope(scope)

    def scopes(self) -> list[str]:
        """All of them, by name."""
        with self._engine.connect() as connection:
            return list(connection.scalars(select(secret_scopes.c.scope).order_by(secret_scopes.c.scope)))

    def check(self, principal: Principal, scope: str, wanted: str) -> None:
        """Raise ApiError where there is no such scope, or where the principal lacks that permission on it."""
        with self._engine.connect() as connection:
            if connection.execute(select(secret_scopes).where(secret_scopes.c.scope == scope)).one_or_none() is None:
                raise model.no_scope(scope)
        if not self.allows(principal, scope, wanted):
            message = f"User {principal.name} does not have {wanted} permission on scope {scope}"
            raise ApiError("PERMISSION_DENIED", message, 403)

    def allows(self, principal: Principal, scope: str, wanted: str) -> bool:
        """Whether it has that permission on a scope."""
        if principal.is_admin:
            return True
        rank = model.PERMISSIONS.index
        return any(
            rank(permission) >= rank(wanted)
            for holder, permission in self.acls(scope).items()
            if holder == principal.name or holder in principal.groups
        )

    # secrets

    def put(self, scope: str, key: str, value: bytes) -> None:
        """Keep a value, in the place of one that was there."""
        row = {
            "scope": scope,
            "key": key,
            "sealed": self._vault.seal(value, _owner(scope, key)),
            "updated_ms": now_ms(),
        }
        chosen = (secrets.c.scope == scope) & (secrets.c.key == key)
        with self._engine.begin() as connection:
            connection.execute(delete(secrets).where(chosen))
            count = select(func.count()).select_from(secrets).where(secrets.c.scope == scope)
            if connection.execute(count).scalar_one() >= model.MOST_SECRETS:
                message = f"Scope {scope} has {model.MOST_SECRETS} secrets, the most there may be"
                raise ApiError("RESOURCE_LIMIT_EXCEEDED", message)
            try:
                connection.execute(insert(secrets).values(row))
            except IntegrityError:  # the scope was removed meanwhile
                raise model.no_scope(scope) from None

    def delete(self, scope: str, key: str) -> None:
        """Remove one."""
        with self._engine.begin() as connection:
            gone = delete(secrets).where(secrets.c.scope == scope, secrets.c.key == key)
            if connection.execute(gone).rowcount == 0:
                raise model.no_secret(scope, key)

    def list(self, scope: str) -> dict[str, int]:
        """The keys of a scope with the time each was set, in milliseconds since 1970."""
        query = select(secrets.c.key, secrets.c.updated_ms).where(secrets.c.scope == scope).order_by(secrets.c.key)
        with self._engine.connect() as connection:
            return {row.key: row.updated_ms for row in connection.execute(query)}

    def read(self, scope: str, key: str, run_id: str | None = None) -> bytes:
        """A value. Where a run reads it, it is taken out of what the run prints from now on."""
        query = select(secrets.c.sealed).where(secrets.c.scope == scope, secrets.c.key == key)
        with self._engine.connect() as connection:
            sealed = connection.execute(query).scalar()
        if sealed is None:
            raise model.no_secret(scope, key)
        value = self._vault.open(sealed, _owner(scope, key))
        if run_id is not None:
            self._show(run_id, value)
        return value

    # who may

    def acls(self, scope: str) -> dict[str, str]:
        """Permissions by principal."""
        query = select(secret_acls).where(secret_acls.c.scope == scope).order_by(secret_acls.c.principal)
        with self._engine.connect() as connection:
            return {row.principal: row.permission for row in connection.execute(query)}

    def put_acl(self, scope: str, principal: str, permission: str) -> None:
        """Give a permission, in the place of the one that was there."""
        chosen = (secret_acls.c.scope == scope) & (secret_acls.c.principal == principal)
        with self._engine.begin() as connection:
            connection.execute(delete(secret_acls).where(chosen))
            connection.execute(insert(secret_acls).values(scope=scope, principal=principal, permission=permission))

    def delete_acl(self, scope: str, principal: str) -> None:
        """Take it away."""
        chosen = (secret_acls.c.scope == scope) & (secret_acls.c.principal == principal)
        with self._engine.begin() as connection:
            if connection.execute(delete(secret_acls).where(chosen)).rowcount == 0:
                raise missing(f"{principal[:100]} has no permission on scope {scope}")

    # clusters and runs

    def reveal(
        self, values: Mapping[str, str], user: str, run_id: str | None = None
    ) -> tuple[dict[str, str], frozenset[str]]:
        """Spark settings or environment variables with secrets in the place of `{{secrets/scope/key}}`, and the names
        of those that have any. Raise ApiError where `user` may not read one, or where there is none."""
        if not model.references(values):
            return dict(values), frozenset()
        principal = self._directory.principal(user)
        if principal is None:
            raise ApiError("PERMISSION_DENIED", f"{user} is no active user of this workspace", 403)

        def read(scope: str, key: str) -> str:
            self.check(principal, scope, "READ")
            return self.read(scope, key, run_id).decode("utf-8", "replace")

        return model.reveal(values, read)

    def redactor(self, *run_ids: object) -> Callable[[str], str]:
        """What takes out of a text the secrets that those runs were shown."""
        query = select(shown_secrets).where(shown_secrets.c.run_id.in_([str(one) for one in run_ids]))
        with self._engine.connect() as connection:
            rows: list[Any] = list(connection.execute(query))
        found = [self._vault.open(row.sealed, f"run/{row.run_id}").decode("utf-8", "replace") for row in rows]
        return lambda text: model.redact(text, found) if found else text

    def _show(self, run_id: str, value: bytes) -> None:
        digest = hashlib.sha256(self._vault.blind(value)).hexdigest()
        row = {"run_id": run_id, "sha256": digest, "sealed": self._vault.seal(value, f"run/{run_id}")}
        chosen = (shown_secrets.c.run_id == run_id) & (shown_secrets.c.sha256 == digest)
        with self._engine.begin() as connection:
            connection.execute(delete(shown_secrets).where(chosen))
            connection.execute(insert(shown_secrets).values(row))


def forget_runs(engine: Engine, run_ids: Sequence[int]) -> None:
    """Those runs and what they printed are no more: what they were shown need not be known."""
    chosen = shown_secrets.c.run_id.in_([str(one) for one in run_ids])
    with engine.begin() as connection:
        connection.execute(delete(shown_secrets).where(chosen))


def _owner(scope: str, key: str) -> str:
    return f"secret/{scope}/{key}"
