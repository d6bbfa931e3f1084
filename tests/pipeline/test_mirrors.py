"""Mirrors of remotes: what a killed git or a lost machine leaves in them, and remotes that hang."""

import subprocess
from pathlib import Path

import pytest

from headway.adapters.gitmirror import Mirror, git_variables
from headway.adapters.process import Supervision
from headway.core.errors import HeadwayError
from support.served_ci import Remote


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """A repository with a commit."""
    made = Remote(tmp_path, "mirrored")
    made.commit("one")
    return made


def mirror_of(remote: Remote, tmp_path: Path) -> Mirror:
    """Its mirror."""
    return Mirror(remote.url, tmp_path / "mirrors" / "mirrored.git", git_variables())


def test_locks_that_a_killed_fetch_left_are_taken_away(remote: Remote, tmp_path: Path) -> None:
    mirror = mirror_of(remote, tmp_path)
    mirror.fetch()
    orphan = subprocess.Popen(
        ["sleep", "600"], env={"HEADWAY_FETCHES_INTO": str(mirror.folder), "PATH": "/usr/bin:/bin"}
    )
    for name in ("packed-refs.lock", "refs/heads/main.lock"):
        (mirror.folder / name).touch()
    newer = remote.commit("two")
    assert mirror.commit("main").sha == newer
    assert orphan.wait(timeout=20) < 0
    assert list(mirror.folder.rglob("*.lock")) == []


@pytest.mark.parametrize("harm", ["no configuration", "an empty object"])
def test_a_mirror_that_cannot_be_read_is_made_anew(remote: Remote, tmp_path: Path, harm: str) -> None:
    mirror = mirror_of(remote, tmp_path)
    mirror.fetch()
    if harm == "no configuration":
        (mirror.folder / "config").write_text("[core\n")
    else:
        for path in (mirror.folder / "objects").rglob("*"):
            if path.is_file() and path.parent.name not in ("info", "pack"):
                path.chmod(0o600)
                path.write_bytes(b"")
        for pack in (mirror.folder / "objects" / "pack").iterdir():
            pack.unlink()
    newer = remote.commit("two")
    mirror.fetch()
    mirror.export(mirror.commit(newer).sha, tmp_path / "out")
    assert (tmp_path / "out" / "headway.toml").exists()


def test_files_that_cannot_be_read_are_never_half_a_checkout(remote: Remote, tmp_path: Path) -> None:
    mirror = mirror_of(remote, tmp_path)
    sha = mirror.commit("main").sha
    blob = subprocess.run(
        ["git", "rev-parse", f"{sha}:test.sh"], cwd=remote.clone, check=True, capture_output=True, text=True
    ).stdout.strip()
    for pack in (mirror.folder / "objects" / "pack").glob("*.pack"):
        moved = tmp_path / pack.name
        pack.rename(moved)
        subprocess.run(["git", "unpack-objects", "-q"], cwd=mirror.folder, stdin=moved.open("rb"), check=True)
        pack.with_suffix(".idx").unlink()
    (mirror.folder / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(HeadwayError) as caught:
        mirror.export(sha, tmp_path / "out")
    assert caught.value.code == "GIT_FAILED"
    assert not (tmp_path / "out").exists()
    mirror.export(mirror.commit(sha).sha, tmp_path / "out")  # the next try fetches it again
    assert (tmp_path / "out" / "test.sh").exists()


def test_what_a_killed_checkout_left_is_not_taken_for_one(remote: Remote, tmp_path: Path) -> None:
    mirror = mirror_of(remote, tmp_path)
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "left-behind").touch()
    mirror.export(mirror.commit("main").sha, tmp_path / "out")
    assert not (tmp_path / "out" / "left-behind").exists()
    assert (tmp_path / "out" / "build.sh").exists()
    with pytest.raises(FileExistsError):
        mirror.export(mirror.commit("main").sha, tmp_path / "out")


def test_a_remote_that_hangs_is_left_when_the_run_ends(tmp_path: Path) -> None:
    looks = iter([None, None, "cancelled by ann"])
    mirror = Mirror(
        "ssh://git@git.example.org/team/a.git",
        tmp_path / "mirror.git",
        {**git_variables(), "GIT_SSH_COMMAND": "sh -c 'sleep 600' --"},
        supervision=Supervision(lambda: next(looks, "cancelled by ann")),
    )
    with pytest.raises(HeadwayError, match="cancelled by ann") as caught:
        mirror.heads()
    assert caught.value.code == "STEP_HALTED"
