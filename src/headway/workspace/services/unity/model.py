"""Catalogs, schemas, volumes and tables as the API tells of them; names and the rules for them. Pure.

One metastore, in which the catalog `main` is Spark's own (`spark_catalog`): `main.sales.orders` and `sales.orders` are
one table. A schema of another catalog is the Spark database `<catalog>__<schema>`.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.workspace.errors import invalid

MAIN = "main"
METASTORE_ID = "00000000-0000-4000-8000-000000000001"
SEPARATOR = "__"
_NAME = re.compile(r"[^./\s\x00-\x1f\x7f]{1,255}")
_TYPES = {
    "long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint",
}  # fmt: skip
_TYPE_NAMES = {"long": "LONG", "integer": "INT", "short": "SHORT", "byte": "BYTE", "void": "NULL"}
DATABASE, CATALOG_FILE = "database.json", "catalog.json"


@dataclass(frozen=True)
class Securable:
    """What catalogs, schemas and volumes have in common. Times in milliseconds since 1970."""

    name: str
    owner: str
    created_at: int
    updated_at: int
    comment: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)

    def common(self, full_name: str) -> dict[str, Any]:
        """Their fields in the API."""
        data: dict[str, Any] = {
            "name": self.name,
            "full_name": full_name,
            "owner": self.owner,
            "created_at": self.created_at,
            "created_by": self.owner,
            "updated_at": self.updated_at,
            "updated_by": self.owner,
            "metastore_id": METASTORE_ID,
        }
        if self.comment:
            data["comment"] = self.comment
        if self.properties:
            data["properties"] = dict(self.properties)
        return data


@dataclass(frozen=True)
class Volume:
    """A volume: a folder of files. `location` is where an external one lies (`dbfs:/…`); a managed one has none."""

    base: Securable
    location: str | None = None

    def to_json(self, catalog: str, schema: str, local: str) -> dict[str, Any]:
        """As the API answers it; `local` is the place of a managed volume."""
        full_name = f"{catalog}.{schema}.{self.base.name}"
        data = self.base.common(full_name)
        data.pop("properties", None)
        return {
            **data,
            "catalog_name": catalog,
            "schema_name": schema,
            "volume_type": "EXTERNAL" if self.location else "MANAGED",
            "volume_id": identifier(full_name),
            "storage_location": self.location or local,
        }


def identifier(full_name: str) -> str:
    """A stable id of the form the API has, from a full name."""
    return str(uuid.uuid5(uuid.UUID(METASTORE_ID), full_name))


def check_name(name: str, what: str) -> str:
    """The name as it is kept: in lower case. Raise ApiError."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise invalid(
            f"Invalid {what} name '{name}': no dots, slashes, spaces or control characters, at most 255 of them"
        )
    return name.lower()


def database_of(catalog: str, schema: str) -> str:
    """The Spark database of a schema."""
    return schema if catalog == MAIN else f"{catalog}{SEPARATOR}{schema}"


def parts(full_name: str, count: int) -> list[str]:
    """The parts of a full name. Raise ApiError where there are not `count`."""
    found = full_name.lower().split(".")
    if len(found) != count or not all(_NAME.fullmatch(part) for part in found):
        raise invalid(f"'{full_name}' is not a valid name: it must have {count} parts, separated by dots")
    return found


def type_text(kind: Any) -> str:
    """A Spark type (of `StructType.json`) as SQL writes it."""
    if isinstance(kind, str):
        return _TYPES.get(kind, kind)
    match kind.get("type"):
        case "array":
            return f"array<{type_text(kind['elementType'])}>"
        case "map":
            return f"map<{type_text(kind['keyType'])},{type_text(kind['valueType'])}>"
        case "struct":
            inner = ",".join(f"{entry['name']}:{type_text(entry['type'])}" for entry in kind["fields"])
            return f"struct<{inner}>"
        case "udt":
            return type_text(kind.get("sqlType", "binary"))
    return str(kind)


def type_name(kind: Any) -> str:
    """The API's enumeration of types."""
    if not isinstance(kind, str):
        return {"array": "ARRAY", "map": "MAP", "struct": "STRUCT"}.get(kind.get("type"), "USER_DEFINED_TYPE")
    return _TYPE_NAMES.get(kind, kind.partition("(")[0].upper())


def table_json(told: Mapping[str, Any], catalog: str, schema: str, columns: bool = True) -> dict[str, Any]:
    """A table as the API answers it, from what Spark wrote of it (`host/Metastore.scala`)."""
    full_name = f"{catalog}.{schema}.{told['name']}"
    owner, created = told.get("owner") or "", told.get("created_ms", 0)
    data: dict[str, Any] = {
        "name": told["name"],
        "catalog_name": catalog,
        "schema_name": schema,
        "full_name": full_name,
        "table_id": identifier(full_name),
        "table_type": told["type"],
        "owner": owner,
        "created_at": created,
        "created_by": owner,
        "updated_at": created,
        "metastore_id": METASTORE_ID,
        "properties": {key: value for key, value in told.get("properties", {}).items() if not key.startswith("view.")},
    }
    if told.get("comment"):
        data["comment"] = told["comment"]
    if told["type"] == "VIEW":
        data["view_definition"] = told.get("view_text", "")
    else:
        data["data_source_format"] = (told.get("provider") or "parquet").upper()
        data["storage_location"] = told.get("location", "")
    if columns:
        partitions = list(told.get("partition_columns", []))
        data["columns"] = [
            {
                "name": entry["name"],
                "type_text": type_text(entry["type"]),
                "type_name": type_name(entry["type"]),
                "type_json": json.dumps(entry),
                "position": position,
                "nullable": entry.get("nullable", True),
                **({"comment": entry["metadata"]["comment"]} if entry.get("metadata", {}).get("comment") else {}),
                **({"partition_index": partitions.index(entry["name"])} if entry["name"] in partitions else {}),
            }
            for position, entry in enumerate(told["schema"]["fields"])
        ]
    return data


def like(value: str, pattern: str) -> bool:
    """SQL's LIKE: `%` stands for any text, `_` for any character; case does not count."""
    shape = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(shape, value, re.IGNORECASE | re.DOTALL) is not None
