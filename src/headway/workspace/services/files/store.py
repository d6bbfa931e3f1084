"""The workspace tree: files on disk, and a table of what each of them is."""

import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Engine, delete, insert, or_, select

from headway.workspace.clock import now_ms
from headway.workspace.database import Reader, objects
from headway.workspace.errors import ApiError, invalid, missing
from headway.workspace.paths import confined, normalised
from headway.workspace.services.files.model import ENDINGS, WorkspaceObject
from headway.workspace.writing import Writer


def escaped(text: str) -> str:
    """A text as LIKE takes it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


class FilesStore:
    """Objects by path. Paths may begin with `/Workspace`, which is the same tree."""

    def __init__(self, engine: Engine, root: Path, drafts: Path, writer: Writer | None = None) -> None:
        self._engine, self._root, self._drafts = engine, root, drafts
        self._reader, self._writer = Reader(engine), writer or Writer(engine)
        for folder in (root, drafts):
            folder.mkdir(parents=True, exist_ok=True)

    def name(self, path: str) -> str:
        """The tree's own name of a path."""
        return normalised(path.removeprefix("/Workspace") if path.startswith("/Workspace/") else path)

    def get(self, path: str) -> WorkspaceObject:
        """What is there. Raise ApiError RESOURCE_DOES_NOT_EXIST."""
        found = self.find(path)
        if found is None:
            raise missing(f"Path ({self.name(path)}) doesn't exist.")
        return found

    def find(self, path: str) -> WorkspaceObject | None:
        """The same, or None."""
        name = self.name(path)
        if name == "/":
            return WorkspaceObject(0, "/", "DIRECTORY", None, 0, 0)
        found = self._reader.rows("select * from objects where path = ?", name)
        return self._object(dict(found[0])) if found else None

    def by_id(self, object_id: int) -> WorkspaceObject:
        """What has that id. Raise ApiError RESOURCE_DOES_NOT_EXIST."""
        if object_id == 0:
            return self.get("/")
        found = self._reader.rows("select * from objects where object_id = ?", object_id)
        if not found:
            raise missing(f"Workspace object {object_id} does not exist.")
        return self._object(dict(found[0]))

    def _object(self, row: Mapping[str, Any]) -> WorkspaceObject:
        found = WorkspaceObject(**row)
        if found.object_type in ("DIRECTORY", "REPO"):
            return found
        local = self.local(found)
        return replace(found, size=local.stat().st_size if local.exists() else 0)

    def local(self, found: WorkspaceObject) -> Path:
        """The file behind an object."""
        ending = ENDINGS.get(found.language or "", "") if found.object_type == "NOTEBOOK" else ""
        return confined(self._root, found.path + ending)

    def list(self, path: str) -> list[WorkspaceObject]:
        """What a folder holds, by name; anything else lists itself."""
        found = self.get(path)
        if found.object_type not in ("DIRECTORY", "REPO"):
            return [found]
        base = found.path.rstrip("/")
        below = objects.c.path.like(escaped(base) + "/%", escape="\\")
        deeper = objects.c.path.like(escaped(base) + "/%/%", escape="\\")
        with self._engine.connect() as connection:
            rows = connection.execute(select(objects).where(below, ~deeper).order_by(objects.c.path)).all()
        return [self._object(dict(row._mapping)) for row in rows]

    def read(self, found: WorkspaceObject) -> bytes:
        """An object's content."""
        if found.object_type in ("DIRECTORY", "REPO"):
            raise invalid(f"{found.path} is a directory; only notebooks and files are exported")
        return self.local(found).read_bytes()

    def write(
        self,
        path: str,
        content: BinaryIO,
        object_type: str,
        language: str | None,
        *,
        overwrite: bool,
        creator: str | None = None,
    ) -> WorkspaceObject:
        """Keep a notebook or a file. Raise ApiError where something is there (and `overwrite` is not given), or where
        its folder is missing."""
        name = self.name(path)
        confined(self._root, name)
        draft = self._drafts / uuid.uuid4().hex
        try:
            with draft.open("xb") as target:
                shutil.copyfileobj(content, target, 1 << 20)
            with self._writer.alone() as connection:
                row = self._there(connection, name)
                old = None if row is None else self._replaced(WorkspaceObject(**row), object_type, overwrite)
                now = now_ms()
                if row is None:
                    made = self._add(connection, name, object_type, language, creator, now)
                    found = WorkspaceObject(made, name, object_type, language, now, now, creator=creator)
                else:
                    changed = "update objects set language = ?, modified_ms = ? where path = ?"
                    connection.exec_driver_sql(changed, (language, now, name))
                    found = WorkspaceObject(**{**row, "language": language, "modified_ms": now})
                local = self.local(found)
                if old != local and os.path.lexists(local):
                    raise ApiError("RESOURCE_ALREADY_EXISTS", f"{name} already exists.")
                local.parent.mkdir(parents=True, exist_ok=True)
                size = draft.stat().st_size
                os.replace(draft, local)
                if old is not None and old != local:
                    old.unlink(missing_ok=True)
                return replace(found, size=size)
        finally:
            draft.unlink(missing_ok=True)

    def _replaced(self, before: WorkspaceObject, object_type: str, overwrite: bool) -> Path:
        """The file that a new one takes the place of. Raise ApiError where it may not."""
        if before.object_type in ("DIRECTORY", "REPO") or not overwrite:
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"{before.path} already exists.")
        if before.object_type != object_type:
            raise invalid(f"{before.path} is a {before.object_type}, not a {object_type}")
        return self.local(before)

    def _there(self, connection: Connection, name: str) -> dict[str, Any] | None:
        """The row of what is at a path. Raise ApiError where its folder is missing, or is none."""
        parent = name.rpartition("/")[0]
        rows = connection.exec_driver_sql("select * from objects where path in (?, ?)", (name, parent))
        found = {row.path: dict(row._mapping) for row in rows}
        if parent:
            if parent not in found:
                raise missing(f"The parent folder ({parent}) does not exist.")
            if found[parent]["object_type"] not in ("DIRECTORY", "REPO"):
                raise invalid(f"{parent} is not a directory")
        return found.get(name)

    def _add(
        self, connection: Connection, name: str, object_type: str, language: str | None, creator: str | None, now: int
    ) -> int:
        row = {"path": name, "object_type": object_type, "language": language, "created_ms": now, "modified_ms": now}
        row["creator"] = creator
        return int(connection.execute(insert(objects).values(row)).inserted_primary_key[0])  # type: ignore[index]

    def mkdirs(self, path: str, creator: str | None = None) -> None:
        """Make a folder and those above it."""
        name = self.name(path)
        local = confined(self._root, name)
        parts = name.strip("/").split("/") if name != "/" else []
        paths = ["/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        with self._writer.alone() as connection:
            query = select(objects.c.path, objects.c.object_type).where(objects.c.path.in_(paths))
            known = {row.path: row.object_type for row in connection.execute(query)}
            for part in paths:
                if part not in known:
                    self._add(connection, part, "DIRECTORY", None, creator, now_ms())
                elif known[part] not in ("DIRECTORY", "REPO"):
                    raise ApiError("RESOURCE_ALREADY_EXISTS", f"{part} already exists and is not a directory.")
            try:
                local.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                message = f"{name} cannot be a directory: the source of a notebook is there."
                raise ApiError("RESOURCE_ALREADY_EXISTS", message) from None

    def delete(self, path: str, recursive: bool) -> None:
        """Remove it. Raise ApiError where there is nothing, or where a folder is not empty."""
        found = self.get(path)
        if found.path == "/":
            raise invalid("The root cannot be deleted")
        if found.object_type in ("DIRECTORY", "REPO") and self.list(found.path) and not recursive:
            raise ApiError("DIRECTORY_NOT_EMPTY", f"Folder ({found.path}) is not empty")
        below = objects.c.path.like(escaped(found.path) + "/%", escape="\\")
        local = self.local(found)
        with self._writer.alone() as connection:
            connection.execute(delete(objects).where(or_(objects.c.path == found.path, below)))
            if found.object_type in ("DIRECTORY", "REPO"):
                shutil.rmtree(local, ignore_errors=True)
            else:
                local.unlink(missing_ok=True)
