"""The workspace as a process of this machine: start, stop, status."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headway import __version__
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress, ignore
from headway.workspace.settings import WorkspaceSettings

START_SECONDS = 420  # from one piece of news to the next: a first start may archive for `hostjar.TRAINING_SECONDS`
STOP_SECONDS = 60
_POLL_SECONDS = 0.05

# The workspaces that this process started: it is their parent, and must take note when they end.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True)
class Status:
    """A workspace on a data folder. `url`, `pid` and `token_file` are None where it does not run. `certificate` is the
    one that it made for itself: clients must be told to trust it."""

    running: bool
    data: Path
    url: str | None = None
    pid: int | None = None
    token_file: Path | None = None
    version: str = __version__
    certificate: Path | None = None


def announce(data: Path, url: str, pid: int, token_file: Path, certificate: Path | None = None) -> None:
    """Tell others where this process serves; called by the workspace itself when it is ready."""
    said = {"url": url, "pid": pid, "started": _start_time(pid), "token_file": str(token_file), "version": __version__}
    said["certificate"] = str(certificate) if certificate else None
    draft = data / f"server.{pid}.json"
    draft.write_text(json.dumps(said))
    draft.replace(data / "server.json")


def status(data: Path) -> Status:
    """Whether a workspace runs on `data`. A process id that another process has by now does not count."""
    try:
        said = json.loads((data / "server.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return Status(False, data)
    if _start_time(said["pid"]) != said["started"]:
        return Status(False, data)
    certificate = Path(said["certificate"]) if said.get("certificate") else None
    return Status(True, data, said["url"], said["pid"], Path(said["token_file"]), said["version"], certificate)


def start(settings: WorkspaceSettings, emit: Emit = ignore) -> Status:
    """Start a workspace in a process of its own and wait until it answers.

    Raise HeadwayError WORKSPACE_RUNS where one runs on that folder, WORKSPACE_DID_NOT_START with the end of its log.
    """
    data = settings.data
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HeadwayError("WORKSPACE_DID_NOT_START", log=data, reason=str(error)) from error
    with _locked(data / "start.lock"):
        found = status(data)
        if found.running:
            raise HeadwayError("WORKSPACE_RUNS", data=data, url=found.url)
        (data / "server.json").unlink(missing_ok=True)
        path = data / "settings.json"
        path.write_text(json.dumps(settings.to_json()))
        log = data / "server.log"
        with log.open("ab") as output:
            begin = output.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "headway.workspace", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _children[process.pid] = process
        return _await_answer(data, process, log, begin, emit)


def _await_answer(data: Path, process: "subprocess.Popen[bytes]", log: Path, begin: int, emit: Emit) -> Status:
    deadline = time.monotonic() + START_SECONDS
    told = begin
    while time.monotonic() < deadline:
        with log.open("rb") as source:
            source.seek(told)
            for line in source.read().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    told += len(line)
                    deadline = time.monotonic() + START_SECONDS
                    if b" INFO " not in line:
                        emit(Progress(line.decode("utf-8", "replace").rstrip()))
        found = status(data)
        if found.running and found.url and _answers(found.url):
            return found
        if process.poll() is not None:
            break
        time.sleep(_POLL_SECONDS)
    else:
        process.kill()
    with log.open("rb") as source:
        source.seek(begin)
        lines = source.read().decode("utf-8", "replace").strip().splitlines()
    raise HeadwayError("WORKSPACE_DID_NOT_START", log=log, reason=lines[-1] if lines else "it said nothing")


def _answers(url: str) -> bool:
    host, _, port = url.partition("://")[2].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


def stop(data: Path) -> Status:
    """Stop the workspace on `data`, with its runs and drivers; nothing happens where none runs."""
    found = status(data)
    if found.running and found.pid is not None:
        begun = _start_time(found.pid)
        os.kill(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _start_time(found.pid) == begun:
            if time.monotonic() > deadline:
                os.kill(found.pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(_POLL_SECONDS)
        (data / "server.json").unlink(missing_ok=True)
        child = _children.pop(found.pid, None)
        if child is not None:
            child.wait()
    return Status(False, data)


def _start_time(pid: int) -> str | None:
    """When a process began, in the kernel's own count; None where there is no such process (or only its remains)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
