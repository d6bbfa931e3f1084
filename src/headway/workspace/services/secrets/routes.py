"""Secrets 2.0 over HTTP."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from headway.workspace.errors import ApiError, invalid, malformed, missing
from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.principals import USERS
from headway.workspace.services.secrets import model
from headway.workspace.services.secrets.store import SecretStore

PrincipalId = Callable[[str, str], int | None]


class SecretRoutes:
    """The routes. `principal_id` finds a principal's id by kind and name."""

    def __init__(self, store: SecretStore, principal_id: PrincipalId) -> None:
        self._store, self._principal_id = store, principal_id

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        posts: dict[str, Callable[[Call], Any]] = {
            "scopes/create": self.create_scope,
            "scopes/delete": self.delete_scope,
            "put": self.put,
            "delete": self.delete,
            "acls/put": self.put_acl,
            "acls/delete": self.delete_acl,
        }
        gets: dict[str, Callable[[Call], Any]] = {
            "scopes/list": self.list_scopes,
            "list": self.list,
            "get": self.get,
            "acls/list": self.list_acls,
            "acls/get": self.get_acl,
        }
        return [
            *(Endpoint("POST", f"/secrets/{name}", handler) for name, handler in posts.items()),
            *(Endpoint("GET", f"/secrets/{name}", handler) for name, handler in gets.items()),
        ]

    def _scope(self, call: Call, wanted: str) -> str:
        scope = text(call.data, "scope")
        self._store.check(call.principal, scope, wanted)
        return scope

    def create_scope(self, call: Call) -> Data:
        """A new scope, managed by who makes it, or by all users (`initial_manage_principal`)."""
        scope = model.name(text(call.data, "scope"), "scope")
        if text(call.data, "scope_backend_type", "DATABRICKS") != "DATABRICKS" or call.data.get(
            "backend_azure_keyvault"
        ):
            raise invalid("scope_backend_type must be DATABRICKS: this workspace keeps secrets itself")
        manager = text(call.data, "initial_manage_principal", "")
        if manager not in ("", USERS):
            raise invalid(f"initial_manage_principal must be {USERS}, or left out")
        self._store.create_scope(scope, manager or call.user)
        return {}

    def delete_scope(self, call: Call) -> Data:
        """Remove a scope with everything in it."""
        self._store.delete_scope(self._scope(call, "MANAGE"))
        return {}

    def list_scopes(self, call: Call) -> Data:
        """Those that the caller may read."""
        return {
            "scopes": [
                {"name": scope, "backend_type": "DATABRICKS"}
                for scope in self._store.scopes()
                if self._store.allows(call.principal, scope, "READ")
            ]
        }

    def put(self, call: Call) -> Data:
        """Keep a value: `string_value`, or `bytes_value` in base64."""
        scope, key = self._scope(call, "WRITE"), model.name(text(call.data, "key"), "key")
        if ("string_value" in call.data) == ("bytes_value" in call.data):
            raise invalid("exactly one of string_value and bytes_value must be given")
        if "string_value" in call.data:
            value = text(call.data, "string_value").encode()
        else:
            try:
                value = base64.b64decode(text(call.data, "bytes_value"), validate=True)
            except (binascii.Error, ValueError):
                raise malformed("Could not parse request object: bytes_value is not base64") from None
        if len(value) > model.MOST_BYTES:
            raise ApiError("RESOURCE_LIMIT_EXCEEDED", f"A secret has at most {model.MOST_BYTES} bytes")
        self._store.put(scope, key, value)
        return {}

    def delete(self, call: Call) -> Data:
        """Remove one."""
        self._store.delete(self._scope(call, "WRITE"), text(call.data, "key"))
        return {}

    def list(self, call: Call) -> Data:
        """The keys of a scope."""
        found = self._store.list(self._scope(call, "READ"))
        return {"secrets": [{"key": key, "last_updated_timestamp": time} for key, time in found.items()]}

    def get(self, call: Call) -> Data:
        """A value, in base64."""
        scope, key = self._scope(call, "READ"), text(call.data, "key")
        value = self._store.read(scope, key, call.principal.run_id)
        return {"key": key, "value": base64.b64encode(value).decode()}

    def put_acl(self, call: Call) -> Data:
        """Give a permission to a user, a service principal or a group."""
        scope, principal = self._scope(call, "MANAGE"), text(call.data, "principal")
        permission = text(call.data, "permission")
        if permission not in model.PERMISSIONS:
            raise invalid(f"permission must be one of {', '.join(model.PERMISSIONS)}")
        if all(self._principal_id(kind, principal) is None for kind in ("user", "service_principal", "group")):
            raise missing(f"Principal {principal[:100]} does not exist.")
        self._store.put_acl(scope, principal, permission)
        return {}

    def delete_acl(self, call: Call) -> Data:
        """Take it away."""
        self._store.delete_acl(self._scope(call, "MANAGE"), text(call.data, "principal"))
        return {}

    def list_acls(self, call: Call) -> Data:
        """Who may do what."""
        found = self._store.acls(self._scope(call, "MANAGE"))
        return {"items": [{"principal": holder, "permission": permission} for holder, permission in found.items()]}

    def get_acl(self, call: Call) -> Data:
        """What one principal may do."""
        scope, principal = self._scope(call, "MANAGE"), text(call.data, "principal")
        permission = self._store.acls(scope).get(principal)
        if permission is None:
            raise missing(f"{principal[:100]} has no permission on scope {scope}")
        return {"principal": principal, "permission": permission}
