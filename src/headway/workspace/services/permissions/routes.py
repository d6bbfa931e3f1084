"""Permissions 2.0 over HTTP."""

from collections.abc import Sequence

from headway.workspace.errors import invalid, missing
from headway.workspace.http import Call, Data, Endpoint
from headway.workspace.parsing import objects
from headway.workspace.principals import ADMINS
from headway.workspace.services.permissions import model
from headway.workspace.services.permissions.model import LEVELS, Known, Standing
from headway.workspace.services.permissions.store import Permissions

_FIELDS = {"user": "user_name", "service_principal": "service_principal_name", "group": "group_name"}


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
        self._permissions.change(call.principal, known, call.data, keep=False)
        return self._json(self._permissions.chain(known))

    def update(self, call: Call) -> Data:
        """Change some grants."""
        known = self._known(call)
        self._permissions.change(call.principal, known, call.data, keep=True)
        return self._json(self._permissions.chain(known))

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
        add(directory.named("group", ADMINS), model.managing(known.kind), f"/{known.kind}/")
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
