"""What `headway init` writes: a `headway.toml` and a first job, proposed from the files a repository has."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """Something in the repository that can be built. `tool` names what was recognised."""

    name: str
    tool: str
    artifact: str
    test: str
    kind: str


def modules(files: Iterable[str], default_name: str) -> tuple[Module, ...]:
    """What can be built, from repository-relative file paths. Only the shallowest file of each tool counts."""
    names = sorted(files, key=lambda file: (file.count("/"), file))
    found: list[Module] = []
    folders: set[str] = set()
    for file in names:
        folder, _, base = file.rpartition("/")
        if any(_within(folder, other) for other in folders):
            continue
        module = _module(folder, base, _name(folder.rpartition("/")[2] or default_name))
        if module is not None:
            folders.add(folder)
            found.append(module)
    if not found:
        found.extend(_plain_scala(names, default_name))
    notebooks = _notebook_folder(names)
    if notebooks:
        found.append(_notebooks(notebooks))
    return tuple(found)


def propose(files: Iterable[str], app: str, spark: str) -> Mapping[str, str]:
    """The files to write, by path. `app` is the repository's name; `spark` the exact installed Spark version."""
    name = _name(app)
    parts = modules(files, name)
    return {
        "headway.toml": _toml(name, spark, parts),
        f"jobs/{name}.yml": _job(name, parts),
    }


def _within(folder: str, other: str) -> bool:
    return folder == other or other == "" or folder.startswith(other + "/")


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "app"


def _module(folder: str, base: str, name: str) -> Module | None:
    prefix = f"cd {folder} && " if folder else ""
    glob = f"{folder}/" if folder else ""
    match base:
        case "pom.xml":
            return _command(name, "Maven", f"{prefix}mvn -q -B package -DskipTests", f"{glob}target/*.jar", prefix)
        case "build.sbt":
            return _command(name, "sbt", f"{prefix}sbt -batch package", f"{glob}target/scala-*/*.jar", prefix)
        case "build.gradle" | "build.gradle.kts":
            return _command(name, "Gradle", f"{prefix}./gradlew -q assemble", f"{glob}build/libs/*.jar", prefix)
        case "pyproject.toml" | "setup.py":
            path = folder or "."
            return Module(
                name,
                "Python",
                f'[[artifact]]\nname = "{name}"\nkind = "wheel"\nbuilder = "wheel"\npath = "{path}"\n',
                f'[[test]]\nname = "{name}"\n'
                f'command = "{prefix}python -m pytest -q --junitxml=build/junit/{name}.xml"\n'
                f'junit = ["{glob}build/junit/*.xml"]\n',
                "wheel",
            )
    return None


_TESTS = {
    "Maven": ("mvn -q -B test", "target/surefire-reports/*.xml"),
    "sbt": ("sbt -batch test", "target/test-reports/*.xml"),
    "Gradle": ("./gradlew -q test", "build/test-results/test/*.xml"),
}


def _command(name: str, tool: str, command: str, output: str, prefix: str) -> Module:
    test, junit = _TESTS[tool]
    folder = output.split("target")[0].split("build/")[0]
    return Module(
        name,
        tool,
        f"# {tool}\n"
        f'[[artifact]]\nname = "{name}"\nkind = "jar"\nbuilder = "command"\n'
        f"command = {json.dumps(command)}\noutput = {json.dumps(output)}\n",
        f'[[test]]\nname = "{name}"\ncommand = {json.dumps(prefix + test)}\njunit = ["{folder}{junit}"]\n',
        "jar",
    )


def _plain_scala(names: list[str], default_name: str) -> list[Module]:
    sources = sorted({file.split("/src/main/scala/")[0] for file in names if "/src/main/scala/" in f"/{file}"})
    root = [file for file in names if file.startswith("src/main/scala/")]
    if root:
        sources = [""]
    return [_scala(folder, _name(folder.rpartition("/")[2] or default_name)) for folder in sources]


