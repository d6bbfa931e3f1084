"""Zip archives that are the same bytes whenever they are made of the same content."""

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
SOURCE_DATE_EPOCH = "315532800"  # the same, in seconds since 1970
MANIFEST = "META-INF/MANIFEST.MF"
_FILE, _PROGRAM, _FOLDER = 0o100644, 0o100755, 0o040755
_POM_PROPERTIES = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_SIGNATURE = re.compile(r"META-INF/[^/]+\.(?:SF|RSA|DSA|EC)", re.IGNORECASE)

Edit = Callable[[str, bytes], bytes]


def write_archive(target: Path, entries: Mapping[str, bytes], first: tuple[str, ...] = ()) -> None:
    """Write `entries` (name → content), those of `first` before the others, which come in the order of names."""
    names = [*first, *sorted(name for name in entries if name not in first)]
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(_info(name, _FILE), entries[name], compresslevel=6)


def read_archive(path: Path) -> dict[str, bytes]:
    """Every file in a zip. Raise zipfile.BadZipFile."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def normalise_wheel(source: Path, target: Path) -> None:
    """The wheel at `source` without the time, the machine and the file system that made it: entries in the order of
    names with `.dist-info` last and `RECORD` at its end, one time, one mode, `RECORD`'s lines sorted.

    Source: Binary distribution format, "Recommended archiver features" and "The .dist-info directory".
    """

    def order(name: str) -> tuple[int, str]:
        top = name.partition("/")[0]
        if not top.endswith(".dist-info"):
            return 0, name
        return (2 if name == f"{top}/RECORD" else 1), name

    def edit(name: str, content: bytes) -> bytes:
        if re.fullmatch(r"[^/]+\.dist-info/RECORD", name):
            return b"".join(line + b"\n" for line in sorted(content.splitlines()) if line)
        return content

    _rewrite(source, target, order, edit)


def normalise_jar(source: Path, target: Path) -> None:
    """The JAR at `source` without the time and the machine that made it: the manifest first, then entries in the order
    of names, one time, one mode; the date that Maven writes into `pom.properties` is dropped. What is stored without
    compression stays so (nested JARs are read in place). The content of a signed JAR is left alone."""
    with zipfile.ZipFile(source) as archive:
        signed = any(_SIGNATURE.fullmatch(name) for name in archive.namelist())

    def order(name: str) -> tuple[int, str]:
        # A JarInputStream finds the manifest, and the signatures after it, only at the beginning.
        return (0 if name == MANIFEST else 1 if _SIGNATURE.fullmatch(name) else 2), name

    def edit(name: str, content: bytes) -> bytes:
        if signed or not _POM_PROPERTIES.fullmatch(name):
            return content
        return b"".join(line + b"\n" for line in content.splitlines() if not line.startswith(b"#"))

    _rewrite(source, target, order, edit)


def _rewrite(source: Path, target: Path, order: Callable[[str], tuple[int, str]], edit: Edit) -> None:
    """One entry in memory at a time. Where a name stands twice the last one counts, as it does for Java and pip."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        entries = {info.filename: info for info in old.infolist()}
        for name in sorted(entries, key=order):
            info = entries[name]
            if info.is_dir():  # kept: some frameworks look for packages by their folders
                new.writestr(_info(name, _FOLDER), b"")
                continue
            program = info.create_system == 3 and (info.external_attr >> 16) & 0o111
            fresh = _info(name, _PROGRAM if program else _FILE)
            if info.compress_type == zipfile.ZIP_STORED:
                fresh.compress_type = zipfile.ZIP_STORED
            new.writestr(fresh, edit(name, old.read(info)), compresslevel=6)


def _info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = mode << 16
    info.create_system = 3
    return info
