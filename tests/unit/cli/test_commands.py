"""The command line on its own: help, init, check, exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

COMMANDS = (
    "init",
    "check",
    "release",
    "plan",
    "deploy",
    "adopt",
    "verify",
    "promote",
    "rollback",
    "resume",
    "lock",
    "status",
    "history",
    "verify-release",
    "keys",
    "run",
    "demo",
)


def headway(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it."""
    plain = {"NO_COLOR": "1", "COLUMNS": "200", "HEADWAY_STORE": "file:///nowhere"}
    hosts = {"HEADWAY_STAGE_HOST": "http://127.0.0.1:1", "HEADWAY_PRODUCTION_HOST": "http://127.0.0.1:1"}
    return subprocess.run(
        [sys.executable, "-m", "headway.cli", *arguments],
        cwd=folder,
        env={**os.environ, **plain, **hosts},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    told = headway(tmp_path, "--help")
    assert told.returncode == 0
    for command in (*COMMANDS, "workspace"):
        assert command in told.stdout


def test_init_writes_what_check_accepts_and_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").touch()
    done = headway(tmp_path, "init", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["written"][0] == "headway.toml"
    checked = headway(tmp_path, "check")
    assert checked.returncode == 0, checked.stderr
    assert "no problems" in checked.stdout
    again = headway(tmp_path, "init")
    assert again.returncode == 2
    assert "is not overwritten" in again.stderr


def test_an_error_goes_to_standard_error_with_its_hint_and_status(tmp_path: Path) -> None:
    done = headway(tmp_path, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no such file (`headway init` writes one)" in done.stderr
    as_json = headway(tmp_path, "check", "--output=json")
    assert json.loads(as_json.stdout)["error"]["code"] == "CONFIGURATION_INVALID"


def test_an_unknown_option_is_wrong_use(tmp_path: Path) -> None:
    assert headway(tmp_path, "check", "--nonsense").returncode == 2


def test_the_status_of_a_workspace_that_does_not_run(tmp_path: Path) -> None:
    done = headway(tmp_path, "workspace", "status", "--output", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["running"] is False


def test_the_demo_never_empties_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    done = headway(tmp_path, "demo", "--folder", ".")
    assert done.returncode == 2
    assert "nothing was removed" in done.stderr
    assert (tmp_path / "precious.txt").read_text() == "x"
