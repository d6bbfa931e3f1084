"""Installed runtimes: what a `spark_version` key stands for.

One comes with Headway. Others lie in the cache, a folder each, and count once their `runtime.json` is there:

    <cache>/runtimes/<key>/runtime.json   what is installed
    <cache>/runtimes/<key>/venv           its Python, with PySpark in it
    <cache>/extras/spark-<version>/<option>/*.jar + complete   what an option adds to the driver's class path
"""

import json
import os
import platform
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from headway.adapters.java import feature_version, find_java_home
from headway.adapters.spark import InstalledSpark, installed_spark
from headway.workspace.runtime.tasks import Runtime


def default_runtime(cache: Path) -> Runtime:
    """The PySpark that is installed beside Headway. Raise HeadwayError JAVA_NOT_FOUND."""
    spark = installed_spark()
    return with_options(make_runtime(spark, Path(sys.executable), find_java_home(cache)), cache)


def make_runtime(spark: InstalledSpark, python: Path, java_home: Path) -> Runtime:
    """A runtime without options, named as Databricks names its own; with its Java and Python, which clients that check
    what they deploy cannot know otherwise."""
    included = [f"Apache Spark {spark.version}", f"Scala {spark.scala}"]
    java = feature_version(java_home)
    included += [f"Java {java}"] if java else []
    included += [f"Python {version}" for version in _python_version(python)]
    name = f"{spark.key.partition('.x')[0]} (includes {', '.join(included)})"
    return Runtime(spark.key, name, spark.version, spark.scala, python, spark.home, java_home)


def _python_version(python: Path) -> list[str]:
    """That of this process, or what the `pyvenv.cfg` of another one's environment says; empty where neither tells."""
    if python == Path(sys.executable):
        return [platform.python_version()]
    try:
        lines = (python.parent.parent / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    pairs = (line.partition("=") for line in lines)
    return [value.strip() for key, _, value in pairs if key.strip() == "version"]


def with_options(runtime: Runtime, cache: Path) -> Runtime:
    """The runtime with the options that are installed for its Spark."""
    folder = extras_folder(cache, runtime.spark)
    found = sorted(path.parent for path in folder.glob("*/complete"))
    jars = tuple(sorted(jar for option in found for jar in option.glob("*.jar")))
    return replace(runtime, options=tuple(option.name for option in found), extra_jars=jars)


def runtimes_folder(cache: Path) -> Path:
    """Where runtimes are installed."""
    return cache / "runtimes"


def extras_folder(cache: Path, spark: str) -> Path:
    """Where the options of a Spark version are installed."""
    return cache / "extras" / f"spark-{spark}"


def read_runtime(folder: Path) -> Runtime:
    """An installed runtime. Raise FileNotFoundError, ValueError, KeyError where none lies in `folder`."""
    said = json.loads((folder / "runtime.json").read_text(encoding="utf-8"))
    spark = InstalledSpark(said["spark"], said["scala"], Path(said["spark_home"]))
    python, java = Path(said["python"]), Path(said["java_home"])
    if not python.exists():
        raise FileNotFoundError(python)
    return make_runtime(spark, python, java)


def write_runtime(folder: Path, runtime: Runtime) -> None:
    """From now on it is installed."""
    said = {
        "key": runtime.key,
        "spark": runtime.spark,
        "scala": runtime.scala,
        "python": str(runtime.python),
        "spark_home": str(runtime.spark_home),
        "java_home": str(runtime.java_home),
    }
    draft = folder / f"runtime.{os.getpid()}.json"
    draft.write_text(json.dumps(said, indent=1), encoding="utf-8")
    draft.replace(folder / "runtime.json")


class Runtimes(Mapping[str, Runtime]):
    """Every runtime by key, the default one first. What is installed or removed meanwhile is seen at the next look."""

    def __init__(self, default: Runtime, cache: Path) -> None:
        self._default, self._cache = default, cache
        self._lock = threading.Lock()
        self._seen: object = None
        self._found: dict[str, Runtime] = {}

    def __getitem__(self, key: str) -> Runtime:
        return self._look()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._look())

    def __len__(self) -> int:
        return len(self._look())

    def _look(self) -> dict[str, Runtime]:
        with self._lock:
            marks = sorted([*self._cache.glob("runtimes/*/runtime.json"), *self._cache.glob("extras/*/*/complete")])
            seen = [(str(path), _changed(path)) for path in marks]
            if seen != self._seen:
                self._found = self._read([path.parent for path in marks if path.name == "runtime.json"])
                self._seen = seen
            return self._found

    def _read(self, folders: list[Path]) -> dict[str, Runtime]:
        found = {self._default.key: with_options(self._default, self._cache)}
        for folder in folders:
            try:
                runtime = read_runtime(folder)
            except (OSError, ValueError, KeyError):  # half removed, or its Python is gone
                continue
            found.setdefault(runtime.key, with_options(runtime, self._cache))
        return found


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
