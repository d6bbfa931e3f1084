"""Git credentials over HTTP: each user's own."""

from collections.abc import Sequence
from dataclasses import replace

from headway.workspace.errors import invalid
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.services.repos.model import provider_of
from headway.workspace.services.repos.store import CredentialStore

PLACE = "/git-credentials"


class CredentialRoutes:
    """The routes."""

    def __init__(self, store: CredentialStore) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", PLACE, self.create),
            Endpoint("GET", PLACE, self.list),
            Endpoint("GET", PLACE + "/{credential_id}", self.get),
            Endpoint("PATCH", PLACE + "/{credential_id}", self.update),
            Endpoint("DELETE", PLACE + "/{credential_id}", self.delete),
        ]

    def create(self, call: Call) -> Data:
        """A new one."""
        provider = provider_of(call.data.get("git_provider"), "")
        token = _bounded(call, "personal_access_token")
        if not token:
            raise invalid("Missing required field: personal_access_token")
        username, email = _bounded(call, "git_username"), _bounded(call, "git_email")
        return self._store.add(call.user, provider, username, email, token).to_json()

    def list(self, call: Call) -> Data:
        """The caller's."""
        return {"credentials": [one.to_json() for one in self._store.of_user(call.user)]}

    def get(self, call: Call) -> Data:
        """One of the caller's."""
        return self._store.get(call.user, number(call.data, "credential_id")).to_json()

    def update(self, call: Call) -> Data:
        """Other values."""
        before = self._store.get(call.user, number(call.data, "credential_id"))
        changed = replace(
            before,
            provider=provider_of(call.data.get("git_provider") or before.provider, ""),
            username=_bounded(call, "git_username", before.username),
            email=_bounded(call, "git_email", before.email),
            token=_bounded(call, "personal_access_token") or before.token,
        )
        self._store.replace(changed)
        return changed.to_json()

    def delete(self, call: Call) -> Data:
        """Forget one."""
        self._store.delete(call.user, number(call.data, "credential_id"))
        return {}


def _bounded(call: Call, name: str, default: str = "") -> str:
    found = text(call.data, name, default)
    if len(found) > (4096 if name == "personal_access_token" else 255) or not found.isprintable():
        raise invalid(f"{name} is too long, or has characters that cannot be printed")
    return found
