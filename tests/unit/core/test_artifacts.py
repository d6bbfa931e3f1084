"""The facts of JARs and wheels, read from what compilers and build tools write."""

import json
import zipfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from headway.core.artifacts import JarFacts, JarReader, Package, WheelFacts, manifest, wheel_facts
from headway.core.locks import python_packages
from headway.core.release import Artifact, Release, Version
from headway.delivery.inspecting import inspect
from headway.delivery.sbom import sbom_document, sbom_problems


def class_file(java: int, *names: str) -> bytes:
    """The beginning of a class file of that Java, with these names in its constant pool."""
    texts = b"".join(b"\x01" + len(name).to_bytes(2) + name.encode() for name in names)
    return b"\xca\xfe\xba\xbe\0\0" + (java + 44).to_bytes(2) + (len(names) + 1).to_bytes(2) + texts


def read(entries: dict[str, bytes]) -> JarFacts:
    """The same, with plain names."""
    reader = JarReader()
    for name, content in entries.items():
        reader.entry(name, content)
    return reader.facts()


def test_the_oldest_java_is_that_of_the_newest_class() -> None:
    facts = read({"a/Old.class": class_file(8), "a/New.class": class_file(17), "a/b.txt": b"x"})
    assert (facts.java, facts.java_class) == (17, "a/New.class")
    assert facts.classes == {"a.Old", "a.New"}


def test_classes_of_other_releases_and_modules_do_not_raise_it() -> None:
    facts = read(
        {
            "META-INF/MANIFEST.MF": b"Multi-Release: true\r\n",
            "a/A.class": class_file(8),
            "META-INF/versions/21/a/A.class": class_file(21),
            "module-info.class": class_file(9),
        }
    )
    assert (facts.java, facts.multi_release) == (8, (21,))


def test_scala_is_told_by_what_its_compiler_writes() -> None:
    old = read({"a/A.class": class_file(8, "scala/Serializable", "scala/collection/Seq")})
    new = read({"a/A.class": class_file(8, "productElementName", "scala/collection/immutable/Seq")})
    assert (dict(old.scala), dict(new.scala)) == ({"2.12": "a/A.class"}, {"2.13": "a/A.class"})
    java = read({"a/A.class": class_file(8, "java/lang/Object")})
    assert dict(java.scala) == {}


def test_scala_is_told_by_bundled_poms_and_the_library_is_not_taken_for_code() -> None:
    facts = read(
        {
            "scala/Predef.class": class_file(8, "scala/Serializable", "scala/collection/immutable/ArraySeq"),
            "library.properties": b"version.number=2.12.18\n",
            "META-INF/maven/org.typelevel/cats-core_2.12/pom.properties": (
                b"groupId=org.typelevel\nartifactId=cats-core_2.12\nversion=2.9.0\n"
            ),
        }
    )
    assert set(facts.scala) == {"2.12"}
    assert facts.scala_library == "2.12.18"
    assert facts.bundled == (Package("maven", "cats-core_2.12", "2.9.0", "org.typelevel"),)


def test_spark_itself_is_told_from_a_connector() -> None:
    connector = read({"org/apache/spark/sql/kafka010/KafkaSource.class": class_file(8)})
    assert connector.spark_modules == ()
    fat = read({"org/apache/spark/SparkContext.class": class_file(8)})
    assert fat.spark_modules == ("spark-core",)


def test_a_manifest_with_folded_lines() -> None:
    assert manifest("A: one\r\n two\r\nSpark-Version: 4.0.0\r\n\r\nName: x\r\nB: y\r\n") == {
        "A": "onetwo",
        "Spark-Version": "4.0.0",
    }


def test_a_wheel_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "x-1.0-py3-none-any.whl"
    metadata = (
        "Name: x\nVersion: 1.0\nRequires-Python: >=3.10\nRequires-Dist: pyspark<4,>=3.5\nRequires-Dist: a\n\nText"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x-1.0.dist-info/METADATA", metadata)
        archive.writestr("x-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any\n")
    assert inspect(path, "wheel") == WheelFacts(
        "x", "1.0", ("py2-none-any", "py3-none-any"), ">=3.10", ("pyspark<4,>=3.5", "a")
    )
    assert wheel_facts("", "") == WheelFacts()


REQUIRES = ("Requests>=2", "pandas", 'pytest; extra == "test"', "not a requirement at all !")


def names(packages: tuple[Package, ...]) -> dict[str, str]:
    """Versions by name."""
    return {package.name: package.version for package in packages}


def test_without_a_lock_the_ranges_are_told() -> None:
    assert python_packages(REQUIRES) == (
        Package("pypi", "pandas", requirement="any version"),
        Package("pypi", "requests", requirement=">=2"),
    )


def test_locks_name_the_exact_versions_of_what_is_reached() -> None:
    poetry = """
[[package]]
name = "requests"
version = "2.32.0"
[package.dependencies]
urllib3 = ">=1"
[[package]]
name = "urllib3"
version = "2.2.1"
[[package]]
name = "pandas"
version = "2.2.3"
[[package]]
name = "pytest"
version = "8.0"
"""
    uv = poetry.replace('[package.dependencies]\nurllib3 = ">=1"', 'dependencies = [{ name = "urllib3" }]')
    expected = {"requests": "2.32.0", "urllib3": "2.2.1", "pandas": "2.2.3"}
    assert names(python_packages(REQUIRES, "poetry.lock", poetry)) == expected
    assert names(python_packages(REQUIRES, "uv.lock", uv)) == expected
    assert names(python_packages(REQUIRES, "uv.lock", "not [ toml")) == {"requests": "", "pandas": ""}
    pins = (
        "# what we need\n-r other.txt\nrequests==2.32.0 \\\n    --hash=sha256:00\nPandas == 2.2.3 # exact\nnumpy>=2\n"
    )
    assert names(python_packages(REQUIRES, "requirements.txt", pins)) == {"requests": "2.32.0", "pandas": "2.2.3"}


def a_release() -> Release:
    """With one JAR."""
    artifacts = {"lib": Artifact("lib", "jar", "lib-1.0.1.jar", "app/releases/1.0.1/lib-1.0.1.jar", "a" * 64, 7)}
    at = "2026-01-01T00:00:00Z"
    return Release("app", Version(1, 0, 1), "c" * 40, "main", "s", "a", at, "4.3.0", "2.13", "k", artifacts, ())


def test_a_bill_of_materials_is_valid_cyclonedx_and_the_same_bytes_twice() -> None:
    needed = {
        "lib": (
            Package("maven", "cats-core_2.13", "2.9.0", "org.typelevel"),
            Package("pypi", "pandas", requirement=">=2"),
            Package("pypi", "pandas", requirement=">=1"),
        )
    }
    document = sbom_document(a_release(), needed)
    assert document == sbom_document(a_release(), needed)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.decode()) is None
    data = json.loads(document)
    assert sorted(entry.get("purl", "") for entry in data["components"]) == [
        "",
        "pkg:maven/org.typelevel/cats-core_2.13@2.9.0",
        "pkg:pypi/pandas",
        "pkg:pypi/pandas",
    ]
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in data["dependencies"]}
    assert len(needs["artifact:lib"]) == 3
    assert sbom_problems(document, a_release()) == []
    assert sbom_problems(b"[]", a_release()) == ["it is not a CycloneDX document"]
