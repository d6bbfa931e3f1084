"""Global init scripts over HTTP, for administrators. Clusters that run get them when they start the next time."""

import uuid
from collections.abc import Sequence

from headway.workspace.clock import now_ms
from headway.workspace.http import Call, Data, Endpoint, flag, number, text
from headway.workspace.services.global_init_scripts.model import GlobalScript, checked_name, content
from headway.workspace.services.global_init_scripts.store import GlobalScriptStore


class GlobalScriptRoutes:
    """The routes."""

    def __init__(self, store: GlobalScriptStore) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        one = "/global-init-scripts/{script_id}"
        return [
            Endpoint("GET", "/global-init-scripts", self.list, admin=True),
            Endpoint("POST", "/global-init-scripts", self.create, admin=True),
            Endpoint("GET", one, self.get, admin=True),
            Endpoint("PATCH", one, self.update, admin=True),
            Endpoint("DELETE", one, self.delete, admin=True),
        ]

    def list(self, call: Call) -> Data:
        """All, as they run, without their texts."""
        return {"scripts": [one.to_json() for one in self._store.all()]}

    def create(self, call: Call) -> Data:
        """A new one; it runs once it is enabled."""
        now = now_ms()
        script = GlobalScript(
            uuid.uuid4().hex[:16].upper(),
            checked_name(text(call.data, "name")),
            content(call.data),
            flag(call.data, "enabled"),
            0,
            call.user,
            now,
            call.user,
            now,
        )
        self._store.add(script, _position(call.data))
        return {"script_id": script.script_id}

    def get(self, call: Call) -> Data:
        """One with its text."""
        return self._store.get(call.path["script_id"]).with_text()

    def update(self, call: Call) -> Data:
        """What is given of it."""
        values: Data = {"updated_by": call.user, "updated_ms": now_ms()}
        if "name" in call.data:
            values["name"] = checked_name(text(call.data, "name"))
        if "script" in call.data:
            values["script"] = content(call.data)
        if "enabled" in call.data:
            values["enabled"] = flag(call.data, "enabled")
        self._store.change(call.path["script_id"], _position(call.data), **values)
        return {}

    def delete(self, call: Call) -> Data:
        """Forget one."""
        self._store.delete(call.path["script_id"])
        return {}


def _position(data: Data) -> int | None:
    return number(data, "position") if data.get("position") is not None else None
