"""What a cluster's `spark_version` offers: Spark, Scala, Java, Python. Pure.

Source: Databricks Runtime release notes, "System environment" of each version. A workspace's own list of versions says
which Spark and Scala each has; the table adds Java and Python, and stands alone for what the list has no more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

_KEY = re.compile(r"(\d+)(?:\.(\d+|x))?\.x(?:-[a-z0-9-]+?)?-scala(\d\.\d+)")
_NAMED = re.compile(r"Apache Spark ([\d.]+)(?:, Scala ([\d.]+))?(?:, Java (\d+))?(?:, Python ([\d.]+))?")
_JDK = re.compile(r"(?:zulu|jdk|openjdk)-?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Runtime:
    """A runtime. Empty texts and None: not known, and so nothing is held against it. `platform` is `linux` where it is
    one of Databricks' own; the workspace that Headway brings runs on whatever machine it is on."""

    key: str
    spark: str = ""
    scala: str = ""
    java: int | None = None
    python: str = ""
    platform: str = ""


def _lines(versions: str, spark: str, java: int, python: str) -> dict[str, tuple[str, int, str]]:
    return dict.fromkeys(versions.split(), (spark, java, python))


# Databricks Runtime version → Spark, Java (the default one), Python.
DATABRICKS: Mapping[str, tuple[str, int, str]] = {
    **_lines("7.3", "3.0.1", 8, "3.7.5"),
    **_lines("8.4 9.0", "3.1.2", 8, "3.8.10"),
    **_lines("9.1", "3.1.2", 8, "3.8.10"),
    **_lines("10.0", "3.2.0", 8, "3.8.10"),
    **_lines("10.1 10.2", "3.2.0", 8, "3.8.10"),
    **_lines("10.3 10.4", "3.2.1", 8, "3.8.10"),
    **_lines("11.0 11.1 11.2 11.3", "3.3.0", 8, "3.9.5"),
    **_lines("12.0 12.1", "3.3.1", 8, "3.9.5"),
    **_lines("12.2", "3.3.2", 8, "3.9.5"),
    **_lines("13.0 13.1 13.2", "3.4.0", 8, "3.10.6"),
    **_lines("13.3", "3.4.1", 8, "3.10.12"),
    **_lines("14.0 14.1 14.2 14.3", "3.5.0", 8, "3.10.12"),
    **_lines("15.0 15.1 15.2 15.3 15.4", "3.5.0", 8, "3.11.11"),
    **_lines("16.0 16.1 16.2", "3.5.0", 17, "3.12.3"),
    **_lines("16.3 16.4", "3.5.2", 17, "3.12.3"),
    **_lines("17.0 17.1 17.2 17.3", "4.0.0", 17, "3.12.3"),
    **_lines("18 18.0 18.1 18.2", "4.1.0", 21, "3.12.3"),
}


def runtime_of(key: str, names: Mapping[str, str]) -> Runtime | None:
    """The runtime of a `spark_version`. `names` are those of the workspace's list (`clusters/spark-versions`). None
    where neither the list nor the table has it."""
    said = _NAMED.search(names.get(key, ""))
    parts = _KEY.fullmatch(key)
    known = _known(parts)
    if said is None:
        if parts is None or known is None:
            return Runtime(key) if key in names else None
        spark, java, python = known
        return Runtime(key, spark, parts.group(3), java, python, "linux")
    runtime = Runtime(
        key,
        spark=said.group(1),
        scala=said.group(2) or (parts.group(3) if parts else ""),
        java=int(said.group(3)) if said.group(3) else None,
        python=said.group(4) or "",
    )
    # The embedded workspace's keys look like Databricks' and mean another Spark: then the table is not about them.
    if known is not None and minor(known[0]) == minor(runtime.spark):
        return replace(runtime, java=runtime.java or known[1], python=runtime.python or known[2], platform="linux")
    return runtime


def _known(parts: "re.Match[str] | None") -> tuple[str, int, str] | None:
    if parts is None:
        return None
    number = parts.group(1) if parts.group(2) in (None, "x") else f"{parts.group(1)}.{parts.group(2)}"
    return DATABRICKS.get(number)


def with_java(runtime: Runtime, variables: Mapping[str, str]) -> Runtime:
    """The runtime with the Java that a cluster chose by `JNAME`. Source: Databricks, "Create a cluster with a specific
    JDK version"."""
    chosen = _JDK.search(variables.get("JNAME", ""))
    return replace(runtime, java=int(chosen.group(1))) if chosen else runtime


def minor(version: str) -> tuple[int, int]:
    """MAJOR and MINOR; zeros where there are none."""
    numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)
