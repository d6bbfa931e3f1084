"""Privileges in the database, and the answer to who may do what in the catalog."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Engine, delete, insert

from headway.workspace.database import Reader
from headway.workspace.errors import ApiError, invalid, malformed, missing
from headway.workspace.parsing import objects
from headway.workspace.principals import USERS, Principal
from headway.workspace.services.unity import access, model
from headway.workspace.services.unity.access import Standing
from headway.workspace.services.unity.store import SYSTEM, Metastore
from headway.workspace.services.unity.tables import grants

KINDS = ("catalog", "schema", "volume", "table")
_ALIASES = {"account users": USERS}


class Directory(Protocol):
    """Where principals are looked up (the identity service's store)."""

    def named(self, kind: str, name: str) -> int | None:
        """The id of a principal by kind (`user`, `service_principal`, `group`) and name."""

    def names(self, ids: set[int]) -> dict[int, tuple[str, str, str]]:
        """Kind, name and display name by id."""


class Grants:
    """Who may do what. Methods may raise ApiError."""

    def __init__(self, engine: Engine, store: Metastore, directory: Directory) -> None:
        self._engine, self._reader, self._store, self._directory = engine, Reader(engine), store, directory

    def rules(self) -> Mapping[str, Callable[[Principal, str, str], None]]:
        """The checks by kind of object, as the permissions service is told of them: principal, full name, privilege."""
        return {**{f"{kind}s": self._rule(kind) for kind in KINDS}, "volume-files": self._in_volume}

    def _rule(self, kind: str) -> Callable[[Principal, str, str], None]:
        return lambda principal, name, wanted: access.authorize(principal, self.chain(kind, name), wanted)

    def _in_volume(self, principal: Principal, path: str, wanted: str) -> None:
        names = [part.lower() for part in path.split("/") if part][1:4]
        if len(names) < 3:  # it names no volume, as the service will say
            return
        if {".", ".."} & set(names):
            raise invalid("Invalid path: it has a relative part")
        made = [self._standing(kind, names[:count]) for count, kind in ((3, "volume"), (2, "schema"), (1, "catalog"))]
        access.authorize(principal, made, wanted)

    def chain(self, kind: str, full_name: str) -> list[Standing]:
        """An object that exists, and what it is in."""
        names = model.parts(full_name, {"catalog": 1, "schema": 2}.get(kind, 3))
        self._found(kind, names)
        above = ["schema", "catalog"][-(len(names) - 1) :] if len(names) > 1 else []
        return [self._standing(one, names[: len(names) - at]) for at, one in enumerate([kind, *above])]

    def _standing(self, kind: str, names: Sequence[str]) -> Standing:
        try:
            owner, created = self._found(kind, names)
        except ApiError:  # a folder behind /Volumes that the catalog does not know
            owner, created = None, 0
        name = ".".join(names)
        query = "select principal_id, privilege from unity_grants where kind = ? and full_name = ? and created_ms = ?"
        found: dict[int, frozenset[str]] = {}
        for row in self._reader.rows(query, kind, name, created):
            found[row["principal_id"]] = found.get(row["principal_id"], frozenset()) | {row["privilege"]}
        return Standing(kind, name, owner, found)

    def _found(self, kind: str, names: Sequence[str]) -> tuple[str | None, int]:
        """Owner and time of creation of an object."""
        if kind == "table":
            # Spark names the process that made it, which is nobody here.
            return None, int(self._store.table(*names).get("created_ms", 0))
        found = (
            self._store.catalog(*names)
            if kind == "catalog"
            else self._store.schema(*names)
            if kind == "schema"
            else self._store.volume(*names).base
        )
        return (None if found.owner == SYSTEM else found.owner), found.created_at

    def change(self, principal: Principal, kind: str, full_name: str, data: Mapping[str, Any]) -> None:
        """Give and take back privileges, all of a request or none."""
        chain = self.chain(kind, full_name)
        access.authorize(principal, chain, access.MANAGE)
        created = self._found(kind, chain[0].full_name.split("."))[1]
        where = {"kind": kind, "full_name": chain[0].full_name, "created_ms": created}
        wanted: dict[int, set[str]] = {holder: set(given) for holder, given in chain[0].grants.items()}
        for entry in objects(data, "changes"):
            held = wanted.setdefault(self._holder(entry.get("principal")), set())
            held -= set(access.check_privileges(kind, _texts(entry, "remove")))
            held |= set(access.check_privileges(kind, _texts(entry, "add")))
        rows = [{**where, "principal_id": holder, "privilege": one} for holder, held in wanted.items() for one in held]
        with self._engine.begin() as connection:
            chosen = (grants.c.kind == kind) & (grants.c.full_name == chain[0].full_name)
            connection.execute(delete(grants).where(chosen))
            if rows:
                connection.execute(insert(grants), rows)

    def _holder(self, name: object) -> int:
        if not isinstance(name, str) or not name:
            raise invalid("each of changes must have a principal")
        named = _ALIASES.get(name.lower(), name)
        for kind in ("user", "group", "service_principal"):
            found = self._directory.named(kind, named)
            if found is not None:
                return found
        raise missing(f"Principal {name[:100]} does not exist.")

    def told(self, chain: Sequence[Standing], principal: str = "", *, effective: bool = False) -> dict[str, Any]:
        """`privilege_assignments` of the first object; `effective` with those of what it is in."""
        names = self._directory.names({holder for one in chain for holder in one.grants})
        found: dict[str, list[Any]] = {}
        for one in chain if effective else chain[:1]:
            for holder, given in one.grants.items():
                name = names[holder][1] if holder in names else ""
                if not name or (principal and name != principal):
                    continue
                for privilege in sorted(given):
                    told: Any = privilege
                    if effective:
                        told = {"privilege": privilege}
                        if one is not chain[0]:
                            told |= {"inherited_from_type": one.kind.upper(), "inherited_from_name": one.full_name}
                    found.setdefault(name, []).append(told)
        return {"privilege_assignments": [{"principal": name, "privileges": held} for name, held in found.items()]}


def _texts(entry: Mapping[str, Any], name: str) -> list[Any]:
    given = entry.get(name) or []
    if not isinstance(given, list):
        raise malformed(f"Could not parse request object: Expected array for field {name}")
    return given