def _scala(folder: str, name: str) -> Module:
    path = f"{folder}/src/main/scala" if folder else "src/main/scala"
    return Module(
        name,
        "Scala",
        "# Plain Scala: compiled with the compiler inside Spark.\n"
        f'[[artifact]]\nname = "{name}"\nkind = "jar"\nbuilder = "scala"\nsources = ["{path}"]\n',
        "",
        "jar",
    )


def _notebook_folder(names: list[str]) -> str | None:
    for file in names:
        if "notebooks/" in f"/{file}" and file.endswith((".py", ".sql", ".ipynb", ".scala", ".r")):
            return file[: f"/{file}".index("/notebooks/")] + "/notebooks" if "/notebooks/" in file else "notebooks"
    return None


def _notebooks(path: str) -> Module:
    return Module(
        "notebooks",
        "notebooks",
        f'[[artifact]]\nname = "notebooks"\nkind = "notebooks"\nbuilder = "notebooks"\npath = "{path}"\n',
        "",
        "notebooks",
    )


def _toml(name: str, spark: str, parts: tuple[Module, ...]) -> str:
    tests = [part.test for part in parts if part.test]
    blocks = [
        f'[app]\nname = "{name}"\nbranch = "main"\n'
        'version = "1.0" # MAJOR.MINOR; Headway takes the BUILD number\n'
        f'spark = "{spark}" # what it is built and tested for\n',
        '[store]\n# file:///folder or s3://bucket/prefix\nurl = "${env.HEADWAY_STORE}"\n',
        *(tests or ["# No tests were recognised: add a [[test]] with a `command`.\n"]),
        *(part.artifact for part in parts),
        '[deploy]\njobs = "jobs/*.yml"\ntarget = "dbfs:/FileStore/job-jars"\n',
        "[environments.stage]\n"
        'host = "${env.HEADWAY_STAGE_HOST}"\ntoken_env = "HEADWAY_STAGE_TOKEN"\nprefix = "stage-"\n',
        f'[[environments.stage.gates]]\nkind = "run"\njobs = ["{name}"]\n',
        "[environments.production]\n"
        'host = "${env.HEADWAY_PRODUCTION_HOST}"\ntoken_env = "HEADWAY_PRODUCTION_TOKEN"\n'
        'prefix = ""\nafter = "stage"\n',
    ]
    return "# What Headway knows of this application. `headway check` reads it.\n\n" + "\n".join(blocks)


def _job(name: str, parts: tuple[Module, ...]) -> str:
    tasks: list[str] = []
    for part in parts:
        head = f"        - task_key: {part.name}\n          job_cluster_key: main\n"
        if tasks:
            previous = tasks[-1].split("task_key: ")[1].split("\n")[0]
            head += f"          depends_on: [{{task_key: {previous}}}]\n"
        match part.kind:
            case "jar":
                task = (
                    "          spark_jar_task: {main_class_name: Main} # TO SET: the class with `main`\n"
                    f'          libraries: [{{jar: "${{artifact.{part.name}.path}}"}}]\n'
                )
            case "wheel":
                task = (
                    f"          python_wheel_task: {{package_name: {part.name}, entry_point: main}} # TO SET\n"
                    f'          libraries: [{{whl: "${{artifact.{part.name}.path}}"}}]\n'
                )
            case _:
                task = f'          notebook_task: {{notebook_path: "${{artifact.{part.name}.path}}/NAME"}} # TO SET\n'
        tasks.append(head + task)
    if not tasks:
        tasks.append(
            "        - task_key: main\n          job_cluster_key: main\n"
            "          spark_python_task: {python_file: dbfs:/main.py} # TO SET\n"
        )
    return (
        "# Job settings of the Jobs API, as in a Databricks bundle.\n"
        f"resources:\n  jobs:\n    {name}:\n      name: {name}\n      tasks:\n"
        + "".join(tasks)
        + "      job_clusters:\n        - job_cluster_key: main\n          new_cluster:\n"
        '            spark_version: "${release.spark_version}"\n'
        "            node_type_id: local.small\n            num_workers: 0\n"
    )
