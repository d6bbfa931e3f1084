"""The metastore as plain files, which the API and every driver read and write (they by `host/Metastore.scala`).

`catalogs/<catalog>.json`, `databases/<database>/database.json`, `databases/<database>/tables/<table>.json`,
`databases/<database>/volumes/<volume>.json`; each file takes its place in one step. The files of managed volumes lie in
the folder behind `/Volumes`.
"""

import json
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError, conflict, invalid, missing
from headway.workspace.services.unity.model import MAIN, SEPARATOR, Securable, Volume, database_of

SYSTEM = "system"
WAREHOUSE = "dbfs:/user/hive/warehouse"


class Metastore:
    """Catalogs, schemas, volumes and tables. `volumes` is the folder behind `/Volumes`; `local` gives the local file of
    a `dbfs:/` path. Methods may raise ApiError."""

    def __init__(self, root: Path, volumes: Path, local: Callable[[str], Path]) -> None:
        self._root, self._volumes, self._local = root, volumes, local
        self._lock = threading.RLock()
        for name in ("catalogs", "databases"):
            (root / name).mkdir(parents=True, exist_ok=True)
        now = now_ms()
        for catalog, schema in ((MAIN, "default"),):
            if not self._catalog_file(catalog).exists():
                self._write(self._catalog_file(catalog), asdict(Securable(catalog, SYSTEM, now, now)))
            if not self._schema_file(catalog, schema).exists():
                self._write_schema(catalog, Securable(schema, SYSTEM, now, now, "default database"))

    # files

    def _catalog_file(self, catalog: str) -> Path:
        return self._root / "catalogs" / f"{quote(catalog, safe='')}.json"

    def _database(self, catalog: str, schema: str) -> Path:
        return self._root / "databases" / quote(database_of(catalog, schema), safe="")

    def _schema_file(self, catalog: str, schema: str) -> Path:
        return self._database(catalog, schema) / "database.json"

    def _volume_file(self, catalog: str, schema: str, volume: str) -> Path:
        return self._database(catalog, schema) / "volumes" / f"{quote(volume, safe='')}.json"

    def _table_file(self, catalog: str, schema: str, table: str) -> Path:
        return self._database(catalog, schema) / "tables" / f"{quote(table, safe='')}.json"

    def _write(self, path: Path, data: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{uuid.uuid4().hex}")
        draft.write_text(json.dumps(data, indent=1))
        draft.replace(path)

    def _read(self, path: Path, message: str) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise missing(message) from None
        return data

    def _names(self, folder: Path) -> list[str]:
        return sorted(unquote(path.stem) for path in folder.glob("*.json")) if folder.is_dir() else []

    # catalogs

    def catalogs(self) -> list[Securable]:
        """All, by name."""
        return [self.catalog(name) for name in self._names(self._root / "catalogs")]

    def catalog(self, name: str) -> Securable:
        """One."""
        return Securable(**self._read(self._catalog_file(name), f"Catalog '{name}' does not exist."))

    def create_catalog(self, catalog: Securable) -> None:
        """A new one, with its `default` schema."""
        with self._lock:
            if self._catalog_file(catalog.name).exists():
                raise _exists("Catalog", catalog.name)
            self._write(self._catalog_file(catalog.name), asdict(catalog))
            self._write_schema(catalog.name, replace(catalog, name="default", comment="", properties={}))

    def change_catalog(self, name: str, changes: Mapping[str, Any]) -> Securable:
        """Set owner, comment or properties."""
        with self._lock:
            changed = replace(self.catalog(name), updated_at=now_ms(), **changes)
            self._write(self._catalog_file(name), asdict(changed))
        return changed

    def delete_catalog(self, name: str, force: bool) -> None:
        """Remove one; with `force` all that is in it."""
        with self._lock:
            self.catalog(name)
            if name == MAIN:
                raise invalid("Catalog 'main' is Spark's own and cannot be deleted")
            inner = self.schemas(name)
            if not force and [schema for schema in inner if schema.name != "default"]:
                raise _not_empty("Catalog", name)
            for schema in inner:
                self.delete_schema(name, schema.name, force)
            self._catalog_file(name).unlink()

    # schemas

    def schemas(self, catalog: str) -> list[Securable]:
        """Those of a catalog, by name."""
        self.catalog(catalog)
        known = {unquote(path.name) for path in (self._root / "databases").iterdir() if path.is_dir()}
        others = [name for name in self._names(self._root / "catalogs") if name != MAIN]
        if catalog == MAIN:
            names = {name for name in known if not any(name.startswith(other + SEPARATOR) for other in others)}
        else:
            names = {name.removeprefix(catalog + SEPARATOR) for name in known if name.startswith(catalog + SEPARATOR)}
        return [self.schema(catalog, name) for name in sorted(names) if self._schema_file(catalog, name).exists()]

    def schema(self, catalog: str, name: str) -> Securable:
        """One."""
        told = self._read(self._schema_file(catalog, name), f"Schema '{catalog}.{name}' does not exist.")
        return Securable(
            name,
            told.get("owner", SYSTEM),
            told.get("created_at", 0),
            told.get("updated_at", 0),
            told.get("description", ""),
            told.get("properties", {}),
        )

    def _write_schema(self, catalog: str, schema: Securable) -> None:
        path = self._schema_file(catalog, schema.name)
        database = database_of(catalog, schema.name)
        location = WAREHOUSE if database == "default" else f"{WAREHOUSE}/{database}.db"
        told = json.loads(path.read_text()) if path.exists() else {"name": database, "location": location}
        told |= {
            "owner": schema.owner,
            "created_at": schema.created_at,
            "updated_at": schema.updated_at,
            "description": schema.comment,
            "properties": dict(schema.properties),
        }
        self._write(path, told)

    def create_schema(self, catalog: str, schema: Securable) -> None:
        """A new one; Spark sees it as a database."""
        with self._lock:
            self.catalog(catalog)
            if self._schema_file(catalog, schema.name).exists():
                raise _exists("Schema", f"{catalog}.{schema.name}")
            self._write_schema(catalog, schema)

    def change_schema(self, catalog: str, name: str, changes: Mapping[str, Any]) -> Securable:
        """Set owner, comment or properties."""
        with self._lock:
            changed = replace(self.schema(catalog, name), updated_at=now_ms(), **changes)
            self._write_schema(catalog, changed)
        return changed

    def delete_schema(self, catalog: str, name: str, force: bool) -> None:
        """Remove one; with `force` its tables and volumes too."""
        with self._lock:
            self.schema(catalog, name)
            if (catalog, name) == (MAIN, "default"):
                raise invalid("Schema 'main.default' is Spark's own and cannot be deleted")
            tables, volumes = self.tables(catalog, name), self.volumes(catalog, name)
            if (tables or volumes) and not force:
                raise _not_empty("Schema", f"{catalog}.{name}")
            for told in tables:
                self.delete_table(catalog, name, told["name"])
            for volume in volumes:
                self.delete_volume(catalog, name, volume.base.name)
            shutil.rmtree(self._database(catalog, name))

    # volumes

    def volumes(self, catalog: str, schema: str) -> list[Volume]:
        """Those of a schema, by name."""
        self.schema(catalog, schema)
        names = self._names(self._database(catalog, schema) / "volumes")
        return [self.volume(catalog, schema, name) for name in names]

    def volume(self, catalog: str, schema: str, name: str) -> Volume:
        """One."""
        file = self._volume_file(catalog, schema, name)
        told = self._read(file, f"Volume '{catalog}.{schema}.{name}' does not exist.")
        return Volume(Securable(**told["base"]), told.get("location"))

    def folder(self, catalog: str, schema: str, volume: str) -> Path:
        """Where a volume's files are found below the folder behind `/Volumes`."""
        return self._volumes / catalog / schema / volume

    def create_volume(self, catalog: str, schema: str, volume: Volume) -> None:
        """A new one. An external one is another name for a folder of DBFS."""
        with self._lock:
            self.schema(catalog, schema)
            name = volume.base.name
            if self._volume_file(catalog, schema, name).exists():
                raise _exists("Volume", f"{catalog}.{schema}.{name}")
            folder = self.folder(catalog, schema, name)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if volume.location is None:
                folder.mkdir(exist_ok=True)
            else:
                target = self._local(volume.location)
                target.mkdir(parents=True, exist_ok=True)
                if not folder.is_symlink() and not folder.exists():
                    folder.symlink_to(target.resolve(), target_is_directory=True)
                elif not (folder.is_symlink() and folder.resolve() == target.resolve()):
                    raise _exists("Volume", f"{catalog}.{schema}.{name}")
            self._write(self._volume_file(catalog, schema, name), asdict(volume))

    def change_volume(self, catalog: str, schema: str, name: str, changes: Mapping[str, Any]) -> Volume:
        """Set owner, comment or name; the files move with a managed one."""
        with self._lock:
            found = self.volume(catalog, schema, name)
            changed = replace(found, base=replace(found.base, updated_at=now_ms(), **changes))
            if changed.base.name != name:
                if self._volume_file(catalog, schema, changed.base.name).exists():
                    raise _exists("Volume", f"{catalog}.{schema}.{changed.base.name}")
                self.folder(catalog, schema, name).rename(self.folder(catalog, schema, changed.base.name))
            self._write(self._volume_file(catalog, schema, changed.base.name), asdict(changed))
            if changed.base.name != name:
                self._volume_file(catalog, schema, name).unlink()
        return changed

    def delete_volume(self, catalog: str, schema: str, name: str) -> None:
        """Remove one; the files of a managed one go with it, those of an external one stay."""
        with self._lock:
            self.volume(catalog, schema, name)
            folder = self.folder(catalog, schema, name)
            if folder.is_symlink():
                folder.unlink()
            else:
                shutil.rmtree(folder, ignore_errors=True)
            self._volume_file(catalog, schema, name).unlink()

    # tables: Spark makes them

    def tables(self, catalog: str, schema: str) -> list[dict[str, Any]]:
        """What Spark told of the tables and views of a schema, by name."""
        self.schema(catalog, schema)
        found = []
        for name in self._names(self._database(catalog, schema) / "tables"):
            try:
                found.append(self.table(catalog, schema, name))
            except ApiError:  # it was dropped while we listed
                continue
        return found

    def table(self, catalog: str, schema: str, name: str) -> dict[str, Any]:
        """One."""
        return self._read(self._table_file(catalog, schema, name), f"Table '{catalog}.{schema}.{name}' does not exist.")

    def delete_table(self, catalog: str, schema: str, name: str) -> None:
        """Remove one; the files of a managed one go with it. Drivers forget it before their next run."""
        with self._lock:
            told = self.table(catalog, schema, name)
            self._table_file(catalog, schema, name).unlink(missing_ok=True)
            location = str(told.get("location", ""))
            if told["type"] == "MANAGED" and location.startswith("dbfs:/"):
                shutil.rmtree(self._local(location), ignore_errors=True)


def _exists(what: str, name: str) -> ApiError:
    return conflict(f"{what} '{name}' already exists")


def _not_empty(what: str, name: str) -> ApiError:
    return invalid(f"{what} '{name}' is not empty: delete what is in it first, or force it")
