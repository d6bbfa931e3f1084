"""Sessions: the visitor's token in a cookie that only this server can read, and the forms' tokens that go with it.

The token is asked about again on every request (`pipeline.access`), so a revoked one ends its sessions. Nothing is
kept on the server but which sessions were logged out, until they would have ended by themselves.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

SECONDS = 12 * 3600
LOGIN_SECONDS = 3600


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in. `id` names the session, `token` is what the visitor logged in with."""

    id: str
    token: str


class Sessions:
    """Seals and opens cookies. `key` is the server's own secret."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"headway session cookies\0" + key).digest()))
        self._forms = hashlib.sha256(b"headway form tokens\0" + key).digest()
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, token: str) -> str:
        """A cookie for somebody who has just logged in."""
        return self.seal({"id": secrets.token_urlsafe(16), "token": token})

    def open(self, cookie: str | None) -> Session | None:
        """Whose cookie it is; None where it is forged, too old, or was logged out."""
        found = self.unseal(cookie, SECONDS)
        if not found or not isinstance(found.get("token"), str):
            return None
        session = Session(str(found.get("id")), found["token"])
        with self._lock:
            return None if session.id in self._ended else session

    def end(self, session: Session) -> None:
        """Log out: the cookie means nothing from now on, wherever a copy of it is."""
        now = time.monotonic()
        with self._lock:
            self._ended = {key: until for key, until in self._ended.items() if until > now}
            self._ended[session.id] = now + SECONDS

    def form_token(self, session_id: str) -> str:
        """What every form of a session holds. Another session's does not fit."""
        return hmac.new(self._forms, session_id.encode(), hashlib.sha256).hexdigest()

    def fits(self, session_id: str, token: str) -> bool:
        """Whether a form came from a page of this session."""
        return hmac.compare_digest(self.form_token(session_id).encode(), token.encode("utf-8", "surrogateescape"))

    def seal(self, data: dict[str, Any]) -> str:
        """A small value for a cookie: nobody else can read or make it."""
        return self._fernet.encrypt(json.dumps(data).encode()).decode()

    def unseal(self, cookie: str | None, seconds: int) -> dict[str, Any] | None:
        """The value again, where it is ours and not older than that."""
        try:
            data = json.loads(self._fernet.decrypt((cookie or "").encode("utf-8", "replace"), ttl=seconds))
        except (InvalidToken, ValueError):
            return None
        return data if isinstance(data, dict) else None
