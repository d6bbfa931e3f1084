"""Permissions 2.0 over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any

from headway.workspace.errors import ApiError, invalid, missing
from headway.workspace.http import Call, Data, Endpoint
from headway.workspace.parsing import objects
from headway.workspace.principals import ADMINS, Principal
from headway.workspace.services.permissions import model
from headway.workspace.services.permissions.model import LEVELS, Known, Standing
from headway.workspace.services.permissions.store import Permissions

_HOLDERS = {"user_name": "user", "service_principal_name": "service_principal", "group_name": "group"}
_FIELDS = {kind: name for name, kind in _HOLDERS.items()}


class PermissionRoutes:
    """The routes. Who holds any level on an object may see its list; who holds CAN_MANAGE may change it."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        found = []
        for base in ("/permissions/{kind}/{object_id}", "/permissions/sql/{kind}/{object_id}"):
            found += [
                Endpoint("GET", base, self.get),
                Endpoint("PUT", base, self.set),
                Endpoint("PATCH", base, self.update),
                Endpoint("GET", f"{base}/permissionLevels", self.levels),
            ]
        return found

    def _known(self, call: Call) -> Known:
        kind = call.path["kind"]
        if kind not in LEVELS:
            raise invalid(f"{kind[:50]!r} is not a kind of object that has permissions: {', '.join(LEVELS)}")
        known = self._permissions.known(kind, call.path["object_id"])
        if known.kind != kind:
            raise missing(f"{model.SINGULAR[kind]} {call.path['object_id'][:100]} does not exist.")
        return known

    def get(self, call: Call) -> Data:
        """The list of an object, with what it inherits."""
        known = self._known(call)
        chain = self._permissions.chain(known)
        model.authorize(call.principal, chain, LEVELS[known.kind][0])
        return self._json(chain)

    def levels(self, call: Call) -> Data:
        """The levels that there are."""
        known = self._known(call)
        model.authorize(call.principal, self._permissions.chain(known), LEVELS[known.kind][0])
        return {
            "permission_levels": [
                {"permission_level": level, "description": model.DESCRIPTIONS[level]} for level in LEVELS[known.kind]
            ]
        }

    def set(self, call: Call) -> Data:
        """Put a list in the place of what was granted on the object."""
        known = self._known(call)
        if "IS_OWNER" in LEVELS[known.kind]:
            given = objects(call.data, "access_control_list")
            if sum(entry.get("permission_level") == "IS_OWNER" for entry in given) != 1:
                raise invalid(f"The {model.SINGULAR[known.kind]} must have exactly one owner.")
        self._change(call.principal, known, call.data, keep=False)
        return self._json(self._permissions.chain(known))

    def update(self, call: Call) -> Data:
        """Change some grants."""
        known = self._known(call)
        self._change(call.principal, known, call.data, keep=True)
        return self._json(self._permissions.chain(known))

    def grant(self, principal: Principal, kind: str, object_id: object, data: Mapping[str, Any]) -> None:
        """What another service was given as `access_control_list` with its object. Raise ApiError."""
        if data.get("access_control_list"):
            self._change(principal, self._permissions.known(kind, str(object_id)), data, keep=False)

    def check_list(self, kind: str, data: Mapping[str, Any]) -> None:
        """Raise ApiError where an `access_control_list` cannot be granted: before its object is made."""
        self._granted(kind, data)

    def _change(self, principal: Principal, known: Known, data: Mapping[str, Any], *, keep: bool) -> None:
        chain = self._permissions.chain(known)
        if "CAN_MANAGE" not in LEVELS[known.kind] and not principal.is_admin:  # using is not managing
            raise model.denied(principal, known, "CAN_MANAGE")
        model.authorize(principal, chain, _managing(known.kind))
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
        self._permissions.set(known, {**kept, **given})

    def _may_give(self, principal: Principal, standing: Standing, owner: int) -> bool:
        """Naming the owner that it has changes nothing; only an owner gives it away."""
        now = next((holder for holder, level in standing.grants.items() if level == "IS_OWNER"), None)
        if now is None and standing.known.owner is not None:
            directory, name = self._permissions.directory, standing.known.owner
            now = directory.named("user", name) or directory.named("service_principal", name)
        return owner == now or principal.principal_id == now

    def _granted(self, kind: str, data: Mapping[str, Any]) -> dict[int, str]:
        found: dict[int, str] = {}
        for entry in objects(data, "access_control_list"):
            names = [(field, entry[field]) for field in _HOLDERS if entry.get(field)]
            if len(names) != 1 or not isinstance(names[0][1], str):
                raise invalid("each entry must have one of user_name, group_name, service_principal_name")
            field, name = names[0]
            level = entry.get("permission_level")
            if level not in LEVELS[kind]:
                raise invalid(
                    f"{str(level)[:50]} is not a permission level of {kind}; there are {', '.join(LEVELS[kind])}"
                )
            holder = self._permissions.directory.named(_HOLDERS[field], name)
            if holder is None:
                word = _HOLDERS[field].replace("_", " ").capitalize()
                raise missing(f"{word} {name[:100]} does not exist.")
            if level == "IS_OWNER" and field == "group_name":
                raise invalid("A group cannot be an owner.")
            ladder = LEVELS[kind]
            if holder not in found or ladder.index(level) > ladder.index(found[holder]):
                found[holder] = level
        return found

    def _json(self, chain: Sequence[Standing]) -> Data:
        known = chain[0].known
        directory, ladder = self._permissions.directory, LEVELS[known.kind]
        held: dict[int, list[Data]] = {}

        def add(holder: int | None, level: str, source: str | None) -> None:
            if holder is None or level not in ladder:
                return
            entry: Data = {"permission_level": level, "inherited": source is not None}
            if source is not None:
                entry["inherited_from_object"] = [source]
            held.setdefault(holder, []).append(entry)

        for standing in chain:
            origin = None if standing is chain[0] else f"/{standing.known.kind}/{standing.known.object_id}"
            for holder, level in standing.grants.items():
                add(holder, level, origin)
            if not standing.grants:
                for group, level in standing.known.open.items():
                    add(directory.named("group", group), level, origin)
            name = standing.known.owner
            if name is not None and "IS_OWNER" not in standing.grants.values():
                owner = directory.named("user", name) or directory.named("service_principal", name)
                if not any(
                    level == LEVELS[standing.known.kind][-1] for one, level in standing.grants.items() if one == owner
                ):
                    add(owner, LEVELS[standing.known.kind][-1], origin)
        add(directory.named("group", ADMINS), _managing(known.kind), f"/{known.kind}/")
        names = directory.names(set(held))
        entries = []
        for holder, levels in held.items():
            if holder in names:
                kind, name, display = names[holder]
                entry = {_FIELDS[kind]: name, "all_permissions": levels}
                if kind != "group":
                    entry["display_name"] = display
                entries.append(entry)
        return {
            "object_id": f"/{known.kind}/{known.object_id}",
            "object_type": model.SINGULAR[known.kind],
            "access_control_list": entries,
        }


def _managing(kind: str) -> str:
    """The level that may grant."""
    return "CAN_MANAGE" if "CAN_MANAGE" in LEVELS[kind] else LEVELS[kind][-1]
