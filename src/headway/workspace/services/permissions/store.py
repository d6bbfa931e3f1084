"""Grants in the database, and the answer to who may do what."""

from collections.abc import Callable, Mapping
from typing import Protocol

from sqlalchemy import Engine, delete, insert, select

from headway.workspace.errors import ApiError, not_implemented
from headway.workspace.principals import Principal
from headway.workspace.services.permissions import model
from headway.workspace.services.permissions.model import Known, Standing
from headway.workspace.services.permissions.tables import grants

Source = Callable[[str], Known]
_DEEPEST = 100


class Directory(Protocol):
    """Where principals are looked up (the identity service's store)."""

    def named(self, kind: str, name: str) -> int | None:
        """The id of a principal by kind (`user`, `service_principal`, `group`) and name."""

    def names(self, ids: set[int]) -> dict[int, tuple[str, str, str]]:
        """Kind, name and display name by id."""


class Permissions:
    """Who may do what. `sources` tell of objects by kind: id → Known, or ApiError where there is no such object. A
    source may stand for another kind (a run for its job, a path for what lies there): what it tells says which."""

    def __init__(self, engine: Engine, directory: Directory) -> None:
        self._engine, self.directory = engine, directory
        self.sources: dict[str, Source] = {}

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
        with self._engine.connect() as connection:
            return [
                Standing(
                    one,
                    {
                        row.principal_id: row.level
                        for row in connection.execute(
                            select(grants.c.principal_id, grants.c.level).where(
                                grants.c.kind == one.kind, grants.c.object_id == one.object_id
                            )
                        )
                    },
                )
                for one in found
            ]

    def check(self, principal: Principal, kind: str, object_id: str, level: str) -> None:
        """Raise ApiError PERMISSION_DENIED where the principal lacks that level, or what the source raises."""
        if not principal.is_admin:
            model.authorize(principal, self.chain(self.known(kind, object_id)), level)

    def allows(self, principal: Principal, kind: str, object_id: str, level: str) -> bool:
        """The same as an answer; False where there is no such object."""
        if principal.is_admin:
            return True
        try:
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
