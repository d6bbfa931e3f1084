"""Unity Catalog over HTTP, `/api/2.1/unity-catalog/…`: catalogs, schemas, volumes, and the tables that Spark made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.workspace.clock import now_ms
from headway.workspace.errors import invalid, malformed
from headway.workspace.http import Call, Data, Endpoint, flag, number, text
from headway.workspace.services.unity import access, model
from headway.workspace.services.unity.grants import KINDS, Grants
from headway.workspace.services.unity.model import Securable, Volume
from headway.workspace.services.unity.store import Metastore

MAX_RESULTS = 1000


class UnityRoutes:
    """The routes, over one metastore."""

    def __init__(self, store: Metastore, grants: Grants, region: str = "local") -> None:
        self._store, self._grants, self._region = store, grants, region

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        served: list[tuple[str, str, Callable[[Call], Data]]] = [
            ("GET", "current-metastore-assignment", self.assignment),
            ("GET", "metastore_summary", self.summary),
            ("POST", "catalogs", self.create_catalog),
            ("GET", "catalogs", self.list_catalogs),
            ("GET", "catalogs/{name}", self.get_catalog),
            ("PATCH", "catalogs/{name}", self.update_catalog),
            ("DELETE", "catalogs/{name}", self.delete_catalog),
            ("POST", "schemas", self.create_schema),
            ("GET", "schemas", self.list_schemas),
            ("GET", "schemas/{full_name}", self.get_schema),
            ("PATCH", "schemas/{full_name}", self.update_schema),
            ("DELETE", "schemas/{full_name}", self.delete_schema),
            ("POST", "volumes", self.create_volume),
            ("GET", "volumes", self.list_volumes),
            ("GET", "volumes/{full_name}", self.get_volume),
            ("PATCH", "volumes/{full_name}", self.update_volume),
            ("DELETE", "volumes/{full_name}", self.delete_volume),
            ("GET", "tables", self.list_tables),
            ("GET", "table-summaries", self.table_summaries),
            ("GET", "tables/{full_name}", self.get_table),
            ("GET", "tables/{full_name}/exists", self.table_exists),
            ("DELETE", "tables/{full_name}", self.delete_table),
            ("GET", "permissions/{kind}/{full_name}", self.get_grants),
            ("PATCH", "permissions/{kind}/{full_name}", self.change_grants),
            ("GET", "effective-permissions/{kind}/{full_name}", self.effective_grants),
        ]
        return [Endpoint(method, f"/unity-catalog/{path}", handler, ("2.1",)) for method, path, handler in served]

    def assignment(self, call: Call) -> Data:
        """The one metastore."""
        return {"metastore_id": model.METASTORE_ID, "workspace_id": 1, "default_catalog_name": model.MAIN}

    def summary(self, call: Call) -> Data:
        """The same, with its name."""
        return {"metastore_id": model.METASTORE_ID, "name": "headway", "cloud": "local", "region": self._region}

    # privileges

    def get_grants(self, call: Call) -> Data:
        """Those given on an object itself."""
        return self._granted(call, effective=False)

    def effective_grants(self, call: Call) -> Data:
        """The same, with those on what it is in."""
        return self._granted(call, effective=True)

    def _granted(self, call: Call, *, effective: bool) -> Data:
        chain = self._grants.chain(_kind(call), call.path["full_name"])
        access.authorize(call.principal, chain, access.BROWSE)
        return self._grants.told(chain, text(call.data, "principal", ""), effective=effective)

    def change_grants(self, call: Call) -> Data:
        """Give and take back."""
        self._grants.change(call.principal, _kind(call), call.path["full_name"], call.data)
        return self._grants.told(self._grants.chain(_kind(call), call.path["full_name"]))

    # catalogs

    def create_catalog(self, call: Call) -> Data:
        """A new one."""
        catalog = _securable(call, "catalog")
        self._store.create_catalog(catalog)
        return _catalog(catalog)

    def list_catalogs(self, call: Call) -> Data:
        """All."""
        return _page("catalogs", [_catalog(found) for found in self._store.catalogs()], call.data)

    def get_catalog(self, call: Call) -> Data:
        """One."""
        return _catalog(self._store.catalog(model.parts(text(call.data, "name"), 1)[0]))

    def update_catalog(self, call: Call) -> Data:
        """Owner, comment, properties."""
        return _catalog(self._store.change_catalog(model.parts(text(call.data, "name"), 1)[0], _changes(call.data)))

    def delete_catalog(self, call: Call) -> Data:
        """Remove one."""
        self._store.delete_catalog(model.parts(text(call.data, "name"), 1)[0], flag(call.data, "force"))
        return {}

    # schemas

    def create_schema(self, call: Call) -> Data:
        """A new one."""
        catalog = model.parts(text(call.data, "catalog_name"), 1)[0]
        schema = _securable(call, "schema")
        self._store.create_schema(catalog, schema)
        return _schema(catalog, schema)

    def list_schemas(self, call: Call) -> Data:
        """Those of a catalog."""
        catalog = model.parts(text(call.data, "catalog_name"), 1)[0]
        return _page("schemas", [_schema(catalog, found) for found in self._store.schemas(catalog)], call.data)

    def get_schema(self, call: Call) -> Data:
        """One."""
        catalog, name = model.parts(text(call.data, "full_name"), 2)
        return _schema(catalog, self._store.schema(catalog, name))

    def update_schema(self, call: Call) -> Data:
        """Owner, comment, properties."""
        catalog, name = model.parts(text(call.data, "full_name"), 2)
        return _schema(catalog, self._store.change_schema(catalog, name, _changes(call.data)))

    def delete_schema(self, call: Call) -> Data:
        """Remove one."""
        catalog, name = model.parts(text(call.data, "full_name"), 2)
        self._store.delete_schema(catalog, name, flag(call.data, "force"))
        return {}

    # volumes

    def create_volume(self, call: Call) -> Data:
        """A new one, managed or external."""
        catalog = model.parts(text(call.data, "catalog_name"), 1)[0]
        schema = model.parts(text(call.data, "schema_name"), 1)[0]
        kind = text(call.data, "volume_type", "MANAGED")
        location = text(call.data, "storage_location", "") or None
        if kind not in ("MANAGED", "EXTERNAL"):
            raise invalid(f"Invalid volume_type {kind}. One of MANAGED, EXTERNAL")
        if (kind == "EXTERNAL") != (location is not None):
            raise invalid("storage_location must be given for an EXTERNAL volume, and only for one")
        if location is not None and not location.startswith("dbfs:/"):
            raise invalid(f"storage_location {location}: external volumes of this workspace lie in dbfs:/")
        call.require("schemas", f"{catalog}.{schema}", "CREATE_VOLUME")
        volume = Volume(_securable(call, "volume"), location)
        self._store.create_volume(catalog, schema, volume)
        return self._volume(catalog, schema, volume)

    def list_volumes(self, call: Call) -> Data:
        """Those of a schema."""
        catalog = model.parts(text(call.data, "catalog_name"), 1)[0]
        schema = model.parts(text(call.data, "schema_name"), 1)[0]
        found = [self._volume(catalog, schema, volume) for volume in self._store.volumes(catalog, schema)]
        return _page("volumes", found, call.data)

    def get_volume(self, call: Call) -> Data:
        """One."""
        catalog, schema, name = model.parts(text(call.data, "full_name"), 3)
        return self._volume(catalog, schema, self._store.volume(catalog, schema, name))

    def update_volume(self, call: Call) -> Data:
        """Owner, comment, name."""
        catalog, schema, name = model.parts(text(call.data, "full_name"), 3)
        changes = _changes({key: value for key, value in call.data.items() if key != "properties"})
        if call.data.get("new_name"):
            changes["name"] = model.check_name(text(call.data, "new_name"), "volume")
        return self._volume(catalog, schema, self._store.change_volume(catalog, schema, name, changes))

    def delete_volume(self, call: Call) -> Data:
        """Remove one."""
        catalog, schema, name = model.parts(text(call.data, "full_name"), 3)
        self._store.delete_volume(catalog, schema, name)
        return {}

    def _volume(self, catalog: str, schema: str, volume: Volume) -> Data:
        return volume.to_json(catalog, schema, f"/Volumes/{catalog}/{schema}/{volume.base.name}")

    # tables

    def list_tables(self, call: Call) -> Data:
        """Those of a schema."""
        catalog = model.parts(text(call.data, "catalog_name"), 1)[0]
        schema = model.parts(text(call.data, "schema_name"), 1)[0]
        columns = not flag(call.data, "omit_columns")
        found = [model.table_json(told, catalog, schema, columns) for told in self._store.tables(catalog, schema)]
        return _page("tables", found, call.data)

    def table_summaries(self, call: Call) -> Data:
        """The names and types of a catalog's tables; the patterns are SQL's LIKE."""
        catalog = model.parts(text(call.data, "catalog_name"), 1)[0]
        schemas, tables = text(call.data, "schema_name_pattern", "%"), text(call.data, "table_name_pattern", "%")
        found = [
            {"full_name": f"{catalog}.{schema.name}.{told['name']}", "table_type": told["type"]}
            for schema in self._store.schemas(catalog)
            if model.like(schema.name, schemas)
            for told in self._store.tables(catalog, schema.name)
            if model.like(told["name"], tables)
        ]
        return _page("tables", found, call.data)

    def get_table(self, call: Call) -> Data:
        """One."""
        catalog, schema, name = model.parts(text(call.data, "full_name"), 3)
        return model.table_json(self._store.table(catalog, schema, name), catalog, schema)

    def table_exists(self, call: Call) -> Data:
        """Whether there is one; its catalog and schema must exist."""
        catalog, schema, name = model.parts(text(call.data, "full_name"), 3)
        call.require("schemas", f"{catalog}.{schema}", "USE_SCHEMA")
        return {"table_exists": any(told["name"] == name for told in self._store.tables(catalog, schema))}

    def delete_table(self, call: Call) -> Data:
        """Remove one."""
        catalog, schema, name = model.parts(text(call.data, "full_name"), 3)
        self._store.delete_table(catalog, schema, name)
        return {}


def _kind(call: Call) -> str:
    kind = call.path["kind"].lower()
    if kind not in KINDS:
        raise invalid(f"{kind[:50]} is not a kind of object that has privileges here: {', '.join(KINDS)}")
    return kind


def _catalog(catalog: Securable) -> Data:
    return {
        **catalog.common(catalog.name),
        "catalog_type": "MANAGED_CATALOG",
        "isolation_mode": "OPEN",
        "securable_type": "CATALOG",
    }


def _schema(catalog: str, schema: Securable) -> Data:
    full_name = f"{catalog}.{schema.name}"
    return {**schema.common(full_name), "catalog_name": catalog, "schema_id": model.identifier(full_name)}


def _securable(call: Call, what: str) -> Securable:
    now = now_ms()
    name = model.check_name(text(call.data, "name"), what)
    changes = _changes(call.data)
    return Securable(name, call.user, now, now, changes.get("comment", ""), changes.get("properties", {}))


def _changes(data: Data) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name in ("comment", "owner"):
        if data.get(name) is not None:
            changes[name] = text(data, name)
    properties = data.get("properties")
    if properties is not None:
        if not isinstance(properties, Mapping) or not all(isinstance(value, str) for value in properties.values()):
            raise malformed("Could not parse request object: Expected object of strings for field properties")
        changes["properties"] = dict(properties)
    return changes


def _page(name: str, found: Sequence[Data], data: Data) -> Data:
    most = number(data, "max_results", 0) or MAX_RESULTS
    first = number(data, "page_token", 0) if data.get("page_token") else 0
    if most < 0 or first < 0:
        raise invalid("max_results and page_token must not be negative")
    most = min(most, MAX_RESULTS)
    rest = {"next_page_token": str(first + most)} if first + most < len(found) else {}
    return {name: list(found[first : first + most]), **rest}
