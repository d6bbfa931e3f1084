"""Cluster policies in a workspace: found by name, set, deleted. Each may be done twice with the same effect."""

from collections.abc import Mapping
from typing import Any

from headway.adapters.databricks import Connection
from headway.core.errors import HeadwayError
from headway.core.policies import FIELDS, policies_only
from headway.core.steps import Settings
from headway.delivery.calling import Caller, read

_BASE = "/api/2.0/policies/clusters"


def observed_policies(connection: Connection, *settings: Mapping[str, Settings]) -> dict[str, dict[str, Any]]:
    """The workspace's policies by name; none, and no call, where none of these settings has one."""
    if not any(policies_only(given) for given in settings):
        return {}
    answer = read(connection, f"{_BASE}/list", {}, "policies/clusters/list")
    return {str(policy["name"]): dict(policy) for policy in answer.get("policies") or ()}


def policy_ids(observed: Mapping[str, Settings], *settings: Mapping[str, Settings]) -> dict[str, str]:
    """The number of each policy of these settings that is there, by key."""
    return {
        key: str(observed[str(policy["name"])]["policy_id"])
        for given in settings
        for key, policy in policies_only(given).items()
        if str(policy["name"]) in observed
    }


def set_policy(caller: Caller, key: str, before: Settings | None, after: Settings) -> str:
    """Create a policy, or bring the one that is there (`before`, else of that name) to these settings; return its
    number. Raise HeadwayError."""
    body = {name: after[name] for name in FIELDS if after.get(name) is not None}
    number = str(before["policy_id"]) if before else find_policy(caller, str(after["name"]))
    if number is None:
        try:
            made = caller.write("POST", f"{_BASE}/create", body, f"policies/clusters/create {key}")
            return str(made["policy_id"])
        except HeadwayError:
            # Perhaps it was created, the answer lost, and the repetition refused because of its name.
            number = find_policy(caller, str(after["name"]))
            if number is None:
                raise
    caller.write("POST", f"{_BASE}/edit", {"policy_id": number, **body}, f"policies/clusters/edit {key}")
    return number


def find_policy(caller: Caller, name: str) -> str | None:
    """The number of the policy of a name; None where there is none."""
    answer = caller.get(f"{_BASE}/list", {}, "policies/clusters/list")
    found = [policy for policy in answer.get("policies") or () if policy.get("name") == name]
    return str(found[0]["policy_id"]) if found else None


def delete_policy(caller: Caller, key: str, name: str) -> bool:
    """Delete the policy of a name; False where there is none any more. Raise HeadwayError."""
    number = find_policy(caller, name)
    if number is None:
        return False
    try:
        caller.write("POST", f"{_BASE}/delete", {"policy_id": number}, f"policies/clusters/delete {key}")
    except HeadwayError:
        if find_policy(caller, name) is not None:  # else it was done, and the answer lost
            raise
    return True


def with_policy(value: Any, numbers: Mapping[str, str]) -> Any:
    """Settings with new numbers in the place of those of policies that were deleted and brought back."""
    if isinstance(value, Mapping):
        return {
            key: numbers.get(entry, entry)
            if key == "policy_id" and isinstance(entry, str)
            else with_policy(entry, numbers)
            for key, entry in value.items()
        }
    return [with_policy(entry, numbers) for entry in value] if isinstance(value, list) else value
