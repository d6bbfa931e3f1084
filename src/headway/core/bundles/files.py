"""A bundle's own files in its jobs: notebooks, wheels and JARs become artifacts of the release, or are refused."""

import posixpath
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from headway.core.application import ArtifactSettings
from headway.core.bundles.tree import Misfit, Node

NOTEBOOKS = (".py", ".sql", ".scala", ".r", ".ipynb")
_ABSOLUTE = re.compile(r"^(/|~|[A-Za-z][A-Za-z0-9+.-]*:|\$\{)")
_SAYS_SOURCE = ("GIT", "WORKSPACE")
Place = Callable[[Node, str], Node]


class BundleFiles:
    """Maps paths of a bundle's files to artifacts. `file_path` is where the CLI would put them."""

    def __init__(self, artifacts: Sequence[ArtifactSettings], file_path: str | None) -> None:
        self._artifacts, self._file_path = artifacts, file_path

    def job(self, job: Node, path: str) -> Node:
        """A job whose paths are those of artifacts. Raise Misfit."""
        in_git = job.get("git_source") is not None
        tasks = job.get("tasks")
        if tasks is not None and tasks.elements():
            mapped = [self._task(task, f"{path}.tasks.{n}", in_git) for n, task in enumerate(tasks.elements())]
            job = job.put("tasks", Node(mapped, tasks.at))
        environments = job.get("environments")
        if environments is not None and environments.elements():
            found = [self._environment(e, f"{path}.environments.{n}") for n, e in enumerate(environments.elements())]
            job = job.put("environments", Node(found, environments.at))
        return job

    def _task(self, task: Node, path: str, in_git: bool) -> Node:
        nested = task.get("for_each_task", "task")
        if nested is not None:
            loop = task.get("for_each_task") or nested
            body = self._task(nested, f"{path}.for_each_task.task", in_git)
            task = task.put("for_each_task", loop.put("task", body))
        task = self._field(task, ("notebook_task", "notebook_path"), path, in_git, self._notebook)
        task = self._field(task, ("spark_python_task", "python_file"), path, in_git, self._script)
        task = self._field(task, ("sql_task", "file", "path"), path, in_git, self._refused)
        task = self._field(task, ("dbt_task", "project_directory"), path, in_git, self._refused)
        libraries = task.get("libraries")
        if libraries is not None and libraries.elements():
            mapped = [self._library(entry, f"{path}.libraries.{n}") for n, entry in enumerate(libraries.elements())]
            task = task.put("libraries", Node(mapped, libraries.at))
        return task

    def _field(self, holder: Node, names: tuple[str, ...], path: str, in_git: bool, act: Place) -> Node:
        node = holder.get(*names)
        source = holder.get(*names[:-1], "source")
        from_git = source.value == "GIT" if source is not None and source.value in _SAYS_SOURCE else in_git
        if node is None or not isinstance(node.value, str) or from_git:
            return holder
        return _put(holder, names, act(node, ".".join([path, *names])))

    def _environment(self, environment: Node, path: str) -> Node:
        listed = environment.get("spec", "dependencies")
        if listed is None or not listed.elements():
            return environment
        found = []
        for number, entry in enumerate(listed.elements()):
            text = str(entry.value)
            local = text.startswith(("./", "../")) or (text.endswith(".whl") and not _ABSOLUTE.match(text))
            found.append(self._built(entry, f"{path}.spec.dependencies.{number}", "wheel") if local else entry)
        return _put(environment, ("spec", "dependencies"), Node(found, listed.at))

    def _library(self, library: Node, path: str) -> Node:
        for name, kind in (("whl", "wheel"), ("jar", "jar")):
            node = library.get(name)
            if node is not None and isinstance(node.value, str):
                library = library.put(name, self._built(node, f"{path}.{name}", kind))
        requirements = library.get("requirements")
        if requirements is not None and isinstance(requirements.value, str):
            library = library.put("requirements", self._refused(requirements, f"{path}.requirements"))
        return library

    def _local(self, node: Node, path: str) -> str | None:
        """A path below the bundle's folder, from where it was written; None where it is none of its files."""
        text = str(node.value)
        if self._file_path is not None and text.startswith(self._file_path + "/"):
            return posixpath.normpath(text[len(self._file_path) + 1 :])
        if _ABSOLUTE.match(text):
            return None
        found = posixpath.normpath(posixpath.join(posixpath.dirname(node.at.file), text))
        if found.startswith(".."):
            raise Misfit(node.at, path, f"{text} is outside of the bundle's folder")
        return found

    def _notebook(self, node: Node, path: str) -> Node:
        local = self._local(node, path)
        if local is None:
            return node
        stem, ending = posixpath.splitext(local)
        if ending.lower() not in NOTEBOOKS:
            raise Misfit(node.at, path, f"{local} is no notebook: it ends in none of {', '.join(NOTEBOOKS)}")
        for artifact in self._of_kind("notebooks"):
            folder = _folder(artifact.path)
            if _within(local, folder):
                inside = posixpath.relpath(stem, folder or ".")
                return Node(f"${{artifact.{artifact.name}.path}}/{inside}", node.at)
        fields = f'kind = "notebooks", builder = "notebooks", path = "{posixpath.dirname(local)}"'
        hint = f"add an [[artifact]] to headway.toml: {fields}"
        raise Misfit(node.at, path, f"no artifact has the notebook {local}", hint)

    def _built(self, node: Node, path: str, kind: str) -> Node:
        local = self._local(node, path)
        if local is None:
            return node
        for artifact in self._of_kind(kind):
            if _makes(artifact, local):
                return Node(f"${{artifact.{artifact.name}.path}}", node.at)
        made = ", ".join(f"{artifact.name} ({artifact.output or artifact.path})" for artifact in self._of_kind(kind))
        hint = f"[[artifact]] of kind {kind} in headway.toml: {made or 'none'}"
        raise Misfit(node.at, path, f"no artifact of the release is what {local} names", hint)

    def _script(self, node: Node, path: str) -> Node:
        local = self._local(node, path)
        if local is None:
            return node
        hint = "put it into a wheel (python_wheel_task), or make it a notebook"
        raise Misfit(node.at, path, f"the file {local} is no artifact of a release", hint)

    def _refused(self, node: Node, path: str) -> Node:
        local = self._local(node, path)
        if local is None:
            return node
        hint = "name one that lies in the workspace, in a volume or in git"
        raise Misfit(node.at, path, f"the file {local} is no artifact of a release", hint)

    def _of_kind(self, kind: str) -> list[ArtifactSettings]:
        """Those of the deepest folders first."""
        found = [artifact for artifact in self._artifacts if artifact.kind == kind]
        return sorted(found, key=lambda artifact: -len(_folder(artifact.path)))


def _folder(path: str | None) -> str:
    return "" if path in (None, ".", "./") else posixpath.normpath(str(path))


def _within(path: str, folder: str) -> bool:
    return not folder or path.startswith(folder + "/")


def _makes(artifact: ArtifactSettings, local: str) -> bool:
    """Whether what an artifact's builder leaves is what a path, perhaps with `*`, names."""
    if artifact.builder == "wheel":
        return posixpath.dirname(local) == posixpath.normpath(posixpath.join(_folder(artifact.path), "dist"))
    if artifact.builder == "scala":
        return posixpath.basename(local).startswith(artifact.name)
    output = posixpath.normpath(str(artifact.output))
    return output == local or fnmatchcase(local, output) or fnmatchcase(output, local)


def _put(holder: Node, names: tuple[str, ...], node: Node) -> Node:
    first, rest = names[0], names[1:]
    below = holder.get(first) or Node({}, node.at)
    return holder.put(first, _put(below, rest, node) if rest else node)
