"""Global init scripts in the database, in their order."""

import dataclasses
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from headway.workspace.errors import missing
from headway.workspace.services.global_init_scripts.model import GlobalScript, moved
from headway.workspace.services.global_init_scripts.tables import scripts


class GlobalScriptStore:
    """Scripts by id. Methods may raise ApiError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[GlobalScript]:
        """Every one, as they run."""
        with self._engine.connect() as connection:
            return _all(connection)

    def get(self, script_id: str) -> GlobalScript:
        """One."""
        with self._engine.connect() as connection:
            return _get(connection, script_id)

    def add(self, script: GlobalScript, position: int | None) -> None:
        """A new one, at a position; those from there on come after it."""
        with self._engine.begin() as connection:
            order = moved([one.script_id for one in _all(connection)], script.script_id, position)
            connection.execute(insert(scripts).values(dataclasses.asdict(script)))
            _number(connection, order)

    def change(self, script_id: str, position: int | None, **values: Any) -> None:
        """Other values of columns; another position where one is given."""
        with self._engine.begin() as connection:
            _get(connection, script_id)
            connection.execute(update(scripts).where(scripts.c.script_id == script_id).values(values))
            if position is not None:
                _number(connection, moved([one.script_id for one in _all(connection)], script_id, position))

    def delete(self, script_id: str) -> None:
        """Forget one; those after it move up."""
        with self._engine.begin() as connection:
            _get(connection, script_id)
            connection.execute(delete(scripts).where(scripts.c.script_id == script_id))
            _number(connection, [one.script_id for one in _all(connection)])


def _all(connection: Connection) -> list[GlobalScript]:
    query = select(scripts).order_by(scripts.c.position, scripts.c.created_ms)
    return [GlobalScript(**row._mapping) for row in connection.execute(query)]


def _get(connection: Connection, script_id: str) -> GlobalScript:
    row = connection.execute(select(scripts).where(scripts.c.script_id == script_id)).one_or_none()
    if row is None:
        raise missing(f"Global init script {script_id[:50]} does not exist.")
    return GlobalScript(**row._mapping)


def _number(connection: Connection, order: list[str]) -> None:
    for position, script_id in enumerate(order):
        connection.execute(update(scripts).where(scripts.c.script_id == script_id).values(position=position))
