"""Libraries of runs: Python packages installed into a folder that a run puts on its path, JARs by their coordinates.

Everything is made once per content and kept in the cache; nothing is ever installed into the runtime itself.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.core.errors import HeadwayError
from headway.workspace.runtime.maven import fetch_jars, parse_coordinate
from headway.workspace.runtime.pyside.packages import KEPT
from headway.workspace.runtime.tasks import Library, LocalLibrary, MavenLibrary, PackageLibrary, Runtime

TIMEOUT_SECONDS = 1800
# Spark has them: a library's own would stand in their way.
_SPARKS_OWN = ("org.apache.spark", "org.scala-lang")


@dataclass(frozen=True)
class Installed:
    """What a run gets: JARs, and folders for Python's path."""

    jars: tuple[Path, ...] = ()
    python_path: tuple[Path, ...] = ()


def install(libraries: Sequence[Library], runtime: Runtime, cache: Path) -> Installed:
    """Make these libraries ready. Raise ValueError that names the one that cannot be, and why."""
    jars: list[Path] = []
    packages: list[Library] = []
    for library in libraries:
        match library:
            case LocalLibrary(kind="jar"):
                jars.append(_zip(library.path))
            case MavenLibrary():
                jars.extend(_maven(library, runtime, cache))
            case _:
                packages.append(library)
    return Installed(tuple(dict.fromkeys(jars)), (overlay(packages, runtime, cache),) if packages else ())


def _zip(path: Path) -> Path:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"library {path.name} is not a zip archive")
    return path


def _maven(library: MavenLibrary, runtime: Runtime, cache: Path) -> list[Path]:
    text = json.dumps([library.coordinates, library.repo, library.exclusions, runtime.scala])
    folder = cache / "maven" / hashlib.sha256(text.encode()).hexdigest()[:32]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix="draft-"))
        try:
            coordinate = parse_coordinate(library.coordinates, (*library.exclusions, *_SPARKS_OWN))
            fetch_jars([coordinate], draft, runtime, cache, library.repo)
            _into_place(draft, folder)
        except HeadwayError as error:
            raise ValueError(f"library {library.coordinates} cannot be resolved: {error}") from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return sorted(folder.glob("*.jar"))


def _into_place(draft: Path, target: Path) -> None:
    try:
        os.rename(draft, target)
    except OSError:
        if not target.exists():  # else another run was quicker
            raise


def overlay(libraries: Sequence[Library], runtime: Runtime, cache: Path) -> Path:
    """The folder in which these Python libraries are installed together, with what they need and the runtime lacks."""
    base = cache / "overlays" / runtime.key
    base.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(json.dumps([_identity(library) for library in libraries]).encode()).hexdigest()[:32]
    target = base / digest
    pinned = all(_pinned(library) for library in libraries)
    if pinned and target.exists():
        return target
    draft = Path(tempfile.mkdtemp(dir=base, prefix="draft-"))
    try:
        wheels = [library.path for library in libraries if isinstance(library, LocalLibrary) and library.kind == "whl"]
        found = _resolved(libraries, wheels, runtime, draft)
        if not pinned:  # what it resolves to today names the folder
            digest = hashlib.sha256(json.dumps([digest, found]).encode()).hexdigest()[:32]
            target = base / digest
            if target.exists():
                return target
        content = draft / "content"
        content.mkdir()
        if wheels or found:
            where = ["--no-deps", "--no-compile", "--target", str(content)]
            _pip(runtime, ["install", *where, *map(str, wheels), *found], libraries)
        for library in libraries:
            if isinstance(library, LocalLibrary) and library.kind == "egg":
                with zipfile.ZipFile(_zip(library.path)) as archive:
                    archive.extractall(content)
        _into_place(content, target)
        return target
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _identity(library: Library) -> list[str]:
    match library:
        case LocalLibrary():
            return [library.kind, library.path.name, hashlib.sha256(library.path.read_bytes()).hexdigest()]
        case PackageLibrary():
            return ["pypi", library.requirement, library.index or ""]
        case MavenLibrary():
            return ["maven", library.coordinates]


def _pinned(library: Library) -> bool:
    """Whether it is the same thing on every day: what it needs beside itself is held fast the first time."""
    if isinstance(library, PackageLibrary):
        return re.search(r"===?\s*[\w.!+-]+\s*$", library.requirement) is not None
    return not (isinstance(library, LocalLibrary) and library.kind == "requirements")


def _resolved(libraries: Sequence[Library], wheels: Sequence[Path], runtime: Runtime, scratch: Path) -> list[str]:
    """What has to be installed beside the wheels themselves and what the runtime has, each with its address.

    Spark and what it works with keep the runtime's versions: a library that needs others does not fit.
    """
    asked: list[str] = []
    for library in libraries:
        match library:
            case LocalLibrary(kind="requirements"):
                asked += ["-r", str(library.path)]
            case PackageLibrary():
                if library.requirement.lstrip().startswith("-"):
                    raise ValueError(f"library {library.requirement} is not the name of a package")
                asked += [library.requirement, *(["--extra-index-url", library.index] if library.index else [])]
    needy = [str(_zip(wheel)) for wheel in wheels if _needs_others(_zip(wheel))]
    if not asked and not needy:
        return []
    constraints, report = scratch / "constraints.txt", scratch / "report.json"
    have = _pip(runtime, ["list", "--format=json"], libraries)
    kept = [entry for entry in json.loads(have) if entry["name"].lower() in KEPT]
    constraints.write_text("".join(f"{entry['name']}=={entry['version']}\n" for entry in kept), encoding="utf-8")
    options = ["--dry-run", "--report", str(report), "--constraint", str(constraints)]
    _pip(runtime, ["install", *options, *asked, *needy], libraries)
    read: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    own = {wheel.name for wheel in wheels}
    addresses = [(entry["metadata"]["name"], entry["download_info"]["url"]) for entry in read["install"]]
    return sorted(f"{name} @ {url}" for name, url in addresses if url.rpartition("/")[2] not in own)


def _needs_others(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return any(b"\nRequires-Dist:" in archive.read(name) for name in found)


def _pip(runtime: Runtime, words: Sequence[str], libraries: Sequence[Library]) -> str:
    """Run the runtime's pip. Raise ValueError with its words."""
    pip = [str(runtime.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    try:
        done = subprocess.run(
            [*pip, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"library {_names(libraries)}: pip did not end in {TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        raise ValueError(f"library {_names(libraries)} cannot be installed: {_reason(done.stdout, done.stderr)}")
    return done.stdout


def _reason(out: str, err: str) -> str:
    """What pip says that helps: its errors, and what a conflict is caused by."""
    _, _, cause = out.partition("The conflict is caused by:\n")
    lines = [line.strip() for line in cause.partition("\n\n")[0].splitlines()]
    errors = [line.removeprefix("ERROR: ") for line in err.splitlines() if line.startswith("ERROR: ")]
    told = [line for line in [*lines, *errors] if line and not line.startswith("ResolutionImpossible")]
    return "; ".join(told) or (err or out).strip()[-1000:]


def _names(libraries: Sequence[Library]) -> str:
    return ", ".join(library_name(library) for library in libraries)


def library_name(library: Library) -> str:
    """What a user calls it."""
    match library:
        case LocalLibrary():
            return library.path.name
        case PackageLibrary():
            return library.requirement
        case MavenLibrary():
            return library.coordinates
