"""Notebook bundles: a zip of a folder's notebooks."""

from pathlib import Path

from headway.core.application import ArtifactSettings
from headway.core.errors import HeadwayError
from headway.delivery.builders.archive import write_archive

LANGUAGES = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".r": "R"}
JUPYTER = ".ipynb"


def build_notebooks(settings: ArtifactSettings, version: str, folder: Path, out: Path) -> Path:
    """`<name>-<version>.zip` in `out`. Raise HeadwayError BUILD_NO_ARTIFACT where the folder has none."""
    root = folder / (settings.path or ".")
    entries = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix.lower() in (*LANGUAGES, JUPYTER) and ".ipynb_checkpoints" not in path.parts
    }
    if not entries:
        raise HeadwayError("BUILD_NO_ARTIFACT", artifact=settings.name, pattern=f"{settings.path}/**/*.py")
    target = out / f"{settings.name}-{version}.zip"
    write_archive(target, entries)
    return target
