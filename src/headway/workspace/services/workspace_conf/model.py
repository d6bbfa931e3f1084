"""The workspace's settings by the names that Databricks gives them: what they mean here, which can change. Pure.

Source: Databricks REST API, Workspace conf (getStatus, setStatus): names and values are text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headway.workspace.errors import invalid

MAX_TOKEN_DAYS = 730


@dataclass(frozen=True)
class Setting:
    """`value` is what holds until another is set. `allowed` says whether a text is a value, `wanted` what values look
    like. Without `allowed` it is how this workspace is, for the reason in `wanted`."""

    value: str
    wanted: str
    allowed: Callable[[str], bool] | None = None


def _days(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdigit() and len(text) < 5 and int(text) <= MAX_TOKEN_DAYS)


def _switch(text: str) -> bool:
    return text in ("true", "false")


SETTINGS: Mapping[str, Setting] = {
    "maxTokenLifetimeDays": Setting("", f"a number of days from 0 (no limit) to {MAX_TOKEN_DAYS}, as text", _days),
    "enableExportNotebook": Setting("true", "true or false, as text", _switch),
    "enableTokensConfig": Setting("true", "without tokens nobody could sign in"),
    "enableIpAccessLists": Setting("false", "a proxy in front limits who reaches the workspace"),
    "enableDbfsFileBrowser": Setting("false", "there is no file browser"),
    "enableWebTerminal": Setting("false", "there is no web terminal"),
    "enableJobViewAcls": Setting("true", "permissions are always enforced"),
    "enforceClusterViewAcls": Setting("true", "permissions are always enforced"),
    "enforceWorkspaceViewAcls": Setting("true", "permissions are always enforced"),
}


def checked(name: str, value: object) -> str:
    """The value as it is kept. Raise ApiError where there is no such setting, or it cannot have that value."""
    setting = SETTINGS.get(name)
    if setting is None:
        raise invalid(f"Invalid keys: [{name[:100]}]. Known here: {', '.join(SETTINGS)}")
    text = str(value).lower() if isinstance(value, bool) else value
    if not isinstance(text, str):
        raise invalid(f"{name} must be text")
    if setting.allowed is None:
        if text != setting.value:
            raise invalid(f"{name} is {setting.value} here and cannot be changed: {setting.wanted}")
    elif not setting.allowed(text):
        raise invalid(f"{name} must be {setting.wanted}")
    return text
