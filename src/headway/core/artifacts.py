"""What a JAR or a wheel says of itself: the facts that bills of materials and the compatibility gate are made of. Pure.

Sources: The Java Virtual Machine Specification, §4.1 (class files); JAR File Specification (manifest, multi-release);
Core metadata and Binary distribution format (wheels).
"""

import email.parser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_POM = re.compile(r"META-INF/maven/([^/]+)/([^/]+)/pom\.properties")
_VERSIONED = re.compile(r"META-INF/versions/(\d+)/(.+)")
_SUFFIX = re.compile(r"_(2\.1[0-9]|3)$")

# What the compiler of one Scala writes into class files and that of the other does not. `scala.Serializable` and
# `CanBuildFrom` went away with 2.13; `productElementName` and `ArraySeq` of varargs came with it.
_SCALA_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"scala/Serializable", "2.12"),
    (b"scala/collection/generic/CanBuildFrom", "2.12"),
    (b"scala/collection/GenTraversableOnce", "2.12"),
    (b"scala/collection/mutable/WrappedArray", "2.12"),
    (b"productElementName", "2.13"),
    (b"scala/collection/immutable/ArraySeq", "2.13"),
    (b"scala/collection/IterableOnce", "2.13"),
    (b"scala/collection/StringOps", "2.13"),
)

# One class of each module of Spark that is the cluster's own and must not come with an application. Connectors, which
# are meant to be bundled, live in org.apache.spark too, and have none of them.
SPARK_CLASSES: Mapping[str, str] = {
    "org/apache/spark/SparkContext.class": "spark-core",
    "org/apache/spark/sql/catalyst/InternalRow.class": "spark-catalyst",
    "org/apache/spark/sql/SparkSession.class": "spark-sql",
    "org/apache/spark/sql/hive/HiveUtils.class": "spark-hive",
    "org/apache/spark/streaming/StreamingContext.class": "spark-streaming",
    "org/apache/spark/ml/Pipeline.class": "spark-mllib",
    "org/apache/spark/graphx/Graph.class": "spark-graphx",
}


@dataclass(frozen=True, order=True)
class Package:
    """A library that an artifact holds or needs. `ecosystem` is `maven` or `pypi`; `group` is Maven's; `version` is
    empty where only a range is known, which `requirement` then has."""

    ecosystem: str
    name: str
    version: str = ""
    group: str = ""
    requirement: str = ""

    @property
    def scala(self) -> str:
        """The Scala binary version in a Maven artifact's name, as in `cats-core_2.13`; empty where it has none."""
        found = _SUFFIX.search(self.name)
        return found.group(1) if found else ""


@dataclass(frozen=True)
class JarFacts:
    """A JAR. `java` is the oldest Java that loads every class of it (`java_class` is one that needs that Java).

    `multi_release` lists the Javas that it has classes of their own for. `scala` maps each Scala binary version that
    something in the JAR was compiled for to a place which shows it. `classes` are the names (`a.b.C`) of its classes;
    `spark_modules` modules of Spark that are bundled, `bundled` other libraries by their Maven coordinates.
    """

    java: int = 0
    java_class: str = ""
    multi_release: tuple[int, ...] = ()
    scala: Mapping[str, str] = field(default_factory=dict)
    scala_library: str = ""
    tasty: bool = False
    manifest: Mapping[str, str] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    spark_modules: tuple[str, ...] = ()
    bundled: tuple[Package, ...] = ()

    @property
    def spark(self) -> str:
        """The Spark that it was compiled with, where its manifest says so."""
        return self.manifest.get("Spark-Version", "")


@dataclass(frozen=True)
class WheelFacts:
    """A wheel. `tags` as `py3-none-any`; `requires` its `Requires-Dist` lines."""

    name: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    requires_python: str = ""
    requires: tuple[str, ...] = ()


