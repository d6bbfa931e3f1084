"""Secrets: their limits, references to them, and how they are taken out of text. Pure.

Source: Databricks, "Secret management" and the Secrets API 2.0 (limits, messages).
"""

import re
from collections.abc import Callable, Iterable, Mapping

from headway.workspace.errors import ApiError, invalid, missing

PERMISSIONS = ("READ", "WRITE", "MANAGE")
MOST_SCOPES = 1000
MOST_SECRETS = 1000
MOST_BYTES = 128 * 1024
REDACTED = "[REDACTED]"
# Taking out shorter ones would spoil the text and tell what they are.
SHORTEST_REDACTED = 4
_NAME = re.compile(r"[\w\-@.]{1,128}", re.ASCII)
_REFERENCE = re.compile(r"\{\{\s*secrets/([^/{}]+)/([^/{}]+?)\s*\}\}")


def name(given: str, what: str) -> str:
    """A scope's or key's name. Raise ApiError."""
    if not _NAME.fullmatch(given):
        raise invalid(f"{what} must have from 1 to 128 letters, digits and characters of -_@. : {given[:130]!r}")
    return given


def no_scope(scope: str) -> ApiError:
    """There is no such scope."""
    return missing(f"Scope {scope[:130]} does not exist!")


def no_secret(scope: str, key: str) -> ApiError:
    """There is no such secret."""
    return missing(f"Secret does not exist with scope: {scope[:130]} and key: {key[:130]}")


def references(values: Mapping[str, str]) -> set[tuple[str, str]]:
    """The scopes and keys that `{{secrets/scope/key}}` names in the values."""
    return {(match[1], match[2]) for value in values.values() for match in _REFERENCE.finditer(value)}


def reveal(values: Mapping[str, str], read: Callable[[str, str], str]) -> tuple[dict[str, str], frozenset[str]]:
    """The values with secrets in the place of their references, and the names of those that have any."""
    found = {key: _REFERENCE.sub(lambda match: read(match[1], match[2]), value) for key, value in values.items()}
    return found, frozenset(key for key, value in values.items() if _REFERENCE.search(value))


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, the longest first; each line of a secret counts by itself too."""
    parts = {part for secret in secrets for part in (secret, *secret.splitlines()) if len(part) >= SHORTEST_REDACTED}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, REDACTED)
    return text
