"""Bare mirrors of remote repositories: fetched once, exported many times. Git's own program does the work.

A remote is https, http, ssh, git or file; nothing else is spoken, no question is ever asked on a terminal. A token is
handed over in git's environment, for that host alone; it is neither an argument nor kept in a file.
"""

import base64
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from headway.adapters.process import Finished, Supervision, end_all_with, run_command
from headway.core.errors import HeadwayError

FETCH_SECONDS = 600
LOOK_SECONDS = 60
_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCP = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^:].*")
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_GONE = re.compile(
    r"not found|does not exist|does not appear to be a git repository|could not read username|access denied"
    r"|authentication failed|permission denied|repository not",
    re.IGNORECASE,
)
# What a git that was killed, or a machine that lost power, leaves in a mirror: locks, and files without content.
_LOCKED = re.compile(r"\.lock': File exists|cannot lock ref")
_BROKEN = re.compile(
    r"not a git repository: |object file .* is empty|loose object .* is corrupt|bad config|bad object|missing blob"
    r"|unable to read (sha1 file|tree|[0-9a-f]{40})|invalid sha1 pointer"
)
_MARK = "HEADWAY_FETCHES_INTO"
# What tidies the mirror up does so before the fetch ends: nobody else works in it then.
_TIDY = ("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false")


@dataclass(frozen=True)
class RemoteCommit:
    """A commit of a remote. `committed_ms` is the committer's time, in milliseconds since 1970."""

    sha: str
    subject: str
    author: str
    committed_ms: int


def check_remote(url: str) -> str:
    """The URL of a remote as it may be used. Raise HeadwayError REMOTE_INVALID."""
    parts = urlsplit(url) if "://" in url else None
    if parts is not None:
        if parts.scheme not in _SCHEMES:
            raise HeadwayError("REMOTE_INVALID", url=url, reason=f"git+{parts.scheme} is not spoken here")
        if parts.password:
            reason = "it holds a password; name the variable that holds the token instead"
            raise HeadwayError("REMOTE_INVALID", url=f"{parts.scheme}://…@{parts.hostname}{parts.path}", reason=reason)
        if parts.scheme != "file" and not parts.hostname:
            raise HeadwayError("REMOTE_INVALID", url=url, reason="it names no host")
        return url
    if url.startswith("/"):
        return Path(url).as_uri()
    if _SCP.fullmatch(url):
        return url
    raise HeadwayError("REMOTE_INVALID", url=url, reason="expected https://…, ssh://…, file:///… or user@host:path")


