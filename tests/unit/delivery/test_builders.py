"""Builders: one file, the right version, the same bytes twice."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from headway.core.application import ArtifactSettings
from headway.core.errors import HeadwayError
from headway.core.events import ignore
from headway.delivery import junit
from headway.delivery.builders.archive import normalise_jar, read_archive, write_archive
from headway.delivery.builders.command import build_by_command
from headway.delivery.builders.notebooks import build_notebooks
from headway.delivery.builders.wheel import build_wheel
from headway.delivery.toolchain import Toolchain, installed_toolchain


@pytest.fixture(scope="session")
def tools() -> Toolchain:
    """The installed one."""
    return installed_toolchain()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small Python project."""
    root = tmp_path / "checkout"
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "hello.py").write_text("x = 1\n")
    (root / "lib" / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "hello"\ndynamic = ["version"]\n[tool.setuptools]\npy-modules = ["hello"]\n'
    )
    (root / "lib" / "setup.py").write_text(
        "import os\nfrom setuptools import setup\nsetup(version=os.environ['HEADWAY_VERSION'])\n"
    )
    return root


WHEEL = ArtifactSettings("hello", "wheel", "wheel", path="lib")


def test_a_wheel_built_twice_is_the_same_bytes(project: Path, tmp_path: Path, tools: Toolchain) -> None:
    built = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        built.append(build_wheel(WHEEL, "1.0.4", project, tmp_path / name, tools, tmp_path / "log", ignore))
    assert built[0].name == "hello-1.0.4-py3-none-any.whl"
    assert built[0].read_bytes() == built[1].read_bytes()


def test_a_wheel_built_in_another_folder_at_another_time_is_the_same_bytes(
    project: Path, tmp_path: Path, tools: Toolchain
) -> None:
    (project / "lib" / "run.sh").write_text("#!/bin/sh\n")
    (project / "lib" / "pyproject.toml").write_text(
        (project / "lib" / "pyproject.toml").read_text() + 'script-files = ["run.sh"]\n'
    )
    elsewhere = tmp_path / "quite" / "another" / "place"
    shutil.copytree(project, elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o777 if path.is_dir() else 0o666)
    built = []
    for number, folder in enumerate((project, elsewhere)):
        out = tmp_path / f"out-{number}"
        out.mkdir()
        built.append(build_wheel(WHEEL, "1.0.4", folder, out, tools, tmp_path / "log", ignore).read_bytes())
    assert built[0] == built[1]
    names = zipfile.ZipFile(tmp_path / "out-0" / "hello-1.0.4-py3-none-any.whl").namelist()
    assert names[-1] == "hello-1.0.4.dist-info/RECORD"


