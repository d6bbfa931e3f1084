"""Git remotes of users: one commit of one is fetched and its files are written, by git's own program.

A repository may be hostile. Nothing of it is run or configured here: it is fetched into a bare repository that is
removed again, its files are written one by one by us. Symbolic links and submodules are left out, paths that lead
elsewhere are refused, as is what is too large. Git reads no configuration of the machine's users, asks nobody, follows
no redirect, and gets a login in its environment for that remote alone.
"""

import base64
import logging
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from headway.adapters.process import Finished, run_command
from headway.workspace.errors import ApiError, invalid
from headway.workspace.outgoing import check_host
from headway.workspace.paths import confined

logger = logging.getLogger(__name__)

SECONDS = 120
MOST_FILES = 10_000
MOST_BYTES = 1024 * 1024 * 1024
_OPTION = "--allow-git"
_SCP = re.compile(r"([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+):([^:/-][^:]*|/[^:]*)")
_REF = re.compile(r"(?!.*(\.\.|@\{|//|\.lock(/|$)))[^\x00-\x20\x7f~^:?*\[\\/.-][^\x00-\x20\x7f~^:?*\[\\]{0,243}")
_SHA = re.compile(r"[0-9a-f]{40}")
_KEPT = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "SSH_AUTH_SOCK")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@dataclass(frozen=True)
class Login:
    """Who fetches: what a git server takes as user and password."""

    username: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Reference:
    """What is fetched: a branch, a tag or a commit; the remote's own branch where `kind` is empty."""

    kind: str = ""
    name: str = ""

    def checked(self) -> "Reference":
        """Itself. Raise ApiError where it cannot be a name of one."""
        if self.kind == "commit" and not _SHA.fullmatch(self.name):
            raise invalid("A commit must be given by its 40 hexadecimal digits")
        if self.kind in ("branch", "tag") and not _REF.fullmatch(self.name):
            raise invalid(f"{self.name[:100]!r} cannot be the name of a {self.kind}")
        return self


@dataclass(frozen=True)
class Snapshot:
    """A commit whose files were written; `branch` is empty where it is none's head."""

    commit: str
    branch: str


@dataclass(frozen=True)
class Place:
    """Where a remote is. `path` is local for `file`."""

    scheme: str
    host: str
    path: str


def place_of(url: object) -> Place:
    """What a URL means. Raise ApiError, without the URL where it may hold a password."""
    if not isinstance(url, str) or not 0 < len(url) <= 2000 or not url.isprintable():
        raise invalid("url must be the URL of a git remote")
    found = _SCP.fullmatch(url)
    if found is not None:
        return Place("ssh", found.group(2), found.group(3))
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise invalid("url cannot be understood") from None
    if parts.scheme not in ("https", "http", "ssh", "file"):
        raise invalid("url must begin with https://, http://, ssh:// or file://, or be user@host:path")
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise invalid("url holds a login: keep that as a git credential (/api/2.0/git-credentials)")
    if (parts.scheme == "file") == bool(host) or host.startswith("-") or parts.path in ("", "/"):
        raise invalid("url must name a host and a repository (file:// a folder)")
    return Place(parts.scheme, host, parts.path)


