"""Whether the artifacts of a release fit the runtimes that its jobs ask for. Pure.

What an artifact needs is read from its bytes (`core.artifacts`), what a runtime offers from `core.runtimes`. Something
that either of them does not say is not held against it.
"""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from headway.core.artifacts import JarFacts, WheelFacts
from headway.core.runtimes import Runtime, minor, with_java

CheckName = Literal["java", "scala", "spark", "python", "platform", "bundled-spark", "main-class", "runtime"]
CHECKS: tuple[str, ...] = get_args(CheckName)


@dataclass(frozen=True)
class Allowance:
    """A mismatch that headway.toml accepts, and why. `artifact` and `jobs` are patterns (`*`)."""

    check: str
    reason: str
    artifact: str = "*"
    jobs: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Use:
    """A task and the cluster it runs on. `spark_version` is empty where there is none to know (serverless, SQL).

    `libraries` are the paths of its JARs and wheels; `main_class` that of a JAR task.
    """

    job: str
    task: str
    spark_version: str = ""
    cluster_id: str = ""
    variables: Mapping[str, str] | None = None
    libraries: tuple[str, ...] = ()
    main_class: str = ""


@dataclass(frozen=True)
class Mismatch:
    """An artifact that does not fit a task's runtime. `expected` is what the runtime has, `found` what the artifact
    needs, `where` the place in the artifact which shows it. `allowed` is the reason that headway.toml gives."""

    check: CheckName
    artifact: str
    file: str
    job: str
    task: str
    runtime: str
    expected: str
    found: str
    where: str = ""
    allowed: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        what = f"{self.file} {self.found}{place}" if self.file else self.found
        return f"{self.job}/{self.task}: {what}; {self.runtime} {self.expected}"

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {key: value for key, value in vars(self).items() if key != "allowed"} | {"allowed": self.allowed or None}


def uses_of(key: str, settings: Mapping[str, Any]) -> Iterator[Use]:
    """Every task of a job, those inside for-each too."""
    shared = {
        str(cluster.get("job_cluster_key")): cluster.get("new_cluster") or {}
        for cluster in settings.get("job_clusters") or []
    }
    for task in settings.get("tasks") or []:
        yield from _uses_of_task(key, task, shared)


def _uses_of_task(key: str, task: Mapping[str, Any], shared: Mapping[str, Mapping[str, Any]]) -> Iterator[Use]:
    inner = (task.get("for_each_task") or {}).get("task")
    if isinstance(inner, Mapping):
        yield from _uses_of_task(key, inner, shared)
    cluster = task.get("new_cluster") or shared.get(str(task.get("job_cluster_key"))) or {}
    found = [
        entry.get("jar") or entry.get("whl") for entry in task.get("libraries") or [] if isinstance(entry, Mapping)
    ]
    yield Use(
        job=key,
        task=str(task.get("task_key", "")),
        spark_version=str(cluster.get("spark_version") or ""),
        cluster_id=str(task.get("existing_cluster_id") or ""),
        variables=cluster.get("spark_env_vars") or {},
        libraries=tuple(str(path) for path in found if path),
        main_class=str((task.get("spark_jar_task") or {}).get("main_class_name") or ""),
    )


@dataclass(frozen=True)
class Named:
    """An artifact's facts, with its name and file name."""

    name: str
    file: str
    facts: JarFacts | WheelFacts


def mismatches(
    uses: Sequence[Use],
    artifacts: Mapping[str, Named],
    runtimes: Mapping[str, Runtime | None],
    allowances: Sequence[Allowance] = (),
) -> list[Mismatch]:
    """What does not fit. `artifacts` by the path by which jobs name them; `runtimes` by `spark_version`, None where
    nobody knows it. Allowed ones are in it, with the reason."""
    return [_allowed(found, allowances) for use in uses for found in _of_use(use, artifacts, runtimes)]


def _allowed(found: Mismatch, allowances: Sequence[Allowance]) -> Mismatch:
    for allowance in allowances:
        if (
            allowance.check == found.check
            and fnmatch.fnmatchcase(found.artifact, allowance.artifact)
            and any(fnmatch.fnmatchcase(found.job, pattern) for pattern in allowance.jobs)
        ):
            return replace(found, allowed=allowance.reason)
    return found


def _of_use(use: Use, artifacts: Mapping[str, Named], runtimes: Mapping[str, Runtime | None]) -> Iterator[Mismatch]:
    ours = [artifacts[path] for path in use.libraries if path in artifacts]
    yield from _main_class(use, ours)
    if not use.spark_version:
        return
    runtime = runtimes.get(use.spark_version)
    if runtime is None:
        expected = "is no spark_version that the workspace lists"
        yield Mismatch("runtime", "", "", use.job, use.task, use.spark_version, expected, "needs a runtime")
        return
    runtime = with_java(runtime, use.variables or {})
    for artifact in ours:
        facts = artifact.facts
        found = _of_jar(facts, runtime) if isinstance(facts, JarFacts) else _of_wheel(facts, runtime)
        for check, needs, has, where in found:
            yield Mismatch(check, artifact.name, artifact.file, use.job, use.task, runtime.key, has, needs, where)


