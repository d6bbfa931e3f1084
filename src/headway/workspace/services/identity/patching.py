"""SCIM PATCH: operations on a resource. Pure.

Source: RFC 7644, section 3.5.2. Databricks' own habits are taken too: `remove` with the values to remove in `value`,
operations in any case, values as bare text.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

from headway.workspace.errors import invalid, malformed
from headway.workspace.services.identity import filters

Resource = dict[str, Any]

_PATH = re.compile(r"(?:urn:[\w.:-]+:)?(?P<name>[\w$-]+)(?:\[(?P<filter>.+)\])?(?:\.(?P<sub>[\w$-]+))?")
MULTI_VALUED = ("members", "emails", "groups", "roles", "entitlements")
_READ_ONLY = ("id", "schemas", "meta", "groups")


def patched(resource: Mapping[str, Any], operations: Any) -> Resource:
    """The resource after the operations. Raise ApiError where one cannot be done; then none is."""
    if not isinstance(operations, list) or not operations:
        raise malformed("Could not parse request object: Expected array of objects for field Operations")
    result: Resource = copy.deepcopy(dict(resource))
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise malformed("Could not parse request object: Expected object in Operations")
        _apply(result, operation)
    return result


def _apply(resource: Resource, operation: Mapping[str, Any]) -> None:
    op, path, value = str(operation.get("op", "")).lower(), operation.get("path"), operation.get("value")
    if op not in ("add", "remove", "replace"):
        raise invalid(f"op must be add, remove or replace, not {str(operation.get('op'))[:50]!r}")
    if path in (None, ""):
        if op == "remove" or not isinstance(value, Mapping):
            raise invalid(f"an operation without a path must be add or replace, with an object as its value: {op}")
        for name, inner in value.items():
            _apply(resource, {"op": op, "path": str(name), "value": inner})
        return
    match = _PATH.fullmatch(path) if isinstance(path, str) else None
    if match is None:
        raise invalid(f"Invalid path: {str(path)[:200]!r}")
    name = next((key for key in resource if key.lower() == match["name"].lower()), match["name"])
    if name in _READ_ONLY:
        raise invalid(f"{name} cannot be changed")
    if match["filter"]:
        _filtered(resource, op, name, match["filter"], match["sub"], value)
    elif match["sub"]:
        inner = resource.setdefault(name, {})
        if not isinstance(inner, dict):
            raise invalid(f"{name} has no part {match['sub']}")
        _plain(inner, op, match["sub"], value)
    else:
        _plain(resource, op, name, value)


def _plain(holder: Resource, op: str, name: str, value: Any) -> None:
    if op == "remove":
        if value is None or not isinstance(holder.get(name), list):
            holder.pop(name, None)
        else:
            gone = {_key(entry) for entry in _list(value)}
            holder[name] = [entry for entry in holder[name] if _key(entry) not in gone]
    elif op == "add" and (name in MULTI_VALUED or isinstance(holder.get(name), list)):
        found = _list(holder.get(name, []))
        known = {_key(entry) for entry in found}
        holder[name] = [*found, *(entry for entry in _list(value) if _key(entry) not in known)]
    else:
        holder[name] = _list(value) if name in MULTI_VALUED else value


def _filtered(resource: Resource, op: str, name: str, text: str, sub: str | None, value: Any) -> None:
    wanted = filters.parse(text)
    found = _list(resource.get(name, []))
    if op == "remove" and sub is None:
        resource[name] = [entry for entry in found if not wanted(entry)]
        return
    for entry in found:
        if wanted(entry):
            if sub is not None:
                _plain(entry, op, sub, value)
            elif isinstance(value, Mapping):
                entry.update(value)
            else:
                raise invalid(f"{name}[{text}] needs an object as its value")
    resource[name] = found


def _list(value: Any) -> list[Any]:
    """A multi-valued attribute: elements are objects with a `value`; bare text becomes one."""
    entries = value if isinstance(value, list) else [value]
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, Mapping):
            found.append(dict(entry))
        elif isinstance(entry, str | int) and not isinstance(entry, bool):
            found.append({"value": str(entry)})
        else:
            raise malformed("Could not parse request object: Expected objects with a value")
    return found


def _key(entry: Any) -> str:
    return str(entry.get("value", entry)) if isinstance(entry, Mapping) else str(entry)
