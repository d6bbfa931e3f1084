"""The tables of principals, and who is in which group."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError, invalid, missing
from headway.workspace.principals import ADMINS, USERS, Kind, Principal
from headway.workspace.services.identity.model import Record, Reference, no_such
from headway.workspace.services.identity.tables import group_members, oauth_secrets, principals

SECRET_DAYS = 730
MOST_SECRETS = 5
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class OAuthSecret:
    """A service principal's secret as others may see it. Times in milliseconds since 1970."""

    secret_id: int
    sha256: str
    created_ms: int
    expires_ms: int


class IdentityStore:
    """Principals by id and by name. `changed` is called after every change: what was known of callers is old then;
    `came` and `gone` with the name of who was added or removed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.changed: Callable[[], None] = lambda: None
        self.came: Callable[[str], None] = lambda name: None
        self.gone: Callable[[str], None] = lambda name: None

    def ensure(self, kind: Kind, name: str, *, admin: bool = False) -> None:
        """Make the groups that every workspace has, and a principal where it is missing."""
        for group in (ADMINS, USERS):
            if self._id("group", group) is None:
                self.add(Record("group", group, group))
        if self._id(kind, name) is None:
            self.add(
                Record(kind, name, name, attributes={"emails": [{"value": name, "type": "work", "primary": True}]})
            )
            if admin:
                self._join(ADMINS, name, kind)

    def _join(self, group: str, name: str, kind: str) -> None:
        row = {"group_id": self._id("group", group), "member_id": self._id(kind, name)}
        with self._engine.begin() as connection:
            connection.execute(insert(group_members).values(row))
        self.changed()

    def _id(self, kind: str, name: str) -> int | None:
        query = select(principals.c.principal_id)
        query = query.where(principals.c.kind == kind, principals.c.folded == name.casefold())
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    # who calls

    def principal(self, name: str) -> Principal | None:
        """The active principal of that name, with all its groups; None where there is none."""
        with self._engine.connect() as connection:
            query = select(principals).where(principals.c.folded == name.casefold(), principals.c.kind != "group")
            row = next(iter(connection.execute(query.order_by(principals.c.kind.desc()))), None)
            if row is None or not row.active:
                return None
            groups = _groups(connection, row.principal_id)
        kind: Kind = get_args(Kind)[get_args(Kind).index(row.kind)]
        return Principal(
            row.principal_id,
            kind,
            row.name,
            row.display_name,
            frozenset(group.display_name for group in groups),
            frozenset(group.principal_id for group in groups),
        )

    def entitled(self, principal: Principal, entitlement: str) -> bool:
        """Whether it has an entitlement, itself or by one of its groups."""
        query = select(principals.c.attributes).where(principals.c.principal_id.in_(principal.ids))
        with self._engine.connect() as connection:
            found: list[Any] = list(connection.execute(query).scalars())
        return any(
            entry.get("value") == entitlement for attributes in found for entry in attributes.get("entitlements") or []
        )

    def named(self, kind: str, name: str) -> int | None:
        """The id of a principal by kind (`user`, `service_principal`, `group`) and name."""
        return self._id(kind, name)

    def names(self, ids: set[int]) -> dict[int, tuple[str, str, str]]:
        """Kind, name and display name by id."""
        query = select(principals).where(principals.c.principal_id.in_(ids))
        with self._engine.connect() as connection:
            return {row.principal_id: (row.kind, row.name, row.display_name) for row in connection.execute(query)}

    # resources

    def add(self, found: Record) -> int:
        """Keep a new one. Raise ApiError where its name is taken."""
        row = {**_row(found), "created_ms": now_ms()}
        try:
            with self._engine.begin() as connection:
                key = connection.execute(insert(principals).values(row)).inserted_primary_key
                principal_id = int(key[0]) if key else 0
                if found.kind == "group":
                    self._set_members(connection, principal_id, found.members or ())
                else:
                    users = select(principals.c.principal_id).where(
                        principals.c.kind == "group", principals.c.folded == USERS
                    )
                    group_id = connection.execute(users).scalar()
                    if group_id is not None:
                        connection.execute(insert(group_members).values(group_id=group_id, member_id=principal_id))
        except IntegrityError:
            word = {"user": "User", "group": "Group"}.get(found.kind, "Service principal")
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"{word} with name {found.name} already exists.", 409) from None
        if found.kind != "group":
            self.came(found.name)
        self.changed()
        return principal_id

    def get(self, kind: str, principal_id: int) -> Record:
        """Raise ApiError."""
        with self._engine.connect() as connection:
            row = connection.execute(_by_id(kind, principal_id)).one_or_none()
        if row is None:
            raise no_such(kind, principal_id)
        return _record(row)

    def all(self, kind: str) -> list[Record]:
        """All of a kind, by id."""
        query = select(principals).where(principals.c.kind == kind).order_by(principals.c.principal_id)
        with self._engine.connect() as connection:
            return [_record(row) for row in connection.execute(query)]

    def groups(self, principal_id: int) -> list[Reference]:
        """The groups it is in."""
        with self._engine.connect() as connection:
            return _groups(connection, principal_id)

    def members(self, group_id: int) -> list[Reference]:
        """Who is in a group, directly."""
        query = select(principals).join(group_members, group_members.c.member_id == principals.c.principal_id)
        query = query.where(group_members.c.group_id == group_id).order_by(principals.c.principal_id)
        with self._engine.connect() as connection:
            return [Reference(row.principal_id, row.kind, row.display_name) for row in connection.execute(query)]

    def replace(self, found: Record) -> None:
        """Put it in the place of the one with its id. Raise ApiError."""
        before = self.get(found.kind, found.principal_id)
        if before.name in (ADMINS, USERS) and found.kind == "group" and found.name != before.name:
            raise invalid(f"The group {before.name} cannot be renamed")
        try:
            with self._engine.begin() as connection:
                query = update(principals).where(principals.c.principal_id == found.principal_id)
                connection.execute(query.values(_row(found)))
                if found.kind == "group" and found.members is not None:
                    self._set_members(connection, found.principal_id, found.members)
                    if found.name == ADMINS:
                        _keep_one_admin(connection)
                elif not found.active:
                    _keep_one_admin(connection)
        except IntegrityError:
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"{found.name} already exists.", 409) from None
        self.changed()

    def remove(self, kind: str, principal_id: int) -> None:
        """Remove it, with its memberships, secrets and tokens. Raise ApiError."""
        found = self.get(kind, principal_id)
        if kind == "group" and found.name in (ADMINS, USERS):
            raise invalid(f"The group {found.name} cannot be deleted")
        with self._engine.begin() as connection:
            connection.execute(delete(principals).where(principals.c.principal_id == principal_id))
            _keep_one_admin(connection)
        if kind != "group":
            self.gone(found.name)
        self.changed()

    def _set_members(self, connection: Connection, group_id: int, members: tuple[int, ...]) -> None:
        known = select(principals.c.principal_id).where(principals.c.principal_id.in_(members))
        strangers = set(members) - set(connection.scalars(known))
        if strangers:
            raise invalid(f"There is no principal with id {', '.join(str(one) for one in sorted(strangers)[:10])}")
        connection.execute(delete(group_members).where(group_members.c.group_id == group_id))
        if members:
            rows = [{"group_id": group_id, "member_id": member} for member in members]
            connection.execute(insert(group_members), rows)
        if group_id in {group.principal_id for group in _groups(connection, group_id)}:
            raise invalid("A group cannot be a member of itself, nor of a group that is in it")

    # OAuth secrets

    def add_secret(self, principal_id: int, lifetime_seconds: int | None) -> tuple[str, OAuthSecret]:
        """A new secret of a service principal; this is the only time that it is seen. Raise ApiError."""
        self.get("service_principal", principal_id)
        if len(self.secrets(principal_id)) >= MOST_SECRETS:
            raise ApiError("RESOURCE_EXHAUSTED", f"A service principal has at most {MOST_SECRETS} secrets", 400)
        secret, now = "dose" + secrets.token_hex(16), now_ms()
        lifetime = SECRET_DAYS * _DAY_MS if lifetime_seconds is None else lifetime_seconds * 1000
        row = {
            "principal_id": principal_id,
            "sha256": _digest(secret),
            "created_ms": now,
            "expires_ms": now + lifetime,
        }
        with self._engine.begin() as connection:
            key = connection.execute(insert(oauth_secrets).values(row)).inserted_primary_key
        return secret, OAuthSecret(int(key[0]) if key else 0, str(row["sha256"]), now, now + lifetime)

    def secrets(self, principal_id: int) -> list[OAuthSecret]:
        """A service principal's secrets."""
        query = select(oauth_secrets).where(oauth_secrets.c.principal_id == principal_id)
        with self._engine.connect() as connection:
            return [
                OAuthSecret(row.secret_id, row.sha256, row.created_ms, row.expires_ms)
                for row in connection.execute(query.order_by(oauth_secrets.c.secret_id))
            ]

    def remove_secret(self, principal_id: int, secret_id: int) -> None:
        """Take one back; access tokens that it gave end with it. Raise ApiError."""
        chosen = (oauth_secrets.c.principal_id == principal_id) & (oauth_secrets.c.secret_id == secret_id)
        with self._engine.begin() as connection:
            count = connection.execute(delete(oauth_secrets).where(chosen)).rowcount
        if count == 0:
            raise missing(f"Secret {secret_id} does not exist.")
        self.changed()

    def secret_id(self, application_id: str, secret: str) -> int | None:
        """The id of the secret that an active service principal may use; None where it is not one of its own."""
        query = self._standing(application_id).where(oauth_secrets.c.sha256 == _digest(secret))
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def secret_stands(self, secret_id: int, application_id: str) -> bool:
        """Whether a secret may still be used."""
        query = self._standing(application_id).where(oauth_secrets.c.secret_id == secret_id)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar() is not None

    def _standing(self, application_id: str) -> Any:
        query = select(oauth_secrets.c.secret_id).join(
            principals, principals.c.principal_id == oauth_secrets.c.principal_id
        )
        return query.where(
            principals.c.kind == "service_principal",
            principals.c.folded == application_id.casefold(),
            principals.c.active,
            oauth_secrets.c.expires_ms > now_ms(),
        )


