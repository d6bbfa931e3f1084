"""An artifact that does not fit a job's runtime is told, with both; what nobody knows is not held against it."""

from typing import Any

import pytest

from headway.core.artifacts import JarFacts, WheelFacts
from headway.core.compatibility import Allowance, Mismatch, Named, mismatches, uses_of
from headway.core.runtimes import Runtime, runtime_of, with_java

NAMES = {
    "15.4.x-scala2.12": "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
    "17.3.x-scala2.13": "17.3 LTS (includes Apache Spark 4.0.0, Scala 2.13)",
    "4.3.x-scala2.13": "4.3 (includes Apache Spark 4.3.0, Scala 2.13, Java 21, Python 3.11.2)",
    "custom-image": "somebody's own",
}


def job(spark_version: str, **task: Any) -> dict[str, Any]:
    """A job with one task on a shared cluster."""
    return {
        "name": "j",
        "tasks": [{"task_key": "t", "job_cluster_key": "c", **task}],
        "job_clusters": [{"job_cluster_key": "c", "new_cluster": {"spark_version": spark_version}}],
    }


def found(
    facts: JarFacts | WheelFacts, spark_version: str, allow: tuple[Allowance, ...] = (), **task: Any
) -> list[Mismatch]:
    """The mismatches of a job whose task has one library with these facts."""
    kind = "jar" if isinstance(facts, JarFacts) else "whl"
    uses = list(uses_of("nightly", job(spark_version, libraries=[{kind: "dbfs:/x"}], **task)))
    runtimes = {spark_version: runtime_of(spark_version, NAMES)}
    return mismatches(uses, {"dbfs:/x": Named("lib", f"lib-1.0.1.{kind}", facts)}, runtimes, allow)


def test_a_workspaces_own_names_and_the_table_make_a_runtime() -> None:
    assert runtime_of("15.4.x-scala2.12", NAMES) == Runtime("15.4.x-scala2.12", "3.5.0", "2.12", 8, "3.11.11", "linux")
    assert runtime_of("4.3.x-scala2.13", NAMES) == Runtime("4.3.x-scala2.13", "4.3.0", "2.13", 21, "3.11.2")
    for key in ("16.4.x-photon-scala2.13", "16.4.x-cpu-ml-scala2.13", "16.4.x-scala2.13"):
        assert runtime_of(key, {}) == Runtime(key, "3.5.2", "2.13", 17, "3.12.3", "linux")
    assert runtime_of("18.x-scala2.13", {}) == Runtime("18.x-scala2.13", "4.1.0", "2.13", 21, "3.12.3", "linux")
    assert runtime_of("custom-image", NAMES) == Runtime("custom-image")
    assert runtime_of("99.9.x-scala2.13", NAMES) is None


def test_a_cluster_may_choose_its_java() -> None:
    runtime = Runtime("15.4.x-scala2.12", java=8)
    assert with_java(runtime, {"JNAME": "zulu17-ca-amd64"}).java == 17
    assert with_java(runtime, {}).java == 8


FITTING = [
    (JarFacts(java=8, scala={"2.12": "a"}), "15.4.x-scala2.12"),
    (JarFacts(java=17, scala={"2.13": "a"}, manifest={"Spark-Version": "4.0.0"}), "17.3.x-scala2.13"),
    (JarFacts(java=17, scala={"3": "a"}, tasty=True), "17.3.x-scala2.13"),
    (JarFacts(java=8, scala={}), "15.4.x-scala2.12"),
    (JarFacts(java=21, scala={"2.12": "a"}), "custom-image"),  # nothing is known of it
    (WheelFacts("x", "1", ("py3-none-any",), ">=3.9", ("pyspark<4,>=3.4",)), "15.4.x-scala2.12"),
    (WheelFacts("x", "1", ("cp39-abi3-manylinux_2_17_x86_64",)), "15.4.x-scala2.12"),
    (WheelFacts("x", "1", ("cp311-cp311-linux_x86_64",)), "15.4.x-scala2.12"),
    (WheelFacts("x", "1", ("py2.py3-none-any",), "", ('pyspark==2.0; python_version < "3"',)), "15.4.x-scala2.12"),
    (WheelFacts("x", "1", ("py3-none-any",), "", ('pyspark==2.0; extra == "old"',)), "15.4.x-scala2.12"),
    (WheelFacts("x", "1", ("cp311-cp311-macosx_11_0_arm64",)), "4.3.x-scala2.13"),  # its machine is not known
]


@pytest.mark.parametrize(("facts", "spark_version"), FITTING)
def test_what_fits_is_let_through(facts: JarFacts | WheelFacts, spark_version: str) -> None:
    assert found(facts, spark_version) == []


