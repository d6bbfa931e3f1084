"""Who may do what: the server's own admin token, and the workspace's users, with roles from the settings."""

import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import requests

from headway.pipeline.model import ROLES, Identity, Role
from headway.pipeline.settings import ServerSettings

logger = logging.getLogger(__name__)
ADMIN = "admin"
TOKEN_FILE, KEY_FILE = "admin-token", "server.key"
LOCAL_ADMIN = "admin@headway.local"
_KNOWN_SECONDS = 60.0
_TIMEOUT_SECONDS = 10


def ensure_secret(path: Path, make: Callable[[], str] = lambda: secrets.token_hex(32)) -> str:
    """A secret kept in a file that only its owner reads, made at the first use."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as target:
            target.write(make())
        with contextlib.suppress(FileExistsError):  # the first one wins
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


class Access:
    """Tells who a bearer of a token is. `workspace` is the host whose users may come, or None."""

    def __init__(self, admin_token: str, settings: ServerSettings, workspace: str | None) -> None:
        self._admin = hashlib.sha256(admin_token.encode()).digest()
        self._settings, self._workspace = settings, workspace
        self._known: dict[bytes, tuple[float, Identity | None]] = {}
        self._lock = threading.Lock()

    def identity(self, token: str) -> Identity | None:
        """Who it is; None for a token that nobody has. What the workspace said is believed for a minute."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        if hmac.compare_digest(digest, self._admin):
            return Identity(ADMIN, "admin")
        if not token or self._workspace is None:
            return None
        with self._lock:
            at, found = self._known.get(digest, (0.0, None))
        if time.monotonic() - at < _KNOWN_SECONDS and at:
            return found
        try:
            found = self._ask(token)
        except requests.RequestException as error:
            logger.warning("the workspace cannot say who somebody is: %s", type(error).__name__)
            return None
        with self._lock:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[digest] = (time.monotonic(), found)
        return found

    def role(self, name: str, groups: Collection[str] = ()) -> Role:
        """The role of a user of the workspace: the strongest that their name or one of their groups gives."""
        own = self._settings
        if name in own.admins or name == LOCAL_ADMIN or not set(own.admin_groups).isdisjoint(groups):
            return "admin"
        if name in own.approvers or not set(own.approver_groups).isdisjoint(groups):
            return "approver"
        role: Role = next((role for role in ROLES if role == own.default_role), "viewer")
        if ROLES.index(role) < ROLES.index("developer") and not set(own.developer_groups).isdisjoint(groups):
            return "developer"
        return role

    def _ask(self, token: str) -> Identity | None:
        answer = requests.get(
            f"{self._workspace}/api/2.0/preview/scim/v2/Me",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        if answer.status_code >= 500:
            raise requests.HTTPError(f"HTTP {answer.status_code}")
        try:
            data: Any = answer.json() if answer.status_code == 200 else None
        except ValueError:
            return None
        if not isinstance(data, dict) or not data.get("userName"):
            return None
        name = str(data["userName"])
        groups = [str(entry.get("display", "")) for entry in data.get("groups") or () if isinstance(entry, dict)]
        return Identity(name, self.role(name, groups))
