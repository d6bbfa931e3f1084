"""Repos over HTTP."""

import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.errors import ApiError, invalid
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.remotes import Login, Reference, Remotes
from headway.workspace.services.repos.model import Repo, may_have, patterns, provider_of
from headway.workspace.services.repos.store import CredentialStore, RepoStore

_PAGE = 20


class Tree(Protocol):
    """What is asked of the workspace tree (the files service's store). What is found has `path`, `object_id`,
    `object_type`."""

    def find(self, path: str) -> Any:
        """What is there, or None."""

    def by_id(self, object_id: int) -> Any:
        """Raise ApiError."""

    def name(self, path: str) -> str:
        """The tree's own name of a path."""

    def mkdirs(self, path: str, creator: str | None = None) -> None:
        """Make a folder and those above it."""

    def put_tree(self, path: str, staged: Path, creator: str, object_type: str = "REPO") -> Any:
        """Put a folder of files in the place of what is at a path."""

    def manifest(self, path: str) -> str:
        """What stands for all files below a path: another one after a change."""

    def delete(self, path: str, recursive: bool) -> None:
        """Remove it."""


class Checkouts:
    """Writes commits of remotes into folders, with the credentials of users. `drafts` is where that is done."""

    def __init__(self, remotes: Remotes, credentials: CredentialStore, drafts: Path) -> None:
        self._remotes, self._credentials, self._drafts = remotes, credentials, drafts

    def provider(self, url: object, given: object) -> str:
        """The provider of a remote that may be fetched from. Raise ApiError."""
        return provider_of(given, self._remotes.check(url).host)

    def placed(
        self,
        url: str,
        provider: str,
        reference: Reference,
        user: str,
        sparse: Sequence[str],
        place: Callable[[Path, str], Any],
    ) -> tuple[Any, str, str]:
        """Fetch a commit as `user`, and call `place` with the folder of its files and the commit. Return what that
        returns, the commit, and its branch. Raise ApiError."""
        where = self._remotes.check(url)
        found = self._credentials.of_provider(user, provider)
        login = None
        if found is not None and may_have(provider, where.scheme, where.host, self._remotes.hosts):
            login = Login(found.username or "token", found.token)
        staged = self._drafts / f"checkout-{uuid.uuid4().hex}"
        try:
            snapshot = self._remotes.write(url, reference, login, staged, sparse)
            return place(staged, snapshot.commit), snapshot.commit, snapshot.branch
        finally:
            shutil.rmtree(staged, ignore_errors=True)


class RepoRoutes:
    """The routes."""

    def __init__(self, store: RepoStore, tree: Tree, checkouts: Checkouts) -> None:
        self._store, self._tree, self._checkouts = store, tree, checkouts

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/repos", self.create),
            Endpoint("GET", "/repos", self.list),
            Endpoint("GET", "/repos/{repo_id}", self.get),
            Endpoint("PATCH", "/repos/{repo_id}", self.update),
            Endpoint("DELETE", "/repos/{repo_id}", self.delete),
            # as Airflow's provider asks
            Endpoint("PATCH", "/repos//{repo_id}", self.update),
            Endpoint("DELETE", "/repos//{repo_id}", self.delete),
        ]

    def create(self, call: Call) -> Data:
        """Clone a remote into a folder of the tree, the caller's own below /Repos where no other is named."""
        url = call.data.get("url")
        provider = self._checkouts.provider(url, call.data.get("provider"))
        reference, sparse = _reference(call), patterns(call.data.get("sparse_checkout"))
        own = str(url).rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
        path = self._tree.name(text(call.data, "path", "") or f"/Repos/{call.user}/{own}")
        parts = path.strip("/").split("/")
        if len(parts) < 2 or (parts[0] == "Repos" and len(parts) != 3):
            raise invalid(f"path must be /Repos/FOLDER/NAME, or a new folder in another one: {path[:200]}")
        above = path.rpartition("/")[0]
        if above == f"/Repos/{call.user}" or (parts[0] == "Repos" and call.principal.is_admin):
            self._tree.mkdirs(above, call.user)
        call.require("new-paths", above, "CAN_EDIT")
        if self._tree.find(path) is not None:
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"{path} already exists.")
        return self._checked_out(path, str(url), provider, reference, call.user, sparse)

    def _checked_out(
        self, path: str, url: str, provider: str, reference: Reference, user: str, sparse: Sequence[str]
    ) -> Data:
        found, commit, branch = self._checkouts.placed(
            url, provider, reference, user, sparse, lambda staged, _: self._tree.put_tree(path, staged, user)
        )
        repo = Repo(found.object_id, url, provider, branch, commit, sparse, self._tree.manifest(path))
        self._store.put(repo)
        return repo.to_json(path)

    def get(self, call: Call) -> Data:
        """One."""
        repo, path = self._one(call)
        return repo.to_json(path)

    def list(self, call: Call) -> Data:
        """Those below `path_prefix`, a page at a time."""
        prefix = text(call.data, "path_prefix", "")
        prefix = self._tree.name(prefix) if prefix else "/"
        token = text(call.data, "next_page_token", "0") or "0"
        if not token.isascii() or not token.isdigit() or len(token) > 15:
            raise invalid("next_page_token is not one that this workspace gave")
        found: list[Data] = []
        last = int(token)
        while batch := self._store.after(last, 100):
            for repo in batch:
                last = repo.repo_id
                path = self._path(repo)
                if path is None or not path.startswith(prefix) or not call.allows("repos", repo.repo_id, "CAN_READ"):
                    continue
                if len(found) == _PAGE:
                    return {"repos": found, "next_page_token": str(found[-1]["id"])}
                found.append(repo.to_json(path))
        return {"repos": found}

    def update(self, call: Call) -> Data:
        """The newest commit of a branch, or a tag; other folders of it. What somebody changed is not thrown away."""
        repo, path = self._one(call)
        reference = _reference(call)
        if not reference.kind:
            reference = Reference("branch", repo.branch) if repo.branch else Reference("commit", repo.head)
        sparse: Sequence[str] = repo.sparse
        if call.data.get("sparse_checkout") is not None:
            sparse = patterns(call.data["sparse_checkout"])
        if self._tree.manifest(path) != repo.manifest:
            message = f"{path} has changes that are in no commit, and would be lost: undo them, or make another repo"
            raise ApiError("INVALID_STATE", message)
        return self._checked_out(path, repo.url, repo.provider, reference, call.user, sparse)

    def delete(self, call: Call) -> Data:
        """Remove the folder."""
        repo, path = self._one(call)
        self._tree.delete(path, recursive=True)
        self._store.delete(repo.repo_id)
        return {}

    def _one(self, call: Call) -> tuple[Repo, str]:
        repo = self._store.get(number(call.data, "repo_id"))
        return repo, str(self._tree.by_id(repo.repo_id).path)

    def _path(self, repo: Repo) -> str | None:
        try:
            return str(self._tree.by_id(repo.repo_id).path)
        except ApiError:  # its folder was deleted
            return None


def _reference(call: Call) -> Reference:
    given = [(kind, text(call.data, kind)) for kind in ("branch", "tag") if call.data.get(kind)]
    if len(given) > 1:
        raise invalid("Only one of branch and tag can be given")
    return Reference(*given[0]).checked() if given else Reference()