def write_jar(path: Path, date: str, order: int, time: tuple[int, int, int, int, int, int]) -> None:
    """As a build tool writes one: with its time, its order, its comments."""
    entries = [
        ("META-INF/", b"", zipfile.ZIP_STORED),
        ("a/B.class", b"class", zipfile.ZIP_DEFLATED),
        ("META-INF/maven/g/a/pom.properties", f"#{date}\ngroupId=g\nartifactId=a\n".encode(), zipfile.ZIP_DEFLATED),
        ("lib/nested.jar", b"stored, because it is read in place", zipfile.ZIP_STORED),
        ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n\r\n", zipfile.ZIP_DEFLATED),
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, kind in entries[::order]:
            info = zipfile.ZipInfo(name, time)
            info.compress_type = kind
            archive.writestr(info, content)


def test_a_jar_of_any_build_tool_is_the_same_bytes_whenever_it_was_made(tmp_path: Path) -> None:
    write_jar(tmp_path / "a.jar", "Mon Jan 01", 1, (2024, 1, 1, 0, 0, 0))
    write_jar(tmp_path / "b.jar", "Tue Feb 02", -1, (2025, 2, 2, 2, 2, 2))
    for name in ("a", "b"):
        normalise_jar(tmp_path / f"{name}.jar", tmp_path / f"{name}.out")
    assert (tmp_path / "a.out").read_bytes() == (tmp_path / "b.out").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.out") as archive:
        assert archive.namelist()[0] == "META-INF/MANIFEST.MF"
        assert archive.getinfo("lib/nested.jar").compress_type == zipfile.ZIP_STORED
        assert archive.read("META-INF/maven/g/a/pom.properties") == b"groupId=g\nartifactId=a\n"


def test_a_command_builds_the_same_bytes_twice(tmp_path: Path, tools: Toolchain) -> None:
    settings = ArtifactSettings("x", "jar", "command", command="python make.py", output="x.jar")
    built: list[bytes] = []
    for name in ("one", "two"):
        folder, out = tmp_path / name, tmp_path / f"{name}-out"
        folder.mkdir()
        out.mkdir()
        (folder / "make.py").write_text(
            "import zipfile, time\nwith zipfile.ZipFile('x.jar', 'w') as z:\n"
            f"  z.writestr(zipfile.ZipInfo('a', (2001, 1, {len(built) + 1}, 0, 0, 0)), 'a')\n"
        )
        built.append(build_by_command(settings, "1.0.1", folder, out, tools, tmp_path / "log", ignore).read_bytes())
    assert built[0] == built[1]


def test_a_signed_jar_keeps_its_content(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.jar", "w") as archive:
        archive.writestr("META-INF/maven/g/a/pom.properties", "#signed too\n")
        archive.writestr("META-INF/ME.SF", "x")
        archive.writestr("META-INF/MANIFEST.MF", "x")
    normalise_jar(tmp_path / "s.jar", tmp_path / "out.jar")
    with zipfile.ZipFile(tmp_path / "out.jar") as archive:
        assert archive.namelist()[:2] == ["META-INF/MANIFEST.MF", "META-INF/ME.SF"]
        assert archive.read("META-INF/maven/g/a/pom.properties") == b"#signed too\n"


def test_a_project_that_does_not_build_is_told_with_its_own_words(
    project: Path, tmp_path: Path, tools: Toolchain
) -> None:
    (project / "lib" / "setup.py").write_text("raise SystemExit('out of eggs')\n")
    with pytest.raises(HeadwayError) as caught:
        build_wheel(WHEEL, "1.0.4", project, tmp_path, tools, tmp_path / "log", ignore)
    assert caught.value.code == "BUILD_FAILED"
    assert "out of eggs" in (tmp_path / "log").read_text()


def test_an_archive_depends_on_its_content_only(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", {"b": b"2", "a": b"1", "M": b"0"}, first=("M",))
    write_archive(tmp_path / "b", {"a": b"1", "M": b"0", "b": b"2"}, first=("M",))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert list(read_archive(tmp_path / "a")) == ["M", "a", "b"]


def test_a_notebook_bundle_holds_notebooks_only(tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    for name in ("a.py", "b.sql", "README.md"):
        (tmp_path / "n" / name).write_text(name)
    settings = ArtifactSettings("books", "notebooks", "notebooks", path="n")
    assert list(read_archive(build_notebooks(settings, "1.0.1", tmp_path, tmp_path))) == ["a.py", "b.sql"]


def test_secrets_of_the_environment_do_not_reach_the_application(
    tools: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEADWAY_STAGE_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "AWS_ACCESS_KEY_ID_KEY", "API_KEY"):
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("KEYBOARD", "us")
    environment = tools.environment("1.2.3")
    assert "hush" not in environment.values()
    assert (environment["KEYBOARD"], environment["HEADWAY_VERSION"]) == ("us", "1.2.3")


def test_junit_files_name_the_failing_tests(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        '<testsuites><testsuite><testcase classname="t.A" name="good"/><testcase classname="t.A" name="bad">'
        '<failure message="1 is not 2">long</failure></testcase><testcase name="s"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    (tmp_path / "b.xml").write_text("<not closed")
    (tmp_path / "c.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><testsuite><testcase name="x"/></testsuite>')
    report = junit.read(tmp_path, ["*.xml"])
    assert (report.passed, report.failed, report.skipped) == (1, 1, 1)
    assert report.failures == ("t.A.bad: 1 is not 2",)
