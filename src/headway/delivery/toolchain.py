"""What the application's own commands find: this Python, Java, Spark; and none of our secrets."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.java import find_java_home
from headway.adapters.process import Supervision
from headway.adapters.spark import InstalledSpark, default_cache, installed_spark

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|_KEY$|^KEY_|API_?KEY", re.IGNORECASE)


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables whose names do not look like a secret's."""
    return {key: value for key, value in variables.items() if not _SECRET.search(key)}


def secrets_of(variables: Mapping[str, str]) -> dict[str, str]:
    """The others."""
    return {key: value for key, value in variables.items() if _SECRET.search(key)}


@dataclass(frozen=True)
class Toolchain:
    """The installed Spark and the Java it runs on.

    `variables` is what the application's commands have in their environment besides; without it ours, less what looks
    like a secret. `supervision` may end them before their time.
    """

    installed: InstalledSpark
    java_home: Path
    variables: Mapping[str, str] | None = None
    supervision: Supervision | None = None

    @property
    def spark(self) -> str:
        """The exact Spark version."""
        return self.installed.version

    @property
    def scala(self) -> str:
        """The Scala binary version (`2.13`)."""
        return self.installed.scala

    @property
    def spark_version_key(self) -> str:
        """The `spark_version` of the runtime that this Spark is."""
        return self.installed.key

    @property
    def java(self) -> str:
        """The `java` program."""
        return str(self.java_home / "bin" / "java")

    @property
    def spark_jars(self) -> str:
        """Spark's JARs, as a class path."""
        return f"{self.installed.home}/jars/*"

    def environment(self, version: str | None = None) -> dict[str, str]:
        """The environment of the application's commands."""
        kept = dict(without_secrets(os.environ) if self.variables is None else self.variables)
        path = [str(Path(sys.executable).parent), str(self.java_home / "bin"), kept.get("PATH", "")]
        kept |= {
            "PATH": os.pathsep.join(path),
            "JAVA_HOME": str(self.java_home),
            "SPARK_HOME": str(self.installed.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            # Small, short-lived JVMs: a fifth less CPU for an application's tests (docs/decisions/0003-quick-tests.md).
            "JDK_JAVA_OPTIONS": kept.get("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"),
        }
        if version is not None:
            kept["HEADWAY_VERSION"] = version
        return kept


def installed_toolchain() -> Toolchain:
    """The PySpark installed beside Headway. Raise HeadwayError JAVA_NOT_FOUND."""
    return Toolchain(installed_spark(), find_java_home(default_cache()))
