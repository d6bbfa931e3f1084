"""Releases, references, errors, proposals."""

import ast
from pathlib import Path

import pytest

from headway.core.application import Application
from headway.core.configuration import Files, parse
from headway.core.errors import CATALOGUE
from headway.core.proposal import propose
from headway.core.references import resolve
from headway.core.release import Artifact, Release, TestResult, Version
from headway.delivery.configuration import known_fields

SOURCES = Path(__file__).parents[3] / "src" / "headway"


def test_a_release_is_the_same_after_writing_and_reading() -> None:
    artifact = Artifact("jar", "jar", "jar-1.0.7.jar", "app/releases/1.0.7/jar-1.0.7.jar", "ab" * 32, 12)
    release = Release(
        "app", Version(1, 0, 7), "c" * 40, "main", "s", "a", "2026-01-01T00:00:00Z", "4.3.0", "2.13", "4.3.x-scala2.13",
        {"jar": artifact}, (TestResult("unit", 3, 0, 1, 0.5),),
    )  # fmt: skip
    assert Release.from_json(release.to_json()) == release
    with pytest.raises(ValueError, match="schema"):
        Release.from_json({**release.to_json(), "schema": "headway.release/9"})


def test_versions_are_ordered_by_number() -> None:
    assert Version.parse("1.0.10") > Version.parse("1.0.9")
    for text in ("1.0", "1.0.x", "01.0.0", "1.0.0.0", ""):
        with pytest.raises(ValueError, match="not a version"):
            Version.parse(text)


def test_a_whole_reference_takes_the_type_of_its_value() -> None:
    assert resolve({"a": "${var.n}", "b": ["n=${var.n}"]}, {"var.n": 3}) == {"a": 3, "b": ["n=3"]}


def test_every_error_that_is_raised_is_in_the_catalogue_and_every_entry_is_raised() -> None:
    raised: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "HeadwayError":
                assert isinstance(node.args[0], ast.Constant), path
                raised.add(str(node.args[0].value))
    assert raised | {"CONFIGURATION_INVALID"} == set(CATALOGUE)


@pytest.mark.parametrize(
    "files",
    [
        ["pom.xml", "src/main/java/A.java"],
        ["build.sbt"],
        ["lib/build.gradle.kts", "notebooks/report.py"],
        ["pyproject.toml"],
        ["ingest/src/main/scala/A.scala", "score/pyproject.toml"],
    ],
)
def test_what_init_proposes_is_a_good_configuration(files: list[str]) -> None:
    proposed = propose(files, "My App", "4.3.0")
    jobs = {path: text for path, text in proposed.items() if path.startswith("jobs/")}
    variables = {
        "HEADWAY_STORE": "file:///s",
        "HEADWAY_STAGE_HOST": "http://127.0.0.1:1",
        "HEADWAY_PRODUCTION_HOST": "http://127.0.0.1:1",
    }
    found = parse(Files(proposed["headway.toml"], jobs), variables, known_fields())
    assert isinstance(found, Application), found