def _groups(connection: Connection, principal_id: int) -> list[Reference]:
    """Every group it is in, also by way of another group."""
    first = select(group_members.c.group_id).where(group_members.c.member_id == principal_id)
    direct = set(connection.scalars(first))
    above = first.cte(recursive=True)
    above = above.union(select(group_members.c.group_id).join(above, group_members.c.member_id == above.c.group_id))
    query = select(principals).where(principals.c.principal_id.in_(select(above.c.group_id)))
    return [
        Reference(row.principal_id, "group", row.display_name, row.principal_id in direct)
        for row in connection.execute(query.order_by(principals.c.principal_id))
    ]


def _keep_one_admin(connection: Connection) -> None:
    """Raise ApiError where the change would leave nobody who administers the workspace; then it is not made."""
    admins = select(principals.c.principal_id).where(principals.c.kind == "group", principals.c.folded == ADMINS)
    below = select(group_members.c.member_id).where(group_members.c.group_id.in_(admins)).cte(recursive=True)
    below = below.union(select(group_members.c.member_id).join(below, group_members.c.group_id == below.c.member_id))
    query = select(principals.c.principal_id).where(
        principals.c.principal_id.in_(select(below.c.member_id)), principals.c.kind != "group", principals.c.active
    )
    if connection.execute(query.limit(1)).scalar() is None:
        raise invalid("The workspace must keep an active administrator")


def _by_id(kind: str, principal_id: int) -> Any:
    return select(principals).where(principals.c.principal_id == principal_id, principals.c.kind == kind)


def _row(found: Record) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "name": found.name,
        "folded": found.name.casefold(),
        "display_name": found.display_name,
        "active": found.active,
        "attributes": dict(found.attributes),
    }


def _record(row: Row[Any]) -> Record:
    return Record(row.kind, row.name, row.display_name, row.active, row.attributes, row.principal_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
