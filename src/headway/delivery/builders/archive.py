"""Zip archives that are the same bytes whenever they are made of the same content."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
SOURCE_DATE_EPOCH = "315532800"  # the same, in seconds since 1970
_FILE_MODE = 0o100644 << 16


def write_archive(target: Path, entries: Mapping[str, bytes], first: tuple[str, ...] = ()) -> None:
    """Write `entries` (name → content), those of `first` before the others, which come in the order of names."""
    names = [*first, *sorted(name for name in entries if name not in first)]
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = _FILE_MODE
            info.create_system = 3
            archive.writestr(info, entries[name], compresslevel=6)


def read_archive(path: Path) -> dict[str, bytes]:
    """Every file in a zip. Raise zipfile.BadZipFile."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
