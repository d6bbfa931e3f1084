"""Cluster policies over HTTP: made by administrators, used by those who were given them."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from headway.workspace.clock import now_ms
from headway.workspace.errors import invalid, not_implemented
from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.services.policies.model import Policy, rules
from headway.workspace.services.policies.store import PolicyStore

_SORTS = {"POLICY_CREATION_TIME": "created_ms", "POLICY_NAME": "name"}


class PolicyRoutes:
    """The routes."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/policies/clusters/create", self.create),
            Endpoint("POST", "/policies/clusters/edit", self.edit),
            Endpoint("POST", "/policies/clusters/delete", self.delete),
            Endpoint("GET", "/policies/clusters/get", self.get),
            Endpoint("GET", "/policies/clusters/list", self.list),
        ]

    def create(self, call: Call) -> Data:
        """A new one."""
        made = _given(call, Policy(uuid.uuid4().hex[:16].upper(), "", "", "", None, call.user, now_ms()))
        self._store.add(made)
        return {"policy_id": made.policy_id}

    def edit(self, call: Call) -> Data:
        """Another one in its place; clusters go by it when they are made or edited next."""
        self._store.replace(_given(call, self._store.get(text(call.data, "policy_id"))))
        return {}

    def delete(self, call: Call) -> Data:
        """Forget one."""
        self._store.delete(text(call.data, "policy_id"))
        return {}

    def get(self, call: Call) -> Data:
        """One."""
        return self._store.get(text(call.data, "policy_id")).to_json()

    def list(self, call: Call) -> Data:
        """Those that the caller may use."""
        column = text(call.data, "sort_column", "POLICY_CREATION_TIME")
        order = text(call.data, "sort_order", "DESC")
        if column not in _SORTS or order not in ("ASC", "DESC"):
            raise invalid(f"sort_column must be one of {', '.join(_SORTS)}, sort_order ASC or DESC")
        found = sorted(self._store.all(), key=lambda one: getattr(one, _SORTS[column]), reverse=order == "DESC")
        return {"policies": [one.to_json() for one in found], "total_count": len(found)}


def _given(call: Call, before: Policy) -> Policy:
    for name in ("policy_family_id", "policy_family_definition_overrides", "libraries"):
        if call.data.get(name):
            raise not_implemented(f"{name} of a cluster policy is not served by this workspace")
    name = text(call.data, "name").strip()
    if not 0 < len(name) <= 100:
        raise invalid("name must have 1 to 100 characters")
    most = call.data.get("max_clusters_per_user")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or not 0 < most < 2**31):
        raise invalid("max_clusters_per_user must be a whole number above 0")
    rules(call.data.get("definition"))
    description = text(call.data, "description", "")
    if len(description) > 1000:
        raise invalid("description has at most 1000 characters")
    return replace(before, name=name, definition=call.data["definition"], description=description, most=most)