MISMATCHED = [
    (JarFacts(java=17, java_class="a/A.class"), "15.4.x-scala2.12", "java", "Java 17", "Java 8"),
    (JarFacts(scala={"2.12": "a/A.class"}), "17.3.x-scala2.13", "scala", "Scala 2.12", "Scala 2.13"),
    (JarFacts(scala={"2.13": "a", "2.12": "b"}), "17.3.x-scala2.13", "scala", "Scala 2.12", "Scala 2.13"),
    (JarFacts(tasty=True), "15.4.x-scala2.12", "scala", "Scala 3", "Scala 2.12"),
    (JarFacts(manifest={"Spark-Version": "4.0.0"}), "15.4.x-scala2.12", "spark", "Spark 4.0.0", "Spark 3.5.0"),
    (JarFacts(manifest={"Spark-Version": "4.1.0"}), "17.3.x-scala2.13", "spark", "Spark 4.1.0", "Spark 4.0.0"),
    (JarFacts(spark_modules=("spark-core",)), "17.3.x-scala2.13", "bundled-spark", "spark-core", "its own Spark"),
    (WheelFacts(requires_python=">=3.12"), "15.4.x-scala2.12", "python", ">=3.12", "Python 3.11.11"),
    (WheelFacts(tags=("cp312-cp312-linux_x86_64",)), "15.4.x-scala2.12", "python", "cp312", "Python 3.11.11"),
    (WheelFacts(tags=("cp311-cp311-win_amd64",)), "15.4.x-scala2.12", "platform", "win_amd64", "Linux"),
    (WheelFacts(requires=("PySpark[sql]>=4",)), "15.4.x-scala2.12", "spark", "pyspark >=4", "Spark 3.5.0"),
    (JarFacts(), "99.9.x-scala2.13", "runtime", "needs a runtime", "no spark_version"),
]


@pytest.mark.parametrize(("facts", "spark_version", "check", "needs", "has"), MISMATCHED)
def test_what_does_not_fit_is_told_with_both(
    facts: JarFacts | WheelFacts, spark_version: str, check: str, needs: str, has: str
) -> None:
    (mismatch,) = found(facts, spark_version)
    assert mismatch.check == check
    assert needs in mismatch.found
    assert has in mismatch.expected
    assert str(mismatch).startswith("nightly/t: ")
    assert spark_version in str(mismatch)


def test_a_main_class_that_is_not_in_the_jar_is_told() -> None:
    facts = JarFacts(classes=frozenset({"app.Main"}))
    assert found(facts, "custom-image", spark_jar_task={"main_class_name": "app.Main"}) == []
    (mismatch,) = found(facts, "custom-image", spark_jar_task={"main_class_name": "app.Mian"})
    assert (mismatch.check, mismatch.artifact) == ("main-class", "lib")
    uses = list(
        uses_of(
            "j",
            job(
                "custom-image",
                spark_jar_task={"main_class_name": "other.Main"},
                libraries=[{"jar": "dbfs:/x"}, {"jar": "dbfs:/not-ours"}],
            ),
        )
    )
    assert (
        mismatches(uses, {"dbfs:/x": Named("lib", "lib.jar", facts)}, {"custom-image": Runtime("custom-image")}) == []
    )


def test_headway_toml_may_allow_it_with_a_reason() -> None:
    facts = JarFacts(java=17)
    for allowance, allowed in (
        (Allowance("java", "17 is set by an init script"), True),
        (Allowance("java", "why", "other"), False),
        (Allowance("java", "why", "li*", ("night*",)), True),
        (Allowance("java", "why", "lib", ("daily",)), False),
        (Allowance("scala", "why"), False),
    ):
        (mismatch,) = found(facts, "15.4.x-scala2.12", (allowance,))
        assert bool(mismatch.allowed) is allowed


def test_tasks_inside_for_each_and_on_their_own_or_existing_clusters_are_seen() -> None:
    settings = {
        "tasks": [
            {"task_key": "own", "new_cluster": {"spark_version": "a", "spark_env_vars": {"JNAME": "zulu17"}}},
            {"task_key": "shared", "existing_cluster_id": "0123"},
            {
                "task_key": "each",
                "for_each_task": {
                    "inputs": "[1]",
                    "task": {"task_key": "inner", "new_cluster": {"spark_version": "b"}},
                },
            },
            {"task_key": "serverless", "environment_key": "default"},
        ]
    }
    seen = [(use.task, use.spark_version, use.cluster_id) for use in uses_of("j", settings)]
    assert seen == [
        ("own", "a", ""),
        ("shared", "", "0123"),
        ("inner", "b", ""),
        ("each", "", ""),
        ("serverless", "", ""),
    ]