class Remotes:
    """`folder` is where repositories lie while they are fetched. `allowed` are hosts (shell patterns) that may be
    private or spoken to by ssh with the keys of this machine, and folders below which file:// may read."""

    def __init__(self, folder: Path, allowed: Sequence[str]) -> None:
        self._folder = folder
        self._folders = [Path(one).resolve() for one in allowed if one.startswith("/")]
        self.hosts = tuple(one for one in allowed if not one.startswith("/"))

    def check(self, url: object) -> Place:
        """Where a remote is, if it may be fetched from. Raise ApiError."""
        place = place_of(url)
        if place.scheme == "file":
            path = Path(place.path).resolve()
            if not any(path.is_relative_to(folder) for folder in self._folders):
                raise _refused(f"file:// is read only below folders that are allowed ({_OPTION} FOLDER)")
        elif place.scheme == "ssh":
            # ssh goes by the keys of whoever runs the workspace: that must be wanted.
            if place.host not in self.hosts:
                raise _refused(f"ssh is spoken only to hosts that are allowed ({_OPTION} {place.host})")
        else:
            port = urlsplit(str(url)).port or (443 if place.scheme == "https" else 80)
            check_host(place.host, port, self.hosts, _OPTION)
        return place

    def write(
        self, url: str, reference: Reference, login: Login | None, target: Path, sparse: Sequence[str] = ()
    ) -> Snapshot:
        """Write the files of a commit into `target` (which must be new); of those below the folders `sparse`, where
        there are any. Raise ApiError."""
        place = self.check(url)
        reference = reference.checked()
        with self._repository(place, url, login) as git:
            if not reference.kind:
                reference = Reference("branch", _default_branch(git("ls-remote", "--symref", "--", url, "HEAD")))
            ref = {"branch": f"refs/heads/{reference.name}", "tag": f"refs/tags/{reference.name}"}
            wanted = ref.get(reference.kind, reference.name)
            git("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", url, wanted)
            commit = git("rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
            target.mkdir(parents=True)
            git.export(commit, target, sparse)
        return Snapshot(commit, reference.name if reference.kind == "branch" else "")

    @contextmanager
    def _repository(self, place: Place, url: str, login: Login | None) -> Iterator["_Repository"]:
        folder = self._folder / uuid.uuid4().hex
        (folder / "home").mkdir(parents=True, mode=0o700)
        try:
            repository = _Repository(folder, _environment(folder / "home", place, url, login))
            repository("init", "--quiet", "--bare", "--template=", str(folder / "git"))
            yield repository
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Repository:
    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment

    def __call__(self, *arguments: str, log: Path | None = None) -> str:
        where = [] if arguments[0] == "init" else [f"--git-dir={self._folder / 'git'}"]
        # No file that git writes becomes larger than a repository may be. The unit is 512 bytes.
        limit = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(MOST_BYTES // 512)]
        done = run_command(
            [*limit, "git", *where, *arguments],
            cwd=self._folder,
            environment=self._environment,
            timeout_seconds=SECONDS,
            log=log,
        )
        if done.status != 0:
            raise _failed(arguments[0], done)
        return done.output

    def export(self, commit: str, target: Path, sparse: Sequence[str]) -> None:
        listing = self._folder / "listing"
        self("ls-tree", "-r", "-l", "-z", "--full-tree", commit, log=listing)
        chosen: list[tuple[str, Path]] = []
        size = 0
        for entry in filter(None, listing.read_bytes().split(b"\0")):
            facts, _, name = entry.partition(b"\t")
            mode, kind, sha, length = facts.split()
            if kind != b"blob" or mode == b"120000":  # a submodule, a symbolic link
                logger.info("left out of a checkout: %r is no plain file", name[:200])
                continue
            path = _path(name)
            if _in_cone(path, sparse):
                size += int(length)
                chosen.append((sha.decode(), confined(target, f"/{path}")))
                if len(chosen) > MOST_FILES or size > MOST_BYTES:
                    raise invalid(f"The repository has more than {MOST_FILES} files, or {MOST_BYTES} bytes")
        self._write(chosen)

    def _write(self, chosen: Sequence[tuple[str, Path]]) -> None:
        wanted = self._folder / "wanted"
        wanted.write_text("".join(f"{sha}\n" for sha, _ in chosen))
        command = ["git", f"--git-dir={self._folder / 'git'}", "cat-file", "--batch"]
        with (
            wanted.open("rb") as asked,
            subprocess.Popen(
                command, stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(self._environment)
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101  (it was asked for)
            for sha, path in chosen:
                head = process.stdout.readline().split()
                if len(head) != 3 or head[0].decode() != sha:
                    raise invalid("The repository is damaged: a file of the commit is missing")
                path.parent.mkdir(parents=True, exist_ok=True)
                left = int(head[2])
                with path.open("xb") as output:
                    while left:
                        chunk = process.stdout.read(min(left, 1 << 20))
                        if not chunk:
                            raise invalid("The repository is damaged: a file of the commit is cut short")
                        output.write(chunk)
                        left -= len(chunk)
                process.stdout.read(1)


def _environment(home: Path, place: Place, url: str, login: Login | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}
    settings = [
        ("http.followRedirects", "false"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "30"),
        ("core.hooksPath", os.devnull),
        ("credential.helper", ""),
        ("gc.auto", "0"),
    ]
    if login is not None and place.scheme in ("https", "http"):
        parts = urlsplit(url)
        basic = base64.b64encode(f"{login.username}:{login.token}".encode()).decode()
        settings.append((f"http.{parts.scheme}://{parts.netloc}/.extraHeader", f"Authorization: Basic {basic}"))
    kept |= {
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": place.scheme,
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (name, value) in enumerate(settings):
        kept |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return kept


def _path(name: bytes) -> str:
    try:
        path = name.decode("utf-8")
    except UnicodeDecodeError:
        raise invalid("The repository has a file whose name is not UTF-8") from None
    parts = path.split("/")
    if len(path) > 1000 or not path.isprintable() or any(part.lower() in ("", ".", "..", ".git") for part in parts):
        raise invalid(f"The repository has a file of a name that is not allowed: {path[:100]!r}")
    return path


def _in_cone(path: str, folders: Sequence[str]) -> bool:
    """Whether a sparse checkout of these folders has a file: those below them, and those beside the way to them."""
    above = path.rpartition("/")[0]
    return not folders or any(
        path.startswith(f"{folder}/") or not above or folder == above or folder.startswith(f"{above}/")
        for folder in folders
    )


def _default_branch(output: str) -> str:
    found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", output, re.MULTILINE)
    if found is None:
        raise invalid("The remote has no branch that is its own: it is empty")
    return found.group(1)


def _failed(what: str, done: Finished) -> ApiError:
    if done.timed_out:
        return invalid(f"git {what}: no answer within {SECONDS} seconds")
    lines = [line for line in done.output.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
    said = "; ".join(line.partition(": ")[2][:200] for line in lines[:2]) or f"it ended with status {done.status}"
    return invalid(f"git {what} failed: {re.sub(r'://[^/@ ]*@', '://', said)}")


def _refused(why: str) -> ApiError:
    return ApiError("PERMISSION_DENIED", f"The remote is refused: {why}", 403)
