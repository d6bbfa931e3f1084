"""The bill of materials of a release, in CycloneDX 1.6 JSON: its artifacts with their digests, and what they hold and
need. The same release is always the same bytes."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from headway.core.application import Application, ArtifactSettings
from headway.core.artifacts import JarFacts, Package, WheelFacts
from headway.core.locks import LOCK_FILES, python_packages
from headway.core.release import Artifact, Release
from headway.delivery.building import BuiltFile
from headway.delivery.inspecting import Facts, inspect
from headway.delivery.toolchain import Toolchain

FILE_NAME = "sbom.cdx.json"
_NAMESPACE = uuid.UUID("5d7a3b0e-64d1-5b52-9d0e-5f6c2f0a9b11")  # of our serial numbers; any constant does


def make_sbom(
    app: Application, release: Release, built: Mapping[str, BuiltFile], folder: Path, tools: Toolchain
) -> bytes:
    """The document. `folder` is the checkout, whose lock files name exact versions. Raise HeadwayError
    ARTIFACT_NOT_A_ZIP."""
    settings = {entry.name: entry for entry in app.artifacts}
    needed = {
        name: _packages(settings[name], inspect(file.path, file.kind), folder, tools) for name, file in built.items()
    }
    return sbom_document(release, needed)


def sbom_document(release: Release, needed: Mapping[str, Sequence[Package]]) -> bytes:
    """The document of a release whose artifacts need these packages."""
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, f"{release.app}/{release.version}/{release.commit}"))
    bom.metadata.timestamp = datetime.fromisoformat(release.created_at)
    bom.metadata.tools.components.add(
        Component(type=ComponentType.APPLICATION, name="headway", version=metadata.version("headway"))
    )
    whole = Component(
        type=ComponentType.APPLICATION,
        name=release.app,
        version=str(release.version),
        bom_ref=f"{release.app}@{release.version}",
        properties=[Property(name="headway:commit", value=release.commit)],
    )
    bom.metadata.component = whole
    packages = {package: _library(package) for found in needed.values() for package in found}
    for component in packages.values():
        bom.components.add(component)
    for name, artifact in release.artifacts.items():
        component = _artifact(release, artifact)
        bom.components.add(component)
        bom.register_dependency(whole, [component])
        bom.register_dependency(component, [packages[package] for package in needed.get(name, ())])
    data: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(data, indent=2, sort_keys=True).encode()


def sbom_problems(document: bytes, release: Release) -> list[str]:
    """Why a document is not the bill of materials of a release: empty where it is."""
    try:
        data = json.loads(document)
        subject = data["metadata"]["component"]
        components = {entry["bom-ref"]: entry for entry in data["components"]}
    except (ValueError, KeyError, TypeError):
        return ["it is not a CycloneDX document"]
    problems = []
    if (data.get("bomFormat"), subject.get("name"), subject.get("version")) != (
        "CycloneDX",
        release.app,
        str(release.version),
    ):
        problems.append(f"it is about {subject.get('name')} {subject.get('version')}")
    for name, artifact in release.artifacts.items():
        hashes = components.get(f"artifact:{name}", {}).get("hashes", [])
        if {"alg": "SHA-256", "content": artifact.sha256} not in hashes:
            problems.append(f"it does not have {artifact.file_name} with these bytes")
    return problems


def _packages(settings: ArtifactSettings, facts: Facts | None, folder: Path, tools: Toolchain) -> tuple[Package, ...]:
    match facts:
        case JarFacts():
            spark = Package("maven", f"spark-sql_{tools.scala}", tools.spark, "org.apache.spark", "of the cluster")
            scala = Package("maven", "scala-library", tools.installed.scala_library, "org.scala-lang", "of the cluster")
            return tuple(sorted({*facts.bundled, spark, scala}))
        case WheelFacts():
            lock = _lock_of(folder, settings.path or ".")
            return (
                python_packages(facts.requires, lock.name, lock.read_text("utf-8", "replace"))
                if lock
                else (python_packages(facts.requires))
            )
        case None:
            return ()


def _lock_of(folder: Path, path: str) -> Path | None:
    """The lock file of a project: beside it, or in a folder around it up to the checkout's own."""
    place = (folder / path).resolve()
    root = folder.resolve()
    while place == root or root in place.parents:
        for name in LOCK_FILES:
            if (place / name).is_file():
                return place / name
        place = place.parent
    return None


def _artifact(release: Release, artifact: Artifact) -> Component:
    return Component(
        type=ComponentType.FILE if artifact.kind == "notebooks" else ComponentType.LIBRARY,
        name=artifact.file_name,
        version=str(release.version),
        bom_ref=f"artifact:{artifact.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=artifact.sha256)],
        properties=[Property(name="headway:kind", value=artifact.kind)],
    )


def _library(package: Package) -> Component:
    purl = PackageURL(package.ecosystem, package.group or None, package.name, package.version or None)
    # A range is not a version: two ranges of one library are two components.
    mark = "" if package.version else f"#{hashlib.sha256(package.requirement.encode()).hexdigest()[:8]}"
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        group=package.group or None,
        version=package.version or None,
        purl=purl,
        bom_ref=f"{purl}{mark}",
        properties=[Property(name="headway:requirement", value=package.requirement)] if package.requirement else [],
    )
