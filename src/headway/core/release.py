"""Releases: the immutable record of one version, and the artifacts in it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import total_ordering
from typing import Any

from headway.core.application import ArtifactKind

SCHEMA = "headway.release/1"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


@total_ordering
@dataclass(frozen=True)
class Version:
    """`MAJOR.MINOR.BUILD`. BUILD rises with every build of the application, whatever MAJOR and MINOR are."""

    major: int
    minor: int
    build: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Raise ValueError unless `text` is three plain numbers with dots."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError(f"not a version: {text!r}; expected MAJOR.MINOR.BUILD")
        return cls(*(int(part) for part in match.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.build}"

    def __lt__(self, other: "Version") -> bool:
        return (self.major, self.minor, self.build) < (other.major, other.minor, other.build)


@dataclass(frozen=True)
class Artifact:
    """One built file. `key` is its place in the store, `sha256` 64 hexadecimal digits, `size` in bytes."""

    name: str
    kind: ArtifactKind
    file_name: str
    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class TestResult:
    """What one test step said. Counts are those of its JUnit XML; zero where it leaves none. `seconds` is wall time."""

    __test__ = False

    step: str
    passed: int
    failed: int
    skipped: int
    seconds: float


@dataclass(frozen=True)
class Release:
    """The record of one version. `created_at` is UTC, ISO 8601. Written once, as `release.json`, never changed.

    `signed` says that a bill of materials and a signed statement lie beside it; releases of Headways that did not sign
    have none, and those of newer ones that have none are not what was stored.
    """

    app: str
    version: Version
    commit: str
    branch: str
    subject: str
    author: str
    created_at: str
    spark: str
    scala: str
    spark_version_key: str
    artifacts: Mapping[str, Artifact]
    tests: tuple[TestResult, ...]
    signed: bool = False

    def to_json(self) -> dict[str, Any]:
        """The content of `release.json`."""
        data = asdict(self)
        data["schema"] = SCHEMA
        data["version"] = str(self.version)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Release":
        """Raise ValueError where `data` is not a `release.json` of a schema we know."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"release.json has schema {data.get('schema')!r}; this Headway reads {SCHEMA}")
        fields = {key: value for key, value in data.items() if key != "schema"}
        fields["version"] = Version.parse(data["version"])
        fields["artifacts"] = {name: Artifact(**value) for name, value in data["artifacts"].items()}
        fields["tests"] = tuple(TestResult(**value) for value in data["tests"])
        return cls(**fields)
