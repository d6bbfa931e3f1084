"""Make ready what every driver of a runtime starts from: the compiled host, and an archive of its loaded classes.

Both lie in the cache, named by all that they depend on; making them again is never needed and never harmful.
"""

import fcntl
import hashlib
import json
import logging
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.java import feature_version
from headway.workspace.runtime import launch
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec, FileRoots, Runtime

logger = logging.getLogger(__name__)

TRAINING_SECONDS = 300
TRY_AGAIN_SECONDS = 3600
UNUSED_DAYS = 30
SOURCES = Path(__file__).parent / "host"
MANIFEST = (
    "Manifest-Version: 1.0\r\nPremain-Class: headway.host.Guard\r\nCan-Retransform-Classes: true\r\n"
    "Can-Redefine-Classes: true\r\n\r\n"
)


@dataclass(frozen=True)
class Prepared:
    """The host's JAR, and the JVM options that use its class-data archive (none where it could not be made)."""

    jar: Path
    archive: tuple[str, ...]


def prepare(runtime: Runtime, cache: Path, say: Callable[[str], None] = lambda _: None) -> Prepared:
    """Compile the host and archive its classes, unless the cache has them. Half a minute the first time. Then those of
    the same runtime that nobody has started from for UNUSED_DAYS are removed: each has 160 MB.

    Safe when several processes do it at once. Raise DriverFailed where the host does not compile.
    """
    folder = cache / "hosts" / f"{runtime.key}-{_digest(runtime)}"
    jar, archive = folder / "host.jar", folder / "classes.jsa"
    tried = folder / "tried"  # in vain, not long ago: nobody waits for the next try
    if not archive.exists() and not (jar.exists() and _age(tried) < TRY_AGAIN_SECONDS):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            if not jar.exists():
                say(f"compiling the driver host for Spark {runtime.spark}")
                _compile(runtime, jar)
            if not archive.exists() and _age(tried) > TRY_AGAIN_SECONDS:
                say("archiving the driver's classes, so that drivers start in half the time")
                _archive(runtime, jar, archive)
                if not archive.exists():
                    tried.touch()
            _remove_unused(folder, runtime.key)
    (folder / "used").touch()
    options = (f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:disable", "-Xlog:all=off:stderr")
    return Prepared(jar, options if archive.exists() and archive.stat().st_size else ())


def _age(mark: Path) -> float:
    """Seconds since a mark was touched."""
    return time.time() - mark.stat().st_mtime if mark.exists() else math.inf


def remove_hosts(key: str, cache: Path) -> None:
    """Remove all that was made ready for a runtime."""
    for folder in (cache / "hosts").glob(f"{key}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_unused(own: Path, key: str) -> None:
    for folder in own.parent.glob(f"{key}-*"):
        used = folder / "used" if (folder / "used").exists() else folder
        if folder != own and _age(used) > UNUSED_DAYS * 86_400:
            shutil.rmtree(folder, ignore_errors=True)


def _sources(runtime: Runtime) -> list[Path]:
    """The host's sources for this Spark: those of all versions, and those of its own."""
    own = "spark35" if runtime.spark.startswith("3.") else "spark4"
    return sorted([*SOURCES.glob("*.scala"), *(SOURCES / own).glob("*.scala")])


def _digest(runtime: Runtime) -> str:
    content = hashlib.sha256()
    for source in _sources(runtime):
        content.update(source.name.encode() + b"\0" + source.read_bytes())
    content.update(Path(__file__).read_bytes())  # how the JAR is made
    said = [runtime.spark, str(runtime.spark_home), str(runtime.java_home), str(feature_version(runtime.java_home))]
    said += [str(jar) for jar in runtime.extra_jars]  # the archive holds for one class path only
    content.update("\0".join(said).encode())
    return content.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(runtime: Runtime, jar: Path) -> None:
    with tempfile.TemporaryDirectory(dir=jar.parent) as scratch:
        classes = Path(scratch)
        command = [
            str(runtime.java_home / "bin" / "java"),
            "-Xss8m",
            "-XX:+UseSerialGC",
            "-cp",
            f"{runtime.spark_home}/jars/*",
            "scala.tools.nsc.Main",
            "-usejavacp",
            "-d",
            str(classes),
            *(str(source) for source in _sources(runtime)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DriverFailed("SPARK_STARTUP_FAILURE", f"the driver host does not compile: {done.stdout}{done.stderr}")
        draft = jar.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as target:
            target.writestr("META-INF/MANIFEST.MF", MANIFEST)
            for path in sorted(classes.rglob("*.class")):
                target.write(path, path.relative_to(classes).as_posix())
            for name, content in _versioned_only(runtime):
                target.writestr(name, content)
        draft.replace(jar)


def _versioned_only(runtime: Runtime) -> Iterator[tuple[str, bytes]]:
    """Classes that multi-release JARs of Spark hold for newer Java versions only.

    With a Java agent, Java 17 looks for the bytes of an archived class at the root of its JAR, and crashes where it
    is not there (seen with Log4j's). First on the class path, in the host's JAR, they are where it looks.
    """
    java = feature_version(runtime.java_home) or 0
    for jar in sorted((runtime.spark_home / "jars").glob("*.jar")):
        with zipfile.ZipFile(jar) as archive:
            names = set(archive.namelist())
            newest: dict[str, int] = {}
            for name in names:
                match = re.fullmatch(r"META-INF/versions/(\d+)/(.+\.class)", name)
                if match and match.group(2) not in names and int(match.group(1)) <= java:
                    newest[match.group(2)] = max(newest.get(match.group(2), 0), int(match.group(1)))
            for name, version in sorted(newest.items()):
                if not name.endswith("module-info.class"):
                    yield name, archive.read(f"META-INF/versions/{version}/{name}")


def _archive(runtime: Runtime, jar: Path, archive: Path) -> None:
    """Train: start a driver that runs a few queries and ends. An empty file says that this Java cannot do it; none,
    that this machine was too busy: then drivers start without, and in an hour the next preparation tries again."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        folder = Path(scratch)
        roots = FileRoots(folder / "dbfs", folder / "files", folder / "volumes")
        spec = DriverSpec("training", runtime, folder, roots)
        make_folders(spec, jar)
        draft = folder / "classes.jsa"
        options = (f"-XX:ArchiveClassesAtExit={draft}", "-Xlog:disable", "-Xlog:all=off:stderr")
        with (folder / "logs" / "stdout").open("wb") as output:
            try:
                subprocess.run(
                    launch.command(spec, jar, options, 0),
                    env=launch.environment(spec, os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=TRAINING_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                logger.warning("no archive of classes: training took more than %d s", TRAINING_SECONDS)
                return
        if draft.exists():
            shutil.move(draft, archive)
        else:
            archive.touch()


def make_folders(spec: DriverSpec, jar: Path) -> None:
    """The folders that a driver expects, its log settings and (for itself only) its Spark settings."""
    for name in ("logs", "eventlog", "tmp"):
        (spec.folder / name).mkdir(parents=True, exist_ok=True)
    for root in (spec.roots.dbfs, spec.roots.workspace, spec.roots.volumes):
        root.mkdir(parents=True, exist_ok=True)
    (spec.folder / "log4j2.properties").write_text(launch.LOG4J)
    with os.fdopen(os.open(spec.folder / "settings.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(launch.settings(spec, jar), file)
