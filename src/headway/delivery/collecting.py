"""Remove the artifacts and libraries of releases that nothing needs any more.

The record of such a release stays, with a note that its files are gone, so that the history remains and a deployment
of it is refused with the reason. The note is written first: whoever is interrupted leaves a release that is gone, never
one that looks whole, and the next `gc` ends the work.
"""

import base64
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headway.adapters.clock import stamp
from headway.adapters.databricks import Connection, missing, translated
from headway.adapters.objectstore import PreconditionFailed
from headway.core.errors import HeadwayError
from headway.core.events import Progress
from headway.core.garbage import Doomed, Garbage, Rules, Thing, needed
from headway.core.references import artifact_path, library_path
from headway.core.release import Release
from headway.delivery.calling import read
from headway.delivery.ledger import held, owner
from headway.delivery.line import Line
from headway.delivery.locking import Hold
from headway.delivery.observing import AT_ONCE, list_jobs
from headway.delivery.releasing import COLLECTED, list_releases, release_folder
from headway.delivery.target import Target

_PAGE = 25


def collect(line: Line, rules: Rules, *, apply: bool) -> Garbage:
    """Find what nothing refers to, and with `apply` remove it, under the locks of the line and of every environment.

    Raise HeadwayError where a workspace cannot be asked (then nothing is removed), ENVIRONMENT_LOCKED.
    """
    with contextlib.ExitStack() as locks:
        holds: list[Hold] = []
        targets = [line.target(name) for name in line.order()]
        if apply:
            whole = held(line.store, f"{line.app.name}/lock.json", f"the line of {line.app.name}", line.clock)
            holds = [locks.enter_context(lock) for lock in (whole, *(one.ledger.locked(line.clock) for one in targets))]
        releases = {str(release.version): release for release in list_releases(line.store, line.app.name)}
        states = {target.environment.name: target.ledger.state() for target in targets}
        unfinished = {target.environment.name: target.ledger.unfinished() for target in targets}

        def kept(mentions: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
            return needed((release.version for release in releases.values()), rules, states, unfinished, mentions)

        candidates = [release for version, release in releases.items() if version not in kept({})]
        stay = kept(_mentions(targets, candidates)) if candidates else kept({})
        doomed = [Doomed(entry.version, tuple(things)) for entry, things in _left(line, targets, candidates, stay)]
        if apply:
            for entry in doomed:
                _remove(line, targets, entry, releases[entry.version], holds)
                line.emit(Progress(f"removed {len(entry.things)} file(s) and folder(s) of {entry.version}"))
        return Garbage(line.app.name, stay, tuple(doomed), apply)


def _left(
    line: Line, targets: Sequence[Target], candidates: Iterable[Release], stay: Mapping[str, Any]
) -> Iterator[tuple[Doomed, list[Thing]]]:
    """What is still there of the releases that go."""
    libraries = {target.environment.name: _libraries(target.connection) for target in targets}
    for release in candidates:
        version = str(release.version)
        if version in stay:
            continue
        things = [
            Thing("store", artifact.key, artifact.size)
            for artifact in release.artifacts.values()
            if line.store.head(artifact.key) is not None
        ]
        for target in targets:
            things += _in_workspace(target, release, libraries[target.environment.name])
        if things:
            yield Doomed(version, ()), things


def _in_workspace(target: Target, release: Release, libraries: Mapping[str, str]) -> list[Thing]:
    name, client, found = target.environment.name, target.connection.client, []
    for artifact in release.artifacts.values():
        path = artifact_path(target.app, str(release.version), artifact)
        library = library_path(target.app, artifact)
        if artifact.kind != "notebooks" and library in libraries:
            found.append(Thing(name, library))
        with translated(target.connection, f"get-status {path}"), contextlib.suppress(*missing()):
            if artifact.kind == "notebooks":
                client.workspace.get_status(path)
                found.append(Thing(name, path))
            elif path.startswith("dbfs:/"):
                found.append(Thing(name, path, client.dbfs.get_status(path).file_size or 0))
            else:
                found.append(Thing(name, path, client.files.get_metadata(path).content_length or 0))
    return found


def _libraries(connection: Connection) -> dict[str, str]:
    """The workspace libraries: path → id (API 1.2); empty where the workspace has no such API any more."""
    with translated(connection, "libraries/list"), contextlib.suppress(*missing()):
        answer: Any = connection.client.api_client.do("GET", "/api/1.2/libraries/list")
        entries = answer if isinstance(answer, list) else []
        return {f"{entry['folder'].rstrip('/')}/{entry['name']}": str(entry["id"]) for entry in entries}
    return {}


def _remove(line: Line, targets: Sequence[Target], entry: Doomed, release: Release, holds: Sequence[Hold]) -> None:
    _check(holds)
    note = json.dumps({"at": stamp(line.clock.now()), "by": owner()}).encode()
    with contextlib.suppress(PreconditionFailed):  # an earlier gc, which was interrupted
        line.store.put(f"{release_folder(release.app, release.version)}/{COLLECTED}", note, if_absent=True)
    for target in targets:
        libraries = _libraries(target.connection)
        for thing in entry.things:
            if thing.where == target.environment.name:
                _check(holds)
                _remove_from(target.connection, thing.path, libraries)
    for thing in entry.things:
        if thing.where == "store":
            line.store.delete(thing.path)


def _check(holds: Sequence[Hold]) -> None:
    """Raise HeadwayError LOCK_LOST where one of the locks is in other hands."""
    for hold in holds:
        hold.check()


def _remove_from(connection: Connection, path: str, libraries: Mapping[str, str]) -> None:
    client = connection.client
    with translated(connection, f"delete {path}"), contextlib.suppress(*missing()):
        if path in libraries:
            client.api_client.do("POST", "/api/1.2/libraries/delete", body={"libraryId": libraries[path]})
        elif path.startswith("dbfs:/"):
            client.dbfs.delete(path)
            client.dbfs.delete(f"{path}.sha256")
        elif path.startswith("/Volumes/"):
            client.files.delete(path)
        else:
            client.workspace.delete(path, recursive=True)


def _mentions(targets: Sequence[Target], candidates: Sequence[Release]) -> dict[str, list[str]]:
    """Who refers to the files of these releases: in every workspace the jobs, the active runs, the clusters' libraries
    and the notebooks that name one of their paths."""
    found: dict[str, list[str]] = {}
    asked: set[str] = set()
    for target in targets:
        name = target.environment.name
        needles = {str(release.version): _needles(target, release) for release in candidates}
        texts = _texts(target) if target.connection.host not in asked else ()
        asked.add(target.connection.host)
        for what, text in texts:
            for version, parts in needles.items():
                if any(part in text for part in parts):
                    found.setdefault(version, []).append(f"{what} of {name} refers to it")
    return found


def _needles(target: Target, release: Release) -> list[str]:
    """What a path of one of its files has in it, in whichever of the forms it is written."""
    places = [artifact_path(target.app, str(release.version), artifact) for artifact in release.artifacts.values()]
    places += [library_path(target.app, artifact) for artifact in release.artifacts.values()]
    return [place.removeprefix("dbfs:").removeprefix("/Workspace") for place in places]


def _texts(target: Target) -> Iterator[tuple[str, str]]:
    connection = target.connection
    for job_id, settings in list_jobs(connection):
        yield f"job {settings.get('name') or job_id}", json.dumps(settings, ensure_ascii=False)
    query: dict[str, Any] = {"active_only": True, "expand_tasks": True, "limit": _PAGE}
    while True:
        answer = read(connection, "/api/2.2/jobs/runs/list", query, "jobs/runs/list")
        for run in answer.get("runs") or ():
            yield f"run {run['run_id']}", json.dumps(run, ensure_ascii=False)
        if not answer.get("next_page_token"):
            break
        query["page_token"] = answer["next_page_token"]
    for cluster in _cluster_libraries(connection):
        yield f"cluster {cluster.get('cluster_id')}", json.dumps(cluster, ensure_ascii=False)
    own = f"{target.app.deploy.notebook_folder.rstrip('/')}/"
    paths = [path for path in _notebooks(connection, "/") if not path.startswith(own)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for path, source in zip(paths, pool.map(lambda one: _source(connection, one), paths), strict=True):
            yield f"notebook {path}", source


def _cluster_libraries(connection: Connection) -> list[Any]:
    try:
        answer = read(connection, "/api/2.0/libraries/all-cluster-statuses", {}, "libraries/all-cluster-statuses")
    except HeadwayError as error:
        if "not implemented" not in error.message:
            raise
        return []  # a workspace without libraries on clusters
    return list(answer.get("statuses") or ())


def _notebooks(connection: Connection, folder: str) -> Iterator[str]:
    """The notebooks and workspace files below a folder."""
    for entry in (
        read(connection, "/api/2.0/workspace/list", {"path": folder}, f"workspace/list {folder}").get("objects") or ()
    ):
        if entry.get("object_type") in ("DIRECTORY", "REPO"):
            yield from _notebooks(connection, entry["path"])
        elif entry.get("object_type") in ("NOTEBOOK", "FILE"):
            yield entry["path"]


def _source(connection: Connection, path: str) -> str:
    query = {"path": path, "format": "SOURCE"}
    try:
        answer = read(connection, "/api/2.0/workspace/export", query, f"workspace/export {path}")
    except HeadwayError as error:
        if error.code != "WORKSPACE_CALL_FAILED":
            raise
        return ""  # too large to be exported, or removed meanwhile: it holds nothing that we could find
    return base64.b64decode(answer.get("content") or "").decode("utf-8", "replace")