@dataclass(frozen=True)
class Mirror:
    """One remote, mirrored in `folder`. `token` is for its host, empty where it needs none; `variables` is git's
    environment; `supervision` may end what git does (HeadwayError STEP_HALTED)."""

    url: str
    folder: Path
    variables: Mapping[str, str]
    token: str = ""
    supervision: Supervision | None = None

    def heads(self) -> dict[str, str]:
        """The commit at the head of each branch. Raise HeadwayError REMOTE_GONE, REMOTE_UNREACHABLE."""
        done = self._git("ls-remote", "--heads", "--", self.url, seconds=LOOK_SECONDS)
        self._require(done)
        found = (line.split("\t") for line in done.output.splitlines() if "\trefs/heads/" in line)
        return {name.removeprefix("refs/heads/"): sha for sha, name in found}

    def default_branch(self) -> str | None:
        """The branch that the remote's HEAD names."""
        done = self._git("ls-remote", "--symref", "--", self.url, "HEAD", seconds=LOOK_SECONDS)
        self._require(done)
        found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", done.output, re.MULTILINE)
        return found.group(1) if found else None

    def fetch(self, *more: str) -> None:
        """Bring every branch and tag, and the refs or commits `more`, here."""
        with self._locked():
            self._require(
                self._fetched("--prune", "--", self.url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            )
            for ref in more:
                self._require(self._fetched("--", self.url, ref))

    def _fetched(self, *arguments: str) -> Finished:
        """A fetch; once more where a killed one had left the mirror unfit."""
        for fresh in (True, False):
            if not (self.folder / "HEAD").exists():
                self._ok("init", "--quiet", "--bare", str(self.folder), here=False)
            fetch = (*_TIDY, "fetch", "--quiet", "--force", *arguments)
            done = self._git(*fetch, own={_MARK: str(self.folder)}, seconds=FETCH_SECONDS)
            if done.status == 0 or not fresh or not self._mended(done.output):
                break
        return done

    def _mended(self, said: str) -> bool:
        """Who holds the mirror's lock mends what a killed process left in it; False where that is not what is wrong."""
        if _LOCKED.search(said):
            end_all_with(_MARK, str(self.folder))
            for lock in self.folder.rglob("*.lock"):
                lock.unlink(missing_ok=True)
            return True
        if _BROKEN.search(said):
            shutil.rmtree(self.folder, ignore_errors=True)
            return True
        return False

    def commit(self, reference: str, *, pull: str | None = None) -> RemoteCommit:
        """The commit that a hash, branch or tag names, fetched where it is not here. `pull` is the ref of a pull
        request to look in as well. Raise HeadwayError COMMIT_GONE where the remote has none."""
        found = self._commit(reference) if _SHA.fullmatch(reference) else None
        if found is None:
            self.fetch(*([pull] if pull else []))
            found = self._commit(reference)
        if found is None and _SHA.fullmatch(reference):
            with self._locked():  # no branch has it any more; some servers still give it by its hash
                self._fetched("--", self.url, reference)
            found = self._commit(reference)
        if found is None:
            raise HeadwayError("COMMIT_GONE", url=self.url, ref=reference)
        return found

    def _commit(self, reference: str) -> RemoteCommit | None:
        if not (self.folder / "HEAD").exists() or reference.startswith("-"):
            return None
        hashed = bool(_SHA.fullmatch(reference))
        for name in (reference,) if hashed else (f"refs/heads/{reference}", f"refs/tags/{reference}", reference):
            done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            if done.status == 0:
                sha = done.output.strip()
                shown = self._ok("show", "--no-patch", "--format=%s%x00%an%x00%ct", sha).strip()
                subject, author, seconds = shown.split("\0")
                return RemoteCommit(sha, subject, author, int(seconds) * 1000)
        return None

    def contains(self, branch: str, sha: str) -> bool:
        """Whether a branch, as it was when it was fetched last, has the commit in its history."""
        return self.is_ancestor(sha, f"refs/heads/{branch}")

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` has the commit `older` in its history, or is it."""
        return self._git("merge-base", "--is-ancestor", older, newer).status == 0

    def export(self, sha: str, folder: Path) -> None:
        """Write the files of a commit, and nothing else, into `folder` (which must be new): all of them, or there is no
        such folder."""
        if folder.exists():
            raise FileExistsError(folder)
        draft, index = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".index")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        own = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(draft)}
        try:
            self._ok("read-tree", sha, own=own)
            self._ok("checkout-index", "--all", own=own)
        except HeadwayError as error:
            with self._locked():  # what cannot be read is fetched anew by whoever tries again
                self._mended(error.message)
            raise
        finally:
            index.unlink(missing_ok=True)
        draft.rename(folder)

    def _require(self, done: Finished) -> None:
        if done.status == 0:
            return
        lines = [line.removeprefix("fatal: ") for line in done.output.strip().splitlines() if line.strip()]
        reason = "no answer in time" if done.timed_out else "; ".join(lines[:2]) or f"status {done.status}"
        if _GONE.search(done.output):
            raise HeadwayError("REMOTE_GONE", url=self.url, reason=reason)
        raise HeadwayError("REMOTE_UNREACHABLE", url=self.url, reason=reason)

    def _ok(self, *arguments: str, here: bool = True, own: Mapping[str, str] | None = None) -> str:
        done = self._git(*arguments, here=here, own=own)
        if done.status != 0:
            raise HeadwayError("GIT_FAILED", command=arguments[0], reason=done.output.strip())
        return done.output

    def _git(
        self,
        *arguments: str,
        here: bool = True,
        own: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Finished:
        where = [f"--git-dir={self.folder}"] if here and (self.folder / "HEAD").exists() else []
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        return run_command(
            ["git", *where, *arguments],
            cwd=self.folder.parent,
            environment={**self._environment(), **(own or {})},
            timeout_seconds=seconds,
            supervision=self.supervision,
        )

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in self.variables.items() if not key.startswith("GIT_")}
        kept |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": ":".join(_SCHEMES),
            "GIT_SSH_COMMAND": self.variables.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            "LC_ALL": "C",
        }
        parts = urlsplit(self.url)
        if self.token and parts.scheme in ("https", "http"):
            basic = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
            kept |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            }
        return kept

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def git_variables() -> dict[str, str]:
    """This process's environment, as git needs it (proxies, certificates, the SSH agent)."""
    return dict(os.environ)
