"""Git and subprocesses, real ones."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from headway.adapters.git import Repository
from headway.adapters.process import Supervision, run_command
from headway.core.errors import HeadwayError


def git(folder: Path, *arguments: str) -> None:
    """Run git."""
    own = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with two commits."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "old.txt").write_text("old")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "first")
    (root / "old.txt").unlink()
    (root / "new.txt").write_text("new")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "second: with a colon")
    return root


def test_a_commit_is_known_by_branch_hash_and_distance(folder: Path) -> None:
    repository = Repository.open(folder)
    head = repository.resolve("HEAD")
    assert (head.subject, head.author, head.branch) == ("second: with a colon", "t", "main")
    assert repository.resolve("main").sha == head.sha == repository.resolve(head.sha[:8]).sha
    assert repository.resolve("HEAD~1").subject == "first"


def test_an_export_holds_the_commit_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    (folder / "new.txt").write_text("changed, not committed")
    repository = Repository.open(folder)
    repository.export(repository.resolve("HEAD~1").sha, tmp_path / "out" / "one")
    assert sorted(path.name for path in (tmp_path / "out" / "one").iterdir()) == ["old.txt", "run.sh"]
    assert os.access(tmp_path / "out" / "one" / "run.sh", os.X_OK)
    assert repository.dirty_files() == ["new.txt"]


@pytest.mark.parametrize("reference", ["nowhere", "", "--all", "HEAD~9", "a b"])
def test_an_unknown_commit_is_refused(folder: Path, reference: str) -> None:
    with pytest.raises(HeadwayError) as caught:
        Repository.open(folder).resolve(reference)
    assert caught.value.code == "GIT_UNKNOWN_COMMIT"


def test_what_is_not_committed_is_named(folder: Path) -> None:
    Repository.open(folder).require_clean()
    for number in range(7):
        (folder / f"extra{number}").touch()
    with pytest.raises(HeadwayError, match=r"extra0, .* and 2 more"):
        Repository.open(folder).require_clean()


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(HeadwayError) as caught:
            Repository.open(path)
        assert caught.value.code == "GIT_NOT_A_REPOSITORY"


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    done = run_command("sleep 60 & echo $!; echo ready; wait", cwd=tmp_path, timeout_seconds=0.5)
    assert done.timed_out
    child = int(done.output.splitlines()[0])
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline


def test_output_goes_to_the_log_and_line_by_line_to_the_listener(tmp_path: Path) -> None:
    lines: list[str] = []
    log = tmp_path / "log"
    done = run_command("echo one; echo two >&2; printf three; exit 4", cwd=tmp_path, log=log, on_line=lines.append)
    assert (done.status, done.timed_out) == (4, False)
    assert lines == ["one", "two", "three"]
    assert log.read_text() == done.output == "one\ntwo\nthree"


@pytest.mark.parametrize("command", ["yes", "cat /dev/zero"])
def test_a_command_that_prints_for_ever_is_ended(tmp_path: Path, command: str) -> None:
    lines: list[str] = []
    with pytest.raises(HeadwayError, match="it printed more than 1 MiB"):
        run_command(command, cwd=tmp_path, on_line=lines.append, supervision=Supervision(output_bytes=2**20))
    assert max(len(line) for line in lines) <= 2 * 2**17


def test_a_silent_command_is_ended_when_somebody_says_so(tmp_path: Path) -> None:
    asked: list[int] = []

    def halted() -> str | None:
        asked.append(1)
        return "cancelled by ann" if len(asked) > 1 else None

    with pytest.raises(HeadwayError, match="`sleep 60` was ended: cancelled by ann"):
        run_command("sleep 60", cwd=tmp_path, supervision=Supervision(halted))
