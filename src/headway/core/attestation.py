"""What is signed of a release: an in-toto statement with SLSA provenance. Pure.

Sources: in-toto Attestation Framework, Statement v1; SLSA, Build provenance v1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headway.core.release import Release

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:headway:build:1"

FILE_NAME = "attestation.dsse.json"


@dataclass(frozen=True)
class Origin:
    """Where and by what a release was made. `repository` is the URL of its git remote, without credentials; empty
    where it has none. `builder` names who ran it, `tools` the versions of what did."""

    repository: str
    builder: str
    tools: Mapping[str, str]
    started_at: str
    finished_at: str


@dataclass(frozen=True)
class Check:
    """One thing that was verified. `absent`: there is nothing to verify, and nothing that says there should be."""

    name: str
    outcome: Literal["ok", "failed", "absent"]
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """What verifying a release said. `signer` is the id of the key that verified, empty where none did."""

    app: str
    version: str
    checks: tuple[Check, ...]
    signer: str = ""
    statement: Mapping[str, Any] | None = None

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return all(check.outcome != "failed" for check in self.checks)

    @property
    def problems(self) -> str:
        """What failed, in one line."""
        return "; ".join(f"{check.name}: {check.detail}" for check in self.checks if check.outcome == "failed")

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "app": self.app,
            "version": self.version,
            "good": self.good,
            "signer": self.signer or None,
            "checks": [{"name": c.name, "outcome": c.outcome, "detail": c.detail} for c in self.checks],
        }


def make_statement(release: Release, documents: Mapping[str, str], origin: Origin) -> bytes:
    """The statement of a release: its subjects are the artifacts and `documents` (file name → SHA-256) beside them."""
    digests = {artifact.file_name: artifact.sha256 for artifact in release.artifacts.values()} | dict(documents)
    source = f"git+{origin.repository}" if origin.repository else "git+urn:headway:no-remote"
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digests[name]}} for name in sorted(digests)],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "app": release.app,
                    "version": str(release.version),
                    "branch": release.branch,
                    "commit": release.commit,
                },
                "internalParameters": {
                    "spark": release.spark,
                    "scala": release.scala,
                    "spark_version": release.spark_version_key,
                },
                "resolvedDependencies": [{"uri": source, "digest": {"gitCommit": release.commit}}],
            },
            "runDetails": {
                "builder": {"id": f"urn:headway:builder:{origin.builder}", "version": dict(origin.tools)},
                "metadata": {
                    "invocationId": f"{release.app}/{release.version}",
                    "startedOn": origin.started_at,
                    "finishedOn": origin.finished_at,
                },
            },
        },
    }
    return json.dumps(statement, indent=2, sort_keys=True).encode()


def subjects(payload: bytes, payload_type: str, app: str, version: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The statement and its subjects (file name → SHA-256). Raise ValueError where it is not a statement about this
    release: a true statement about another one proves nothing here."""
    if payload_type != PAYLOAD_TYPE:
        raise ValueError(f"its payload is of type {payload_type}")
    data = json.loads(payload)
    try:
        kind = (data["_type"], data["predicateType"], data["predicate"]["buildDefinition"]["buildType"])
        about = data["predicate"]["buildDefinition"]["externalParameters"]
        named = (about["app"], about["version"])
        found = {entry["name"]: entry["digest"]["sha256"] for entry in data["subject"]}
    except (KeyError, TypeError):
        raise ValueError("it is not a provenance statement") from None
    if kind != (STATEMENT, PREDICATE, BUILD_TYPE):
        raise ValueError(f"it is a statement of another kind ({', '.join(map(str, kind))})")
    if named != (app, version):
        raise ValueError(f"it is about {named[0]} {named[1]}")
    return data, found
