"""Notification destinations over HTTP: made and changed by administrators, listed by everybody."""

from collections.abc import Callable, Sequence

from headway.workspace.errors import invalid
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.services.notification_destinations.model import KINDS, Destination, config_of
from headway.workspace.services.notification_destinations.store import DestinationStore

PLACE = "/notification-destinations"


class DestinationRoutes:
    """The routes. `check_url` raises ApiError where a URL leads to an address that is not to be called."""

    def __init__(self, store: DestinationStore, check_url: Callable[[str], None]) -> None:
        self._store, self._check_url = store, check_url

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", PLACE, self.create, admin=True),
            Endpoint("GET", PLACE, self.list),
            Endpoint("GET", PLACE + "/{id}", self.get),
            Endpoint("PATCH", PLACE + "/{id}", self.update, admin=True),
            Endpoint("DELETE", PLACE + "/{id}", self.delete, admin=True),
        ]

    def create(self, call: Call) -> Data:
        """A new one."""
        kind, values = config_of(call.data.get("config"))
        self._check(values)
        return self._store.create(_name(call), kind, values).to_json()

    def list(self, call: Call) -> Data:
        """All, by name, a page at a time."""
        size = number(call.data, "page_size", 100)
        if not 1 <= size <= 1000:
            raise invalid("page_size must be from 1 to 1000")
        token = call.data.get("page_token") or "0"
        if not str(token).isascii() or not str(token).isdigit() or len(str(token)) > 9:
            raise invalid(f"page_token {token} is not one that this workspace gave")
        found = self._store.list(int(str(token)), size + 1)
        result: Data = {"results": [one.to_json(whole=False) for one in found[:size]]}
        if len(found) > size:
            result["next_page_token"] = str(int(str(token)) + size)
        return result

    def get(self, call: Call) -> Data:
        """One; its configuration for administrators only."""
        return self._store.get(call.path["id"]).to_json(whole=call.principal.is_admin)

    def update(self, call: Call) -> Data:
        """Another name, other values; the kind stays."""
        old = self._store.get(call.path["id"])
        name, values = old.display_name, old.values
        if call.data.get("display_name") is not None:
            name = _name(call)
        if call.data.get("config"):
            kind, values = config_of(call.data["config"])
            if kind != old.kind:
                raise invalid(f"The type of a destination cannot be changed: it is {KINDS[old.kind]}")
            self._check(values)
        changed = Destination(old.destination_id, name, old.kind, values)
        self._store.replace(changed)
        return changed.to_json()

    def delete(self, call: Call) -> Data:
        """Forget one; jobs that name it go on without."""
        self._store.delete(call.path["id"])
        return {}

    def _check(self, values: dict[str, object]) -> None:
        if "url" in values:
            self._check_url(str(values["url"]))


def _name(call: Call) -> str:
    name = text(call.data, "display_name").strip()
    if not name or len(name) > 255:
        raise invalid("display_name must have 1 to 255 characters")
    return name
