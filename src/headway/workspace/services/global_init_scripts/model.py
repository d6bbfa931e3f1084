"""A global init script. Pure.

Source: Databricks REST API, Global init scripts 2.0.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import invalid, malformed

MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class GlobalScript:
    """Scripts run by `position`, from 0, where they are `enabled`. Times in milliseconds since 1970."""

    script_id: str
    name: str
    script: bytes
    enabled: bool
    position: int
    created_by: str
    created_ms: int
    updated_by: str
    updated_ms: int

    def to_json(self) -> dict[str, Any]:
        """As the list has it: without its text."""
        return {
            "script_id": self.script_id,
            "name": self.name,
            "enabled": self.enabled,
            "position": self.position,
            "created_by": self.created_by,
            "created_at": self.created_ms,
            "updated_by": self.updated_by,
            "updated_at": self.updated_ms,
        }

    def with_text(self) -> dict[str, Any]:
        """As `get` answers it."""
        return {**self.to_json(), "script": base64.b64encode(self.script).decode()}


def content(data: Mapping[str, Any]) -> bytes:
    """The text of a script. Raise ApiError where it is not base64, empty, or too large."""
    given = data.get("script")
    if not isinstance(given, str):
        raise malformed("Could not parse request object: Expected base64 text for field script")
    try:
        found = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise malformed("Could not parse request object: script is not base64") from None
    if not 0 < len(found) <= MOST_BYTES:
        raise invalid(f"A script has from 1 to {MOST_BYTES} bytes")
    return found


def checked_name(name: str) -> str:
    """Raise ApiError where a script cannot have that name."""
    if not 0 < len(name.strip()) <= 100:
        raise invalid("name must have 1 to 100 characters")
    return name.strip()


def moved(order: list[str], script_id: str, position: int | None) -> list[str]:
    """The ids in their order after one was put at a position; None or one too great: at the end. Raise ApiError."""
    if position is not None and position < 0:
        raise invalid("position must not be below 0")
    rest = [one for one in order if one != script_id]
    at = len(rest) if position is None else min(position, len(rest))
    return [*rest[:at], script_id, *rest[at:]]