def _main_class(use: Use, ours: Sequence[Named]) -> Iterator[Mismatch]:
    """Only where every library of the task is an artifact of the release: else the class may be in another one."""
    jars = [artifact for artifact in ours if isinstance(artifact.facts, JarFacts)]
    if not use.main_class or not jars or len(ours) != len(use.libraries):
        return
    if not any(use.main_class in artifact.facts.classes for artifact in jars if isinstance(artifact.facts, JarFacts)):
        last = jars[-1]
        found, needs = "has no such class", f"asks for main class {use.main_class}"
        yield Mismatch("main-class", last.name, last.file, use.job, use.task, "the task", needs, found)


Found = tuple[CheckName, str, str, str]


def _of_jar(facts: JarFacts, runtime: Runtime) -> Iterator[Found]:
    if runtime.java is not None and facts.java > runtime.java:
        yield "java", f"is compiled for Java {facts.java}", f"runs on Java {runtime.java}", facts.java_class
    if runtime.scala:
        for scala, where in facts.scala.items():
            if not _scala_fits(scala, runtime.scala):
                yield "scala", f"is compiled for Scala {scala}", f"has Scala {runtime.scala}", where
        if facts.tasty and runtime.scala != "2.13" and "3" not in facts.scala:
            yield "scala", "is compiled by Scala 3, which needs 2.13's library", f"has Scala {runtime.scala}", "*.tasty"
    if runtime.spark and facts.spark:
        built, there = minor(facts.spark), minor(runtime.spark)
        if built[0] != there[0] or built > there:
            where = "Spark-Version in its manifest"
            yield "spark", f"is compiled for Spark {facts.spark}", f"has Spark {runtime.spark}", where
    if facts.spark_modules:
        yield "bundled-spark", f"holds {', '.join(facts.spark_modules)}", "brings its own Spark", ""


def _scala_fits(built: str, there: str) -> bool:
    return built == there or (built == "3" and there == "2.13")  # Scala 3 uses the library of 2.13


def _of_wheel(facts: WheelFacts, runtime: Runtime) -> Iterator[Found]:
    if runtime.python:
        if facts.requires_python and not _contains(facts.requires_python, runtime.python):
            yield (
                "python",
                f"requires Python {facts.requires_python}",
                f"has Python {runtime.python}",
                "Requires-Python",
            )
        if facts.tags and not any(_interpreter_fits(tag, minor(runtime.python)) for tag in facts.tags):
            yield "python", f"is built for {', '.join(facts.tags)}", f"has Python {runtime.python}", "Tag"
    if runtime.platform and facts.tags and not any(_platform_fits(tag) for tag in facts.tags):
        yield "platform", f"is built for {', '.join(facts.tags)}", "runs on Linux (glibc)", "Tag"
    if runtime.spark:
        for line in facts.requires:
            bound = _pyspark(line, runtime)
            if bound and not _contains(bound, runtime.spark):
                yield "spark", f"requires pyspark {bound}", f"has Spark {runtime.spark}", "Requires-Dist"


def _contains(specifier: str, version: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True  # pip reads it as no bound, or refuses the wheel itself


def _pyspark(line: str, runtime: Runtime) -> str:
    """The bound that a `Requires-Dist` line sets on PySpark in this runtime; empty where it sets none."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return ""
    if canonicalize_name(requirement.name) != "pyspark":
        return ""
    if requirement.marker is not None:
        where = {"extra": ""}
        if runtime.python:
            where |= {
                "python_version": ".".join(map(str, minor(runtime.python))),
                "python_full_version": runtime.python,
            }
        if not requirement.marker.evaluate(where):
            return ""
    return str(requirement.specifier)


def _interpreter_fits(tag: str, python: tuple[int, int]) -> bool:
    for part in parse_tag(tag):
        name, digits = part.interpreter[:2], part.interpreter[2:]
        version = (int(digits[0]), int(digits[1:] or 0)) if digits.isdigit() else (0, 0)
        if version[0] != python[0]:
            continue
        older = version[1] <= python[1]
        if name == "py" and older:
            return True
        if name == "cp" and (version == python or (part.abi == "abi3" and older)):
            return True
    return False


def _platform_fits(tag: str) -> bool:
    return any(part.platform == "any" or part.platform.startswith(("linux", "manylinux")) for part in parse_tag(tag))
