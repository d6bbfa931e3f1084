"""Principals as SCIM resources. Pure.

Source: RFC 7643; Databricks' SCIM API 2.0 (`applicationId` of service principals, `entitlements`).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headway.workspace.errors import ApiError, invalid, malformed
from headway.workspace.services.identity.patching import MULTI_VALUED

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
DATABRICKS = "urn:ietf:params:scim:schemas:extension:workspace:2.0:"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
RESOURCES = {"user": "Users", "service_principal": "ServicePrincipals", "group": "Groups"}
SCHEMAS = {"user": CORE + "User", "service_principal": CORE + "ServicePrincipal", "group": CORE + "Group"}
_NAMES = {"user": "userName", "service_principal": "applicationId", "group": "displayName"}
_COMPUTED = ("id", "schemas", "meta", "groups", "members", "active", "displayName", "userName", "applicationId")


@dataclass(frozen=True)
class Reference:
    """Another principal that this one is in, or has in it."""

    principal_id: int
    kind: str
    display_name: str
    direct: bool = True

    def to_json(self) -> dict[str, Any]:
        """As an element of `groups` or `members`."""
        return {
            "value": str(self.principal_id),
            "display": self.display_name,
            "type": "direct" if self.direct else "indirect",
            "$ref": f"{RESOURCES[self.kind]}/{self.principal_id}",
        }


@dataclass(frozen=True)
class Record:
    """A user, service principal or group. `name` is what others call it by (see `tables.principals`)."""

    kind: str
    name: str
    display_name: str
    active: bool = True
    attributes: Mapping[str, Any] = field(default_factory=dict)
    principal_id: int = 0
    members: tuple[int, ...] | None = None

    def to_json(self, groups: Sequence[Reference], members: Sequence[Reference]) -> dict[str, Any]:
        """As SCIM answers it."""
        data: dict[str, Any] = {
            **self.attributes,
            "schemas": [SCHEMAS[self.kind]],
            "id": str(self.principal_id),
            "displayName": self.display_name,
        }
        if self.kind == "group":
            data["members"] = [_member(reference) for reference in members]
            data["meta"] = {"resourceType": "WorkspaceGroup"}
        else:
            data[_NAMES[self.kind]] = self.name
            data["active"] = self.active
        if groups or self.kind != "group":
            data["groups"] = [group.to_json() for group in groups]
        return data


def _member(reference: Reference) -> dict[str, Any]:
    found = reference.to_json()
    del found["type"]
    return found


def record(kind: str, given: Mapping[str, Any], before: Record | None = None) -> Record:
    """What a SCIM resource says, new or in the place of `before`. Raise ApiError where it says too little."""
    name = given.get(_NAMES[kind])
    if kind == "service_principal" and name in (None, ""):
        name = before.name if before else str(uuid.uuid4())
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 255:
        raise invalid(f"{_NAMES[kind]} must be text of at most 255 characters")
    if before is not None and kind != "group" and name != before.name:
        raise invalid(f"{_NAMES[kind]} cannot be changed: {before.name}")
    display = given.get("displayName", name)
    if display in (None, ""):
        display = name
    if not isinstance(display, str) or len(display) > 255:
        raise invalid("displayName must be text of at most 255 characters")
    active = given.get("active", True)
    if not isinstance(active, bool):
        if str(active).lower() not in ("true", "false"):
            raise malformed("Could not parse request object: Expected boolean for field active")
        active = str(active).lower() == "true"
    attributes = {key: value for key, value in given.items() if key not in _COMPUTED}
    for key in MULTI_VALUED:
        found = attributes.get(key, [])
        if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
            raise malformed(f"Could not parse request object: Expected array of objects for field {key}")
    if kind == "user":
        attributes.setdefault("emails", [{"type": "work", "value": name, "primary": True}])
    members = _members(given) if kind == "group" and ("members" in given or before is not None) else None
    return Record(kind, name.strip(), display, active, attributes, before.principal_id if before else 0, members)


def _members(given: Mapping[str, Any]) -> tuple[int, ...]:
    found = given.get("members") or []
    if not isinstance(found, list):
        raise malformed("Could not parse request object: Expected array of objects for field members")
    return tuple(dict.fromkeys(_member_id(entry) for entry in found))


def _member_id(entry: Any) -> int:
    value = str(entry.get("value", "")) if isinstance(entry, Mapping) else ""
    if not value.isdecimal() or len(value) > 18:
        raise invalid(f"Member {value[:50]!r} is not the id of a principal")
    return int(value)


def no_such(kind: str, given: object) -> ApiError:
    """There is no principal of that kind and id."""
    word = {"user": "User", "service_principal": "Service principal", "group": "Group"}[kind]
    return ApiError("RESOURCE_DOES_NOT_EXIST", f"{word} with id {str(given)[:50]} not found.", 404)
