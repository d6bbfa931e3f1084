"""The Spark that is installed beside Headway, and where things made for it are kept."""

import os
import re
from dataclasses import dataclass
from importlib import util
from pathlib import Path


@dataclass(frozen=True)
class InstalledSpark:
    """An installed PySpark. `version` is exact (`4.3.0`), `scala` the binary version (`2.13`)."""

    version: str
    scala: str
    home: Path

    @property
    def key(self) -> str:
        """The `spark_version` that names it in a workspace, as `4.3.x-scala2.13`."""
        return f"{'.'.join(self.version.split('.')[:2])}.x-scala{self.scala}"

    @property
    def scala_library(self) -> str:
        """The exact Scala version that Spark brings (`2.13.16`); the binary version where that cannot be seen."""
        names = (jar.name for jar in (self.home / "jars").glob("scala-library-*.jar"))
        return next((name.removeprefix("scala-library-").removesuffix(".jar") for name in names), self.scala)


def installed_spark() -> InstalledSpark:
    """The PySpark of this Python. Raise ModuleNotFoundError."""
    spec = util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pyspark")
    return spark_at(Path(spec.origin).parent)


def spark_at(home: Path) -> InstalledSpark:
    """The Spark whose folder is `home`. Raise FileNotFoundError."""
    for jar in (home / "jars").glob("spark-core_*.jar"):
        match = re.fullmatch(r"spark-core_([\d.]+)-(.+)\.jar", jar.name)
        if match:
            return InstalledSpark(match.group(2), match.group(1), home)
    raise FileNotFoundError(f"{home} has no spark-core JAR")


def default_cache() -> Path:
    """The folder for compiled hosts, class archives and the like: `HEADWAY_CACHE`, else the user's cache folder."""
    given = os.environ.get("HEADWAY_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headway"
