"""Git, through its own program."""

import os
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.process import Finished, run_command
from headway.core.errors import HeadwayError

_LISTED = 5


@dataclass(frozen=True)
class Commit:
    """A commit. `authored_at` is ISO 8601; `branch` the checked-out branch, empty where none is."""

    sha: str
    subject: str
    author: str
    authored_at: str
    branch: str


@dataclass(frozen=True)
class Repository:
    """A repository's work tree. Nothing here changes it."""

    root: Path

    @classmethod
    def open(cls, path: Path) -> "Repository":
        """The repository that `path` lies in. Raise HeadwayError GIT_NOT_A_REPOSITORY."""
        if not path.is_dir():
            raise HeadwayError("GIT_NOT_A_REPOSITORY", path=path)
        done = run_command(["git", "rev-parse", "--show-toplevel"], cwd=path)
        if done.status != 0:
            raise HeadwayError("GIT_NOT_A_REPOSITORY", path=path)
        return cls(Path(done.output.strip()))

    def resolve(self, reference: str) -> Commit:
        """The commit that a hash, branch or tag names. Raise HeadwayError GIT_UNKNOWN_COMMIT."""
        done = self._try("rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
        if done.status != 0:
            raise HeadwayError("GIT_UNKNOWN_COMMIT", path=self.root, ref=reference)
        sha = done.output.strip()
        subject, author, authored = (
            self._run("show", "--no-patch", "--format=%s%x00%an%x00%aI", sha).strip().split("\0")
        )
        branch = self._try("symbolic-ref", "--short", "--quiet", "HEAD")
        return Commit(sha, subject, author, authored, branch.output.strip() if branch.status == 0 else "")

    def remote(self) -> str:
        """The URL of the remote `origin`, as git has it; empty where there is none."""
        done = self._try("remote", "get-url", "origin")
        return done.output.strip() if done.status == 0 else ""

    def dirty_files(self) -> list[str]:
        """What differs from the last commit, untracked files included."""
        return [line[3:] for line in self._run("status", "--porcelain").splitlines()]

    def require_clean(self) -> None:
        """Raise HeadwayError GIT_DIRTY where something is not committed."""
        files = self.dirty_files()
        if files:
            more = f" and {len(files) - _LISTED} more" if len(files) > _LISTED else ""
            raise HeadwayError("GIT_DIRTY", path=self.root, files=", ".join(files[:_LISTED]) + more)

    def export(self, sha: str, folder: Path) -> None:
        """Write the files of a commit, and nothing else, into `folder` (which must be new)."""
        folder.mkdir(parents=True)
        environment = {**os.environ, "GIT_INDEX_FILE": str(folder.with_name(folder.name + ".index"))}
        try:
            for arguments in (["read-tree", sha], ["checkout-index", "--all", f"--prefix={folder}/"]):
                done = run_command(["git", *arguments], cwd=self.root, environment=environment)
                if done.status != 0:
                    raise HeadwayError("GIT_FAILED", command=arguments[0], reason=done.output.strip())
        finally:
            Path(environment["GIT_INDEX_FILE"]).unlink(missing_ok=True)

    def _try(self, *arguments: str) -> Finished:
        return run_command(["git", *arguments], cwd=self.root)

    def _run(self, *arguments: str) -> str:
        done = self._try(*arguments)
        if done.status != 0:
            raise HeadwayError("GIT_FAILED", command=arguments[0], reason=done.output.strip())
        return done.output
