"""Grants in the database, and the answer to who may do what."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sqlalchemy import Engine, delete, insert

from headway.workspace.database import Reader
from headway.workspace.errors import ApiError, invalid, missing, not_implemented
from headway.workspace.parsing import objects
from headway.workspace.principals import Principal
from headway.workspace.services.permissions import model
from headway.workspace.services.permissions.model import HOLDERS, LEVELS, Known, Standing
from headway.workspace.services.permissions.tables import grants

Source = Callable[[str], Known]
Rule = Callable[[Principal, str, str], None]
_DEEPEST = 100


class Directory(Protocol):
    """Where principals are looked up (the identity service's store)."""

    def named(self, kind: str, name: str) -> int | None:
        """The id of a principal by kind (`user`, `service_principal`, `group`) and name."""

    def names(self, ids: set[int]) -> dict[int, tuple[str, str, str]]:
        """Kind, name and display name by id."""


class Permissions:
    """Who may do what. `sources` tell of objects by kind: id → Known, or ApiError where there is no such object. A
    source may stand for another kind (a run for its job, a path for what lies there): what it tells says which.
    `rules` are checks of kinds that have a way of their own (the catalog's privileges)."""

    def __init__(self, engine: Engine, directory: Directory) -> None:
        self._engine, self._reader, self.directory = engine, Reader(engine), directory
        self.sources: dict[str, Source] = {}
        self.rules: dict[str, Rule] = {}

    def known(self, kind: str, object_id: str) -> Known:
        """What is known of an object. Raise ApiError."""
        source = self.sources.get(kind)
        if source is None:
            raise not_implemented(f"permissions of {kind} are not served by this workspace")
        return source(object_id)

    def chain(self, known: Known) -> list[Standing]:
        """An object and its ancestors, each with its grants."""
        found = [known]
        while found[-1].parent is not None and len(found) < _DEEPEST:
            found.append(self.known(*found[-1].parent))
        return [Standing(one, self._grants_on(one)) for one in found]

    def _grants_on(self, known: Known) -> dict[int, str]:
        query = "select principal_id, level from grants where kind = ? and object_id = ?"
        return {row["principal_id"]: row["level"] for row in self._reader.rows(query, known.kind, known.object_id)}

    def check(self, principal: Principal, kind: str, object_id: str, level: str) -> None:
        """Raise ApiError PERMISSION_DENIED where the principal lacks that level, or what the source raises."""
        if principal.is_admin:
            return
        if kind in self.rules:
            self.rules[kind](principal, object_id, level)
        else:
            model.authorize(principal, self.chain(self.known(kind, object_id)), level)

    def allows(self, principal: Principal, kind: str, object_id: str, level: str) -> bool:
        """The same as an answer; False where there is no such object."""
        if principal.is_admin:
            return True
        try:
            if kind in self.rules:
                self.rules[kind](principal, object_id, level)
                return True
            chain = self.chain(self.known(kind, object_id))
        except ApiError:
            return False
        return model.suffices(chain[0].known.kind, model.held(principal, chain), level)

    def set(self, known: Known, given: Mapping[int, str]) -> None:
        """Put grants in the place of all that there are on an object."""
        rows = [
            {"kind": known.kind, "object_id": known.object_id, "principal_id": principal_id, "level": level}
            for principal_id, level in given.items()
        ]
        with self._engine.begin() as connection:
            connection.execute(delete(grants).where(grants.c.kind == known.kind, grants.c.object_id == known.object_id))
            if rows:
                connection.execute(insert(grants), rows)

    def grant(self, principal: Principal, kind: str, object_id: object, data: Mapping[str, Any]) -> None:
        """Grant what was sent as `access_control_list` with an object. Raise ApiError."""
        if data.get("access_control_list"):
            self.change(principal, self.known(kind, str(object_id)), data, keep=False)

    def check_list(self, kind: str, data: Mapping[str, Any]) -> None:
        """Raise ApiError where an `access_control_list` cannot be granted: before its object is made."""
        self._granted({"runs": "jobs"}.get(kind, kind), data)

    def change(self, principal: Principal, known: Known, data: Mapping[str, Any], *, keep: bool) -> None:
        """Grant the `access_control_list` of `data`, beside (`keep`) or in the place of what is granted. Raise ApiError
        where the principal may not, or where the list cannot be granted: then nothing is changed."""
        chain = self.chain(known)
        if "CAN_MANAGE" not in LEVELS[known.kind] and not principal.is_admin:  # using is not managing
            raise model.denied(principal, known, "CAN_MANAGE")
        model.authorize(principal, chain, model.managing(known.kind))
        given = self._granted(known.kind, data)
        owners = [holder for holder, level in given.items() if level == "IS_OWNER"]
        before = chain[0].grants
        if len(owners) > 1:
            raise invalid(f"The {model.SINGULAR[known.kind]} must have exactly one owner.")
        if owners and not principal.is_admin and not self._may_give(principal, chain[0], owners[0]):
            raise ApiError("PERMISSION_DENIED", f"{principal.name} cannot change the owner of {known.object_id}.", 403)
        kept = dict(before) if keep else {}
        if owners:
            kept = {holder: level for holder, level in kept.items() if level != "IS_OWNER"}
        self.set(known, {**kept, **given})

    def _may_give(self, principal: Principal, standing: Standing, owner: int) -> bool:
        """Naming the owner that it has changes nothing; only an owner gives it away."""
        now = next((holder for holder, level in standing.grants.items() if level == "IS_OWNER"), None)
        if now is None and standing.known.owner is not None:
            directory, name = self.directory, standing.known.owner
            now = directory.named("user", name) or directory.named("service_principal", name)
        return owner == now or principal.principal_id == now

    def _granted(self, kind: str, data: Mapping[str, Any]) -> dict[int, str]:
        found: dict[int, str] = {}
        for entry in objects(data, "access_control_list"):
            names = [(field, entry[field]) for field in HOLDERS if entry.get(field)]
            if len(names) != 1 or not isinstance(names[0][1], str):
                raise invalid("each entry must have one of user_name, group_name, service_principal_name")
            field, name = names[0]
            level = entry.get("permission_level")
            if level not in LEVELS[kind]:
                raise invalid(
                    f"{str(level)[:50]} is not a permission level of {kind}; there are {', '.join(LEVELS[kind])}"
                )
            holder = self.directory.named(HOLDERS[field], name)
            if holder is None:
                word = HOLDERS[field].replace("_", " ").capitalize()
                raise missing(f"{word} {name[:100]} does not exist.")
            if level == "IS_OWNER" and field == "group_name":
                raise invalid("A group cannot be an owner.")
            ladder = LEVELS[kind]
            if holder not in found or ladder.index(level) > ladder.index(found[holder]):
                found[holder] = level
        return found
