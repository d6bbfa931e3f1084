"""JARs by Maven coordinates, with what they need, through Ivy: every Spark has it in its box.

Where from: `HEADWAY_MAVEN_REPOSITORY` (an address), else the mirror of Maven Central that `~/.m2/settings.xml` names,
else Maven Central itself, as Ivy knows it. The user's own `~/.m2/repository` is asked first.
"""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from headway.core.errors import HeadwayError
from headway.workspace.runtime.tasks import Runtime

TIMEOUT_SECONDS = 1800


@dataclass(frozen=True)
class Coordinate:
    """`group:artifact:version`. `alone` leaves out what it needs; `exclude` are groups (or `group:artifact`) that are
    left out of that."""

    group: str
    artifact: str
    version: str
    alone: bool = False
    exclude: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def parse_coordinate(text: str, exclude: Sequence[str] = ()) -> Coordinate:
    """Raise ValueError where it is not `group:artifact:version`."""
    parts = text.strip().split(":")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"Maven coordinates are group:artifact:version, not {text!r}")
    group, artifact, version = parts
    return Coordinate(group, artifact, version, exclude=tuple(exclude))


def fetch_jars(
    coordinates: Sequence[Coordinate], folder: Path, runtime: Runtime, cache: Path, repository: str | None = None
) -> list[Path]:
    """Put their JARs into `folder` and return them. `repository` is asked before the others.

    Raise HeadwayError MAVEN_FAILED with Ivy's words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = ", ".join(map(str, coordinates))
    with tempfile.TemporaryDirectory() as scratch:
        settings, module = Path(scratch, "settings.xml"), Path(scratch, "ivy.xml")
        settings.write_text(_settings(cache / "ivy", [repository] if repository else []), encoding="utf-8")
        module.write_text(_module(coordinates), encoding="utf-8")
        ivy = next(iter((runtime.spark_home / "jars").glob("ivy-*.jar")))
        command = [str(runtime.java_home / "bin" / "java"), "-cp", str(ivy), "org.apache.ivy.Main"]
        command += ["-settings", str(settings), "-ivy", str(module), "-types", "jar", "bundle"]
        command += ["-retrieve", f"{folder}/[organisation]_[artifact]-[revision](-[classifier]).jar"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, cwd=scratch
            )
        except subprocess.TimeoutExpired:
            raise HeadwayError("MAVEN_FAILED", coordinates=named, reason=f"no end after {TIMEOUT_SECONDS} s") from None
    if done.returncode != 0 or "UNRESOLVED" in done.stdout or "FAILED DOWNLOADS" in done.stdout:
        raise HeadwayError("MAVEN_FAILED", coordinates=named, reason=_reason(done.stdout + done.stderr))
    return sorted(folder.glob("*.jar"))


def _settings(cache: Path, first: Sequence[str]) -> str:
    local = Path.home() / ".m2" / "repository"
    place = f"{local}/[organisation]/[module]/[revision]"
    poms, jars = f"{place}/[module]-[revision].pom", f"{place}/[artifact]-[revision](-[classifier]).[ext]"
    central = os.environ.get("HEADWAY_MAVEN_REPOSITORY") or mirror(Path.home() / ".m2" / "settings.xml")
    root = f" root={quoteattr(central)}" if central else ""
    more = "".join(
        f'<ibiblio name="given-{number}" m2compatible="true" root={quoteattr(address)}/>'
        for number, address in enumerate(first)
    )
    return (
        '<ivysettings><settings defaultResolver="all"/>'
        f"<caches defaultCacheDir={quoteattr(str(cache))} lockStrategy='artifact-lock-nio'/>"
        '<resolvers><chain name="all" returnFirst="true">'
        '<filesystem name="local" m2compatible="true" checkmodified="true">'
        f"<ivy pattern={quoteattr(poms)}/><artifact pattern={quoteattr(jars)}/></filesystem>"
        f'{more}<ibiblio name="central" m2compatible="true"{root}/>'
        "</chain></resolvers></ivysettings>"
    )


def _module(coordinates: Sequence[Coordinate]) -> str:
    wanted = []
    for one in coordinates:
        head = f"<dependency org={quoteattr(one.group)} name={quoteattr(one.artifact)} rev={quoteattr(one.version)}"
        without = "".join(_exclusion(text) for text in one.exclude)
        how = 'conf="default->master" transitive="false"' if one.alone else 'conf="default->master,runtime"'
        wanted.append(f"{head} {how}>{without}</dependency>")
    return (
        '<ivy-module version="2.0"><info organisation="headway" module="fetched"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(wanted)}</dependencies></ivy-module>"
    )


def _exclusion(text: str) -> str:
    group, _, artifact = text.partition(":")
    return f"<exclude org={quoteattr(group)}" + (f" module={quoteattr(artifact)}" if artifact else "") + "/>"


def mirror(settings: Path) -> str | None:
    """The address that a Maven settings file names in place of Maven Central; None where it names none."""
    try:
        root = ElementTree.parse(settings).getroot()  # noqa: S314  (the user's own file)
    except (FileNotFoundError, ElementTree.ParseError):
        return None
    for entry in root.iter():
        if entry.tag.rpartition("}")[2] == "mirror":
            said = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in entry}
            covered = [part.strip() for part in said.get("mirrorOf", "").split(",")]
            if said.get("url") and ("*" in covered or "central" in covered) and "!central" not in covered:
                return said["url"]
    return None


def _reason(said: str) -> str:
    """The lines that tell a person something, of all that Ivy prints."""
    telling = [line.strip(" :\t") for line in said.splitlines() if "not found" in line or "ERROR" in line.upper()]
    return "; ".join(dict.fromkeys(telling))[:1000] or said.strip()[-1000:]
