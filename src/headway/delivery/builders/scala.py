"""Plain Scala (and Java) sources, compiled with the Scala compiler that is inside the target Spark."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from headway.adapters.java import SPARK_OPTIONS
from headway.adapters.process import Finished, run_command
from headway.core.application import ArtifactSettings, TestStep
from headway.core.errors import HeadwayError
from headway.core.events import Emit, LogLine
from headway.delivery.builders.archive import write_archive
from headway.delivery.toolchain import Toolchain

CLASSES = ".headway-build"
TIMEOUT_SECONDS = 900


def classes_of(settings: ArtifactSettings, folder: Path, tools: Toolchain, log: Path, emit: Emit) -> Path:
    """The compiled classes of an artifact; compiled once per checkout, by its tests or its build, whoever is first.

    Raise HeadwayError BUILD_FAILED.
    """
    sources = _sources(folder, settings.sources)
    if not sources:
        raise HeadwayError(
            "BUILD_FAILED",
            artifact=settings.name,
            reason=f"no .scala file below {', '.join(settings.sources)}",
            log=log,
        )
    target = folder / CLASSES / f"{settings.name}-{_digest(folder, sources, tools)}"
    if not target.exists():
        draft = target.with_name(target.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        done = _compile(sources, draft, tools.spark_jars, tools, folder, log, emit, settings.name)
        if done.status != 0:
            raise HeadwayError("BUILD_FAILED", artifact=settings.name, reason=_first_error(done), log=log)
        draft.rename(target)
    return target


def run_scala_tests(
    step: TestStep, settings: ArtifactSettings, folder: Path, tools: Toolchain, log: Path, emit: Emit
) -> Finished:
    """Compile a step's sources against the artifact's classes and run its `main` with the folder for JUnit files."""
    classes = classes_of(settings, folder, tools, log, emit)
    tests = folder / CLASSES / f"{step.name}-tests"
    tests.mkdir(parents=True)
    class_path = f"{classes}:{tools.spark_jars}"
    done = _compile(_sources(folder, step.sources), tests, class_path, tools, folder, log, emit, step.name)
    if done.status != 0:
        return done
    reports = folder / "build" / "junit"
    reports.mkdir(parents=True, exist_ok=True)
    command = [tools.java, "-Xss4m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *SPARK_OPTIONS]
    command += ["-cp", f"{tests}:{class_path}", str(step.main), str(reports)]
    return run_command(
        command,
        cwd=folder,
        environment=tools.environment(),
        timeout_seconds=step.timeout_minutes * 60,
        log=log,
        on_line=lambda line: emit(LogLine(step.name, line)),
        supervision=tools.supervision,
    )


def build_jar(
    settings: ArtifactSettings, version: str, folder: Path, out: Path, tools: Toolchain, log: Path, emit: Emit
) -> Path:
    """`<name>-<version>.jar` in `out`: the same bytes whenever it is built of the same sources."""
    classes = classes_of(settings, folder, tools, log, emit)
    entries = {path.relative_to(classes).as_posix(): path.read_bytes() for path in classes.rglob("*") if path.is_file()}
    for base in settings.resources:
        root = folder / base
        entries |= {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    manifest = ["Manifest-Version: 1.0", f"Implementation-Title: {settings.name}", f"Implementation-Version: {version}"]
    manifest += [f"Spark-Version: {tools.spark}", f"Scala-Version: {tools.scala}"]
    if settings.main_class:
        manifest.append(f"Main-Class: {settings.main_class}")
    name = "META-INF/MANIFEST.MF"
    entries[name] = "".join(f"{line}\r\n" for line in [*manifest, ""]).encode()
    target = out / f"{settings.name}-{version}.jar"
    write_archive(target, entries, first=(name,))
    return target


def _sources(folder: Path, roots: Sequence[str]) -> list[Path]:
    found = [path for root in roots for ending in ("*.scala", "*.java") for path in (folder / root).rglob(ending)]
    return sorted(found)


def _digest(folder: Path, sources: Sequence[Path], tools: Toolchain) -> str:
    content = hashlib.sha256(f"{tools.spark}\0{tools.java_home}".encode())
    for source in sources:
        content.update(source.relative_to(folder).as_posix().encode() + b"\0" + source.read_bytes())
    return content.hexdigest()[:16]


def _compile(
    sources: Sequence[Path],
    target: Path,
    class_path: str,
    tools: Toolchain,
    folder: Path,
    log: Path,
    emit: Emit,
    name: str,
) -> Finished:
    # Two warm tiers cost more than they bring for a few seconds of compiling.
    flags = ["-Xss8m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    scala = ["scala.tools.nsc.Main", "-usejavacp", "-deprecation", "-encoding", "UTF-8", "-release", "17"]
    command = [tools.java, *flags, "-cp", class_path, *scala, "-d", str(target), *(str(source) for source in sources)]
    listen = lambda line: emit(LogLine(name, line))  # noqa: E731
    done = _run(command, folder, tools, log, listen)
    java = [source for source in sources if source.suffix == ".java"]
    if done.status != 0 or not java:
        return done
    compiler = tools.java_home / "bin" / "javac"
    if not compiler.exists():
        return Finished(1, f"error: {java[0].name} is Java, and {tools.java_home} has no javac: install a JDK", 0.0)
    command = [str(compiler), "-release", "17", "-cp", f"{target}:{class_path}", "-d", str(target), *map(str, java)]
    return _run(command, folder, tools, log, listen)


def _run(command: Sequence[str], folder: Path, tools: Toolchain, log: Path, listen: Callable[[str], None]) -> Finished:
    return run_command(
        command,
        cwd=folder,
        environment=tools.environment(),
        timeout_seconds=TIMEOUT_SECONDS,
        log=log,
        on_line=listen,
        supervision=tools.supervision,
    )


def _first_error(done: Finished) -> str:
    if done.timed_out:
        return f"the compiler did not end within {TIMEOUT_SECONDS} s"
    lines = done.output.strip().splitlines()
    return next((line for line in lines if "error" in line), lines[-1] if lines else f"status {done.status}")
