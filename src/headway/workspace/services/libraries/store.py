"""The table of workspace libraries."""

from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headway.workspace.clock import now_ms
from headway.workspace.database import libraries
from headway.workspace.errors import ApiError, missing
from headway.workspace.services.libraries.model import Library


def name_conflict(name: str) -> ApiError:
    """A library of that name exists; the 1.2 API says so with status 500."""
    return ApiError("NAME_CONFLICT", f'NameConflictException: Node named "{name}" already exists', 500)


class LibraryStore:
    """Libraries by id and by path."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, path: str, lib_type: str, file: str, sha256: str) -> Library:
        """Keep one. Raise ApiError where the path is taken."""
        row = {"path": path, "lib_type": lib_type, "file": file, "sha256": sha256, "created_ms": now_ms()}
        try:
            with self._engine.begin() as connection:
                key = connection.execute(insert(libraries).values(row)).inserted_primary_key
        except IntegrityError:
            raise name_conflict(path.rpartition("/")[2]) from None
        return Library(int(key[0]) if key else 0, path, lib_type, file, sha256)

    def at(self, path: str) -> Library | None:
        """The one at a path."""
        with self._engine.connect() as connection:
            row = connection.execute(select(libraries).where(libraries.c.path == path)).one_or_none()
        return None if row is None else _library(row)

    def get(self, library_id: int) -> Library:
        """Raise ApiError."""
        with self._engine.connect() as connection:
            row = connection.execute(select(libraries).where(libraries.c.library_id == library_id)).one_or_none()
        if row is None:
            raise missing(f"Library {library_id} does not exist.")
        return _library(row)

    def list(self) -> list[Library]:
        """All, by path."""
        with self._engine.connect() as connection:
            return [_library(row) for row in connection.execute(select(libraries).order_by(libraries.c.path))]

    def remove(self, library_id: int) -> None:
        """Forget one."""
        with self._engine.begin() as connection:
            connection.execute(delete(libraries).where(libraries.c.library_id == library_id))


def _library(row: Row[Any]) -> Library:
    return Library(row.library_id, row.path, row.lib_type, row.file, row.sha256)
