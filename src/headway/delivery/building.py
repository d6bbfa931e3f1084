"""Build every artifact of an application, once."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headway.core.application import Application, ArtifactKind, ArtifactSettings
from headway.core.errors import HeadwayError
from headway.core.events import Emit
from headway.delivery.builders.command import build_by_command
from headway.delivery.builders.notebooks import build_notebooks
from headway.delivery.builders.scala import build_jar
from headway.delivery.builders.wheel import build_wheel
from headway.delivery.toolchain import Toolchain


@dataclass(frozen=True)
class BuiltFile:
    """A built artifact on this machine. `sha256` in hexadecimal, `size` in bytes."""

    name: str
    kind: ArtifactKind
    path: Path
    sha256: str
    size: int


def build_all(
    app: Application, folder: Path, version: str, out: Path, logs: Path, tools: Toolchain, emit: Emit
) -> Mapping[str, BuiltFile]:
    """Build the artifacts of the checkout in `folder` into `out`. Raise HeadwayError BUILD_…, ARTIFACT_NOT_A_ZIP."""
    if app.spark != tools.spark:
        reason = f"headway.toml says that it is built for Spark {app.spark}; the Spark installed here is {tools.spark}"
        raise HeadwayError("BUILD_FAILED", artifact=app.name, reason=reason, log="headway.toml")
    out.mkdir(parents=True, exist_ok=True)
    return {settings.name: _build(settings, folder, version, out, logs, tools, emit) for settings in app.artifacts}


def _build(
    settings: ArtifactSettings, folder: Path, version: str, out: Path, logs: Path, tools: Toolchain, emit: Emit
) -> BuiltFile:
    log = logs / f"build-{settings.name}.log"
    match settings.builder:
        case "scala":
            path = build_jar(settings, version, folder, out, tools, log, emit)
        case "wheel":
            path = build_wheel(settings, version, folder, out, tools, log, emit)
        case "command":
            path = build_by_command(settings, version, folder, out, tools, log, emit)
        case "notebooks":
            path = build_notebooks(settings, version, folder, out)
    _check_zip(path, settings)
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return BuiltFile(settings.name, settings.kind, path, digest, path.stat().st_size)


def _check_zip(path: Path, settings: ArtifactSettings) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise HeadwayError("ARTIFACT_NOT_A_ZIP", path=path.name, kind=settings.kind, reason=str(error)) from error
    if broken:
        raise HeadwayError("ARTIFACT_NOT_A_ZIP", path=path.name, kind=settings.kind, reason=f"{broken} is damaged")
