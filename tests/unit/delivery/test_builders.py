"""Builders: one file, the right version, the same bytes twice."""

from pathlib import Path

import pytest

from headway.core.application import ArtifactSettings
from headway.core.errors import HeadwayError
from headway.core.events import ignore
from headway.delivery import junit
from headway.delivery.builders.archive import read_archive, write_archive
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
