"""Runtimes: which there are, how they are found, what is told where one cannot be had."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headway.core.errors import HeadwayError
from headway.workspace.runtime import hostjar, installing
from headway.workspace.runtime.lines import LINES, find_line
from headway.workspace.runtime.maven import mirror, parse_coordinate
from headway.workspace.runtime.runtimes import Runtimes, default_runtime, extras_folder, runtimes_folder


@pytest.mark.parametrize(
    ("named", "version"),
    [
        ("3.5", "3.5.9"),
        ("3.5.9", "3.5.9"),
        ("3.5.x-scala2.12", "3.5.9"),
        ("3.5.1", None),
        ("3.5.x-scala2.13", None),
        ("2.4", None),
        ("spark", None),
    ],
)
def test_a_line_is_found_by_what_a_person_calls_it(named: str, version: str | None) -> None:
    found = find_line(named)
    assert (found.version if found else None) == version


def put(cache: Path, key: str, spark: str, scala: str) -> None:
    folder = runtimes_folder(cache) / key
    folder.mkdir(parents=True)
    said = {"spark": spark, "scala": scala, "python": sys.executable, "spark_home": "/s", "java_home": "/j"}
    (folder / "runtime.json").write_text(json.dumps(said))


def test_what_is_installed_or_removed_meanwhile_is_seen_at_once(tmp_path: Path) -> None:
    default = default_runtime(tmp_path)
    known = Runtimes(default, tmp_path)
    assert list(known) == [default.key]
    put(tmp_path, "3.5.x-scala2.12", "3.5.9", "2.12")
    assert list(known) == [default.key, "3.5.x-scala2.12"]
    python = f"Python {sys.version.split()[0]}"
    assert known["3.5.x-scala2.12"].name == f"3.5 (includes Apache Spark 3.5.9, Scala 2.12, {python})"
    assert ", Java " in default.name  # there is none in /j
    option = extras_folder(tmp_path, "3.5.9") / "s3a"
    option.mkdir(parents=True)
    (option / "a.jar").touch()
    assert known["3.5.x-scala2.12"].options == ()  # it is not complete
    (option / "complete").touch()
    assert known["3.5.x-scala2.12"].extra_jars == (option / "a.jar",)
    (runtimes_folder(tmp_path) / "3.5.x-scala2.12" / "runtime.json").write_text("{")
    assert list(known) == [default.key]


def test_an_installed_runtime_never_stands_in_for_the_default_one(tmp_path: Path) -> None:
    default = default_runtime(tmp_path)
    put(tmp_path, default.key, "4.3.9", "2.13")
    assert Runtimes(default, tmp_path)[default.key].spark == default.spark


def test_a_python_that_a_spark_does_not_work_on_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    wrong = tmp_path / "python3.11"
    wrong.write_text("#!/bin/sh\necho 3 13\n")
    wrong.chmod(0o755)
    for python, found in ((wrong, "is Python 3.13"), (tmp_path / "nothing", "is no Python that answers")):
        with pytest.raises(HeadwayError, match=r"Spark 3\.5\.9 needs Python 3\.10 to 3\.11; .*" + found):
            installing.install("3.5", tmp_path, python=python)
    assert not (runtimes_folder(tmp_path) / "3.5.x-scala2.12").exists()


def test_no_python_on_the_path_is_told_with_what_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "_python_version", lambda python: (3, 14))
    with pytest.raises(HeadwayError, match=r"none of python3\.11, python3\.10 is on the PATH") as caught:
        installing.install("3.5", tmp_path)
    assert "--python" in caught.value.hint


def test_what_cannot_be_installed_or_removed_is_named(tmp_path: Path) -> None:
    default = default_runtime(tmp_path)
    with pytest.raises(HeadwayError, match=r"no runtime 2\.4 can be installed; known: 3\.5\.x-scala2\.12"):
        installing.install("2.4", tmp_path)
    with pytest.raises(HeadwayError, match="comes with Headway"):
        installing.remove(default.key, tmp_path)
    with pytest.raises(HeadwayError, match=r"no runtime 3\.5 is installed"):
        installing.remove("3.5", tmp_path)
    with pytest.raises(HeadwayError, match="option rocket is unknown"):
        installing.install(default.key, tmp_path, ["rocket"])


def test_a_runtime_that_a_process_runs_on_is_not_removed(tmp_path: Path) -> None:
    folder = runtimes_folder(tmp_path) / "3.5.x-scala2.12"
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").touch()
    said = {"spark": "3.5.9", "scala": "2.12", "python": str(folder / "venv" / "bin" / "python")}
    said |= {"spark_home": str(folder / "venv" / "spark"), "java_home": "/j"}
    (folder / "runtime.json").write_text(json.dumps(said))
    with (
        subprocess.Popen([sys.executable, "-c", "input()", said["spark_home"]], stdin=subprocess.PIPE) as user,
        pytest.raises(HeadwayError, match=f"in use by process.* {user.pid}"),
    ):
        installing.remove("3.5", tmp_path)
    made = [tmp_path / "hosts" / "3.5.x-scala2.12-abc", tmp_path / "overlays" / "3.5.x-scala2.12" / "def"]
    other = tmp_path / "hosts" / "4.0.x-scala2.13-abc"
    for one in (*made, other):
        one.mkdir(parents=True)
    assert installing.remove("3.5", tmp_path).spark == "3.5.9"
    assert not folder.exists()
    assert [one.exists() for one in (*made, other)] == [False, False, True]


def test_hosts_that_nothing_was_started_from_for_a_month_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = default_runtime(tmp_path)
    monkeypatch.setattr(hostjar, "_compile", lambda _, jar: jar.touch())
    monkeypatch.setattr(hostjar, "_archive", lambda _, jar, archive: archive.touch())
    long_ago = time.time() - 31 * 86_400
    unused, used, other = (tmp_path / "hosts" / name for name in (f"{runtime.key}-a", f"{runtime.key}-b", "2.4-a"))
    for folder in (unused, used, other):
        folder.mkdir(parents=True)
        os.utime(folder, (long_ago, long_ago))
    (used / "used").touch()
    os.utime(used, (long_ago, long_ago))
    own = hostjar.prepare(runtime, tmp_path).jar.parent
    assert [folder.exists() for folder in (unused, used, other, own)] == [False, True, True, True]
    # An archive that could not be made is not tried again at each start, but later.
    tries: list[Path] = []
    monkeypatch.setattr(hostjar, "_archive", lambda _, jar, archive: tries.append(archive))
    (own / "classes.jsa").unlink()
    for _ in range(2):
        assert hostjar.prepare(runtime, tmp_path).archive == ()
    assert tries == [own / "classes.jsa"]
    os.utime(own / "tried", (long_ago, long_ago))
    for _ in range(2):
        hostjar.prepare(runtime, tmp_path)
    assert tries == [own / "classes.jsa"] * 2
    os.utime(own / "used", (long_ago, long_ago))
    hostjar.prepare(runtime, tmp_path)
    assert (own / "used").stat().st_mtime > long_ago + 86_400


def test_the_lines_have_a_key_each() -> None:
    assert len({line.key for line in LINES}) == len(LINES)


def test_a_mirror_of_maven_central_is_read_from_the_settings_of_maven(tmp_path: Path) -> None:
    path = tmp_path / "settings.xml"
    assert mirror(path) is None
    text = (
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors>'
        "<mirror><mirrorOf>other</mirrorOf><url>http://a</url></mirror>"
        "<mirror><mirrorOf>external:*,central</mirrorOf><url>http://b</url></mirror></mirrors></settings>"
    )
    path.write_text(text)
    assert mirror(path) == "http://b"
    assert str(parse_coordinate("g:a:1")) == "g:a:1"
    with pytest.raises(ValueError, match="group:artifact:version"):
        parse_coordinate("g:a")
