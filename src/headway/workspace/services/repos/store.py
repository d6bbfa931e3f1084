"""The tables of repos and git credentials; tokens are sealed."""

import dataclasses
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.workspace.clock import now_ms
from headway.workspace.errors import conflict, missing
from headway.workspace.keys import Vault
from headway.workspace.services.repos.model import Credential, Repo
from headway.workspace.services.repos.tables import git_credentials, repos


class RepoStore:
    """Repos by the id of their folder."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, repo: Repo) -> None:
        """Keep one, in the place of what was known of it."""
        with self._engine.begin() as connection:
            connection.execute(delete(repos).where(repos.c.repo_id == repo.repo_id))
            connection.execute(insert(repos).values({**dataclasses.asdict(repo), "sparse": list(repo.sparse)}))

    def get(self, repo_id: int) -> Repo:
        """Raise ApiError."""
        with self._engine.connect() as connection:
            row = connection.execute(select(repos).where(repos.c.repo_id == repo_id)).one_or_none()
        if row is None:
            raise missing(f"Repo {repo_id} does not exist.")
        return Repo(**row._mapping)

    def after(self, repo_id: int, limit: int) -> list[Repo]:
        """Those with ids above that, in their order."""
        query = select(repos).where(repos.c.repo_id > repo_id).order_by(repos.c.repo_id).limit(limit)
        with self._engine.connect() as connection:
            return [Repo(**row._mapping) for row in connection.execute(query)]

    def delete(self, repo_id: int) -> None:
        """Forget one."""
        with self._engine.begin() as connection:
            connection.execute(delete(repos).where(repos.c.repo_id == repo_id))


class CredentialStore:
    """Git credentials of users: one for each provider."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine, self._vault = engine, vault

    def add(self, user: str, provider: str, username: str, email: str, token: str) -> Credential:
        """Keep a new one. Raise ApiError where the user has one of that provider."""
        row = {
            "user_name": user,
            "provider": provider,
            "username": username,
            "email": email,
            "sealed": self._vault.seal(token.encode(), _owner(user, provider)),
            "created_ms": now_ms(),
        }
        try:
            with self._engine.begin() as connection:
                made = connection.execute(insert(git_credentials).values(row)).inserted_primary_key
        except IntegrityError:
            raise conflict(f"{user} has a git credential of {provider} already.") from None
        return Credential(int(made[0]), user, provider, username, email, token)  # type: ignore[index]

    def of_user(self, user: str) -> list[Credential]:
        """A user's own."""
        query = select(git_credentials).where(git_credentials.c.user_name == user)
        with self._engine.connect() as connection:
            return [self._read(row) for row in connection.execute(query.order_by(git_credentials.c.credential_id))]

    def of_provider(self, user: str, provider: str) -> Credential | None:
        """The user's one of a provider."""
        return next((one for one in self.of_user(user) if one.provider == provider), None)

    def get(self, user: str, credential_id: int) -> Credential:
        """The user's one of that id. Raise ApiError."""
        found = next((one for one in self.of_user(user) if one.credential_id == credential_id), None)
        if found is None:
            raise missing(f"Git credential {credential_id} does not exist.")
        return found

    def replace(self, changed: Credential) -> None:
        """Keep what has changed."""
        values = {
            "provider": changed.provider,
            "username": changed.username,
            "email": changed.email,
            "sealed": self._vault.seal(changed.token.encode(), _owner(changed.user, changed.provider)),
        }
        query = update(git_credentials).where(git_credentials.c.credential_id == changed.credential_id)
        try:
            with self._engine.begin() as connection:
                connection.execute(query.values(values))
        except IntegrityError:
            raise conflict(f"{changed.user} has a git credential of {changed.provider} already.") from None

    def delete(self, user: str, credential_id: int) -> None:
        """Forget one. Raise ApiError where the user has none of that id."""
        found = self.get(user, credential_id)
        with self._engine.begin() as connection:
            connection.execute(delete(git_credentials).where(git_credentials.c.credential_id == found.credential_id))

    def _read(self, row: Row[Any]) -> Credential:
        token = self._vault.open(row.sealed, _owner(row.user_name, row.provider)).decode()
        return Credential(row.credential_id, row.user_name, row.provider, row.username, row.email, token)


def _owner(user: str, provider: str) -> str:
    return f"git/{user}/{provider}"
