"""Read the facts of a built artifact from its file."""

import zipfile
from pathlib import Path

from headway.core.application import ArtifactKind
from headway.core.artifacts import JarFacts, JarReader, WheelFacts, wheel_facts
from headway.core.errors import HeadwayError

Facts = JarFacts | WheelFacts


def inspect(path: Path, kind: ArtifactKind) -> Facts | None:
    """What the JAR or wheel at `path` says of itself; None for a bundle of notebooks, which says nothing.

    Raise HeadwayError ARTIFACT_NOT_A_ZIP.
    """
    if kind == "notebooks":
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return _jar(archive) if kind == "jar" else _wheel(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise HeadwayError("ARTIFACT_NOT_A_ZIP", path=path.name, kind=kind, reason=str(error)) from error


def _jar(archive: zipfile.ZipFile) -> JarFacts:
    reader = JarReader()
    for info in archive.infolist():
        if not info.is_dir():
            reader.entry(info.filename, archive.read(info))
    return reader.facts()


def _wheel(archive: zipfile.ZipFile) -> WheelFacts:
    def text(name: str) -> str:
        found = [
            entry for entry in archive.namelist() if entry.count("/") == 1 and entry.endswith(f".dist-info/{name}")
        ]
        return archive.read(found[0]).decode("utf-8", "replace") if found else ""

    return wheel_facts(text("METADATA"), text("WHEEL"))