class JarReader:
    """Collects the facts of a JAR, entry by entry, whatever their order."""

    def __init__(self) -> None:
        self._java: dict[int, str] = {}
        self._releases: dict[int, str] = {}
        self._scala: dict[str, str] = {}
        self._library = ""
        self._tasty = False
        self._manifest: dict[str, str] = {}
        self._classes: set[str] = set()
        self._modules: set[str] = set()
        self._bundled: set[Package] = set()

    def entry(self, name: str, content: bytes) -> None:
        """One file of the JAR."""
        pom = _POM.fullmatch(name)
        if name == "META-INF/MANIFEST.MF":
            self._manifest = manifest(content.decode("utf-8", "replace"))
        elif pom:
            self._pom(name, properties(content.decode("latin-1")))
        elif name.endswith(".tasty"):
            self._tasty = True
        elif name == "library.properties":  # of a bundled scala-library
            self._library = properties(content.decode("latin-1")).get("version.number", "")
        elif name.endswith(".class") and content[:4] == b"\xca\xfe\xba\xbe":
            self._class(name, content)

    def _pom(self, name: str, found: Mapping[str, str]) -> None:
        if found.get("groupId") and found.get("artifactId"):
            package = Package("maven", found["artifactId"], found.get("version", ""), found["groupId"])
            self._bundled.add(package)
            if package.scala:
                self._scala.setdefault(package.scala, name)

    def _class(self, name: str, content: bytes) -> None:
        java = max(int.from_bytes(content[6:8]) - 44, 1)  # 52 is Java 8
        versioned = _VERSIONED.fullmatch(name)
        if versioned:  # loaded by that Java and newer ones only
            self._releases.setdefault(int(versioned.group(1)), name)
            return
        if name.rpartition("/")[2] == "module-info.class":
            return  # older Javas do not look at it
        self._java.setdefault(java, name)
        self._classes.add(name.removesuffix(".class").replace("/", "."))
        if name in SPARK_CLASSES:
            self._modules.add(SPARK_CLASSES[name])
        if name.startswith("scala/"):
            return  # the library itself has the marks of both
        for mark, version in _SCALA_MARKS:
            if version not in self._scala and mark in content:
                self._scala[version] = name

    def facts(self) -> JarFacts:
        """What was found."""
        java = max(self._java, default=0)
        said = self._manifest.get("Scala-Version", "")
        scala = dict(self._scala)
        if self._classes and said and not scala:
            scala[".".join(said.split(".")[:2])] = "META-INF/MANIFEST.MF"
        multi = self._manifest.get("Multi-Release", "").strip().lower() == "true"
        return JarFacts(
            java=java,
            java_class=self._java.get(java, ""),
            multi_release=tuple(sorted(self._releases)) if multi else (),
            scala=scala,
            scala_library=self._library,
            tasty=self._tasty,
            manifest=self._manifest,
            classes=frozenset(self._classes),
            spark_modules=tuple(sorted(self._modules)),
            bundled=tuple(sorted(self._bundled)),
        )


def manifest(text: str) -> dict[str, str]:
    """The main section of a MANIFEST.MF; lines that begin with a space go on with the line before."""
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line:
            break
        if line.startswith(" ") and last:
            found[last] += line[1:]
            continue
        name, sign, value = line.partition(":")
        if sign:
            last = name.strip()
            found[last] = value.strip()
    return found


def properties(text: str) -> dict[str, str]:
    """A simple `.properties` file."""
    pairs = (line.partition("=") for line in text.splitlines() if line and line[0] not in "#!")
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def wheel_facts(metadata: str, wheel: str) -> WheelFacts:
    """From the texts of `METADATA` and `WHEEL`."""
    about = email.parser.HeaderParser().parsestr(metadata)
    tags = email.parser.HeaderParser().parsestr(wheel).get_all("Tag") or []
    return WheelFacts(
        name=str(about["Name"] or ""),
        version=str(about["Version"] or ""),
        tags=tuple(str(tag).strip() for tag in tags),
        requires_python=str(about["Requires-Python"] or ""),
        requires=tuple(str(line) for line in about.get_all("Requires-Dist") or []),
    )
