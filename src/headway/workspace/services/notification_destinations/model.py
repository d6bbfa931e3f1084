"""A notification destination as the API tells of it. Pure.

Source: Databricks REST API, "Notification destinations": URLs and passwords are written, never read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from headway.workspace.errors import invalid, not_implemented

KINDS = {"generic_webhook": "WEBHOOK", "slack": "SLACK", "microsoft_teams": "MICROSOFT_TEAMS", "email": "EMAIL"}
NOT_SERVED = ("pagerduty", "databricks_app_slack", "databricks_app_teams")
_FIELDS = {
    "generic_webhook": ("url", "username", "password"),
    "slack": ("url",),
    "microsoft_teams": ("url",),
    "email": ("addresses",),
}


@dataclass(frozen=True)
class Destination:
    """Where notifications go. `kind` is the one field of `config` that it has; `values` what that holds."""

    destination_id: str
    display_name: str
    kind: str
    values: Mapping[str, Any] = field(repr=False)

    def to_json(self, *, whole: bool = True) -> dict[str, Any]:
        """As the API answers it, without its secrets."""
        data: dict[str, Any] = {
            "id": self.destination_id,
            "display_name": self.display_name,
            "destination_type": KINDS[self.kind],
        }
        if whole and self.kind == "email":
            data["config"] = {"email": dict(self.values)}
        elif whole:
            data["config"] = {self.kind: {f"{name}_set": True for name in _FIELDS[self.kind] if self.values.get(name)}}
        return data


def config_of(config: object) -> tuple[str, dict[str, Any]]:
    """The kind and values of a `config`. Raise ApiError."""
    if not isinstance(config, Mapping):
        raise invalid("Missing required field: config")
    given = [name for name, value in config.items() if value]
    for name in given:
        if name in NOT_SERVED:
            raise not_implemented(f"Notification destinations of kind {name} are not served; use generic_webhook")
    if len(given) != 1 or given[0] not in KINDS:
        raise invalid(f"config must have exactly one of {', '.join(KINDS)}")
    kind, body = given[0], config[given[0]]
    if not isinstance(body, Mapping):
        raise invalid(f"config.{kind} must be an object")
    values = {name: body[name] for name in _FIELDS[kind] if body.get(name)}
    if kind == "email":
        addresses = values.get("addresses")
        if not isinstance(addresses, list) or not all(isinstance(one, str) and "@" in one for one in addresses):
            raise invalid("config.email.addresses must be a list of addresses")
    else:
        check_url(kind, values.get("url"))
    return kind, values


def check_url(kind: str, url: object) -> None:
    """Raise ApiError where it is no URL that can be called. It is never repeated: it may hold a secret."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        good = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise invalid(f"config.{kind}.url must be an http or https URL")
