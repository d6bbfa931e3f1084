"""The jobs of a bundle's target, as definitions of our own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from headway.core.application import ArtifactSettings, JobDefinition
from headway.core.bundles.assembling import assemble, resources
from headway.core.bundles.files import BundleFiles
from headway.core.bundles.interpolation import Interpolation, Known
from headway.core.bundles.presets import with_mode, with_permissions, with_presets, with_run_as
from headway.core.bundles.tree import Misfit, Node, merge_named
from headway.core.diagnostics import Diagnostic, Location
from headway.core.jobfiles import KnownFields, check_definition


@dataclass(frozen=True)
class Reading:
    """How a bundle is read for one environment. `values` are given to its variables before all defaults; `ignored` are
    patterns (`pipelines.*`) of resources that stay with the bundle."""

    main: str
    target: str
    artifacts: Sequence[ArtifactSettings]
    values: Mapping[str, Any]
    host: str
    branch: str
    user: str | None = None
    ignored: tuple[str, ...] = ()


def read_bundle(
    texts: Mapping[str, str], how: Reading, known: KnownFields
) -> tuple[dict[str, JobDefinition], list[Diagnostic]]:
    """The jobs of the target by key, and what is wrong with the bundle. `texts` are its files, by path."""
    if how.main not in texts:
        return {}, [Diagnostic(Location(how.main), "", "there is no such file")]
    try:
        root = assemble(texts, how.main, how.target).root
        problems = list(_unread(root, how))
        read = Interpolation(Known(root, how.values, how.user, how.branch, how.host))
        problems.extend(_wrong_values(root, how))
        shared = _Shared(root, read, how)
    except Misfit as misfit:
        return {}, [misfit.diagnostic]
    jobs: dict[str, JobDefinition] = {}
    for kind, key, node in resources(root):
        if kind != "jobs":
            continue
        path = f"resources.jobs.{key}"
        try:
            if not isinstance(node.value, Mapping):
                raise Misfit(node.at, path, "expected the job's settings")
            jobs[key] = _definition(key, shared.job(node, path))
        except Misfit as misfit:
            problems.append(misfit.diagnostic)
            continue
        problems.extend(check_definition(jobs[key], known))
    if not jobs and not problems:
        problems.append(Diagnostic(Location(how.main), "resources.jobs", "the bundle has no jobs"))
    return jobs, problems


class _Shared:
    """What is said of all jobs of a target at once."""

    def __init__(self, root: Node, read: Interpolation, how: Reading) -> None:
        def section(name: str) -> Node | None:
            node = root.get(name)
            return None if node is None else read.node(node, name)

        presets = section("presets") or Node({}, root.at)
        mode = root.get("bundle", "mode")
        self._presets = with_mode(presets, None if mode is None else read.node(mode, "mode"), how.user)
        self._permissions, self._run_as = section("permissions"), section("run_as")
        self._read, self._files = read, BundleFiles(how.artifacts, read.file_path())

    def job(self, node: Node, path: str) -> Node:
        """A job as it is deployed to the target. Raise Misfit."""
        job = self._read.node(node, path)
        for field, by in (("job_clusters", "job_cluster_key"), ("parameters", "name"), ("tasks", "task_key")):
            job = merge_named(job, field, by)
        job = with_presets(with_run_as(job, self._run_as), self._presets)
        return self._files.job(with_permissions(job, self._permissions), path)


def _definition(key: str, job: Node) -> JobDefinition:
    places = dict(job.places())
    lines = {path: place.line or 1 for path, place in places.items()}
    files = {path: place.file for path, place in places.items() if place.file != job.at.file}
    return JobDefinition(key, job.plain(), job.at, lines, files)


def _unread(root: Node, how: Reading) -> Iterator[Diagnostic]:
    """What a bundle has that is not read, and that somebody would miss."""
    for kind, key, node in resources(root):
        name = f"{kind}.{key}"
        if kind != "jobs" and not any(fnmatchcase(name, pattern) for pattern in how.ignored):
            ignore = f'bundle_ignore = ["{kind}.*"]'
            hint = f"deploy it with the Databricks CLI, and say so: {ignore} in [deploy] of headway.toml"
            yield Diagnostic(node.at, f"resources.{name}", "only jobs are deployed by Headway", hint)
    for path in (("experimental", "python"), ("python",), ("experimental", "scripts"), ("bundle", "cluster_id")):
        found = root.get(*path)
        name = ".".join(path)
        if found is not None and found.value is not None and name not in how.ignored:
            hint = f'without it, say so: bundle_ignore = ["{name}"] in [deploy] of headway.toml'
            yield Diagnostic(found.at, name, "is not read", hint)


def _wrong_values(root: Node, how: Reading) -> Iterator[Diagnostic]:
    bundle = root.get("bundle", "name")
    if bundle is None or not isinstance(bundle.value, str):
        yield Diagnostic(root.at, "bundle.name", "a bundle needs a name")
    host = root.get("workspace", "host")
    given = str(host.value).rstrip("/") if host is not None and host.value is not None else None
    if host is not None and given is not None and "${" not in given and given != how.host.rstrip("/"):
        message = f"target {how.target} is for {given}, the environment for {how.host}"
        yield Diagnostic(host.at, "workspace.host", message, "make both the same")
