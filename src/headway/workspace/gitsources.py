"""Checkouts of the git sources of jobs, in the workspace tree: one for each user, remote and commit."""

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headway.workspace.clock import now_ms
from headway.workspace.remotes import Reference
from headway.workspace.services.files.trees import Trees
from headway.workspace.services.repos.model import patterns
from headway.workspace.services.repos.routes import Checkouts

PLACE = "/Repos/.internal"
_KEPT_MS = 30 * 86_400_000


class GitSources:
    """They belong to the user in whose name the runs go. Those that nobody made anew for 30 days are removed when the
    next commit of their remote comes."""

    def __init__(self, tree: Trees, checkouts: Checkouts) -> None:
        self._tree, self._checkouts = tree, checkouts
        self._lock = threading.Lock()

    def checkout(self, git: Mapping[str, Any], user: str, commit: str | None) -> tuple[str, str]:
        """The folder that has the files, and the commit: the one given, else what the source names now. Raise
        ApiError."""
        url, sparse = str(git["git_url"]), patterns(git.get("sparse_checkout"))
        provider = self._checkouts.provider(url, git.get("git_provider"))
        kinds = {"branch": git.get("git_branch"), "tag": git.get("git_tag"), "commit": git.get("git_commit")}
        kind, name = ("commit", commit) if commit else next((k, v) for k, v in kinds.items() if v)
        reference = Reference(kind, str(name)).checked()
        asked = "\0".join([user, url, *sparse])
        base = f"{PLACE}/{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
        with self._lock:
            if kind == "commit" and self._tree.find(f"{base}/{name}") is not None:
                return f"{base}/{name}", str(name)

            def place(staged: Path, found: str) -> str:
                path = f"{base}/{found}"
                if self._tree.find(path) is None:
                    self._tree.mkdirs(PLACE)
                    self._tree.mkdirs(base, user)
                    self._forget(base)
                    self._tree.put_tree(path, staged, user, "DIRECTORY")
                return path

            root, used, _ = self._checkouts.placed(url, provider, reference, user, sparse, place)
        return str(root), used

    def _forget(self, base: str) -> None:
        for old in self._tree.list(base):
            if old.modified_ms < now_ms() - _KEPT_MS:
                self._tree.delete(old.path, recursive=True)
