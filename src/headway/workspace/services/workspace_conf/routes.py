"""`/api/2.0/workspace-conf`, for administrators."""

from collections.abc import Sequence

from headway.workspace.errors import invalid
from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.services.workspace_conf.model import SETTINGS, checked
from headway.workspace.services.workspace_conf.store import ConfStore


class ConfRoutes:
    """The routes."""

    def __init__(self, store: ConfStore) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("GET", "/workspace-conf", self.get, admin=True),
            Endpoint("PATCH", "/workspace-conf", self.change, admin=True),
        ]

    def get(self, call: Call) -> Data:
        """The values of those that `keys` names, separated by commas."""
        names = [name.strip() for name in text(call.data, "keys").split(",")]
        unknown = [name for name in names if name not in SETTINGS]
        if unknown:
            raise invalid(f"Invalid keys: [{', '.join(unknown)[:200]}]. Known here: {', '.join(SETTINGS)}")
        return {name: self._store.get(name) for name in names}

    def change(self, call: Call) -> Data:
        """Other values: all of them, or none where one cannot be."""
        values = {name: checked(name, value) for name, value in call.data.items()}
        if not values:
            raise invalid("Missing required field: a setting")
        self._store.put(values)
        return {}
