"""The libraries of clusters, through the official client; their drivers run functions."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk.errors import BadRequest, PermissionDenied
from databricks.sdk.service.compute import Library, LibraryInstallStatus, MavenLibrary, PythonPyPiLibrary, State

from headway.workspace.runtime.libraries import library_name
from support.served_workspace import KEY, FunctionDriver, FunctionFleet, Served, as_user, assemble, serving, until

SPEC: dict[str, Any] = {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}


def create(served: Served) -> str:
    """A cluster that runs."""
    made = served.client.api_client.do("POST", "/api/2.1/clusters/create", body=SPEC)
    return running(served, str(made["cluster_id"]))


def running(served: Served, cluster_id: str) -> str:
    """Wait until it runs."""
    until(lambda: served.client.clusters.get(cluster_id).state is State.RUNNING)
    return cluster_id


def statuses(served: Served, cluster_id: str) -> list[tuple[str, list[str]]]:
    """Status and messages of its libraries, once none is on its way."""
    on_the_way = (LibraryInstallStatus.PENDING, LibraryInstallStatus.RESOLVING, LibraryInstallStatus.INSTALLING)

    def found() -> Any:
        told = list(served.client.libraries.cluster_status(cluster_id))
        return told and not any(one.status in on_the_way for one in told) and told

    return [(one.status.value, one.messages or []) for one in until(found)]


def names(served: Served) -> list[str]:
    """What the newest driver has."""
    return [library_name(library) for library in served.fleet.live[-1].libraries]


def put(served: Served, path: str) -> str:
    """A JAR or wheel at a DBFS path."""
    local = served.data / "dbfs" / path
    local.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(local, "w") as archive:
        archive.writestr("a.txt", "a")
    return f"dbfs:/{path}"


def test_libraries_are_installed_told_and_gone_with_the_next_start(served: Served) -> None:
    cluster_id, client = create(served), served.client.libraries
    jar, wheel = put(served, "libs/a.jar"), put(served, "libs/b-1.0-py3-none-any.whl")
    assert list(client.cluster_status(cluster_id)) == []
    client.install(cluster_id, [Library(jar=jar), Library(whl=wheel), Library(pypi=PythonPyPiLibrary("six==1.0"))])
    assert statuses(served, cluster_id) == [("INSTALLED", [])] * 3
    assert names(served) == ["a.jar", "b-1.0-py3-none-any.whl", "six==1.0"]
    client.install(cluster_id, [Library(jar=jar)])  # it is there
    client.uninstall(cluster_id, [Library(whl=wheel), Library(egg="dbfs:/never.egg")])
    told = list(client.cluster_status(cluster_id))
    assert [one.status for one in told] == [
        LibraryInstallStatus.INSTALLED,
        LibraryInstallStatus.INSTALLED,
        LibraryInstallStatus.UNINSTALL_ON_RESTART,
    ]
    assert told[2].library == Library(whl=wheel)
    assert len(served.fleet.live[-1].libraries) == 3
    served.client.clusters.restart(cluster_id)
    until(lambda: len(list(client.cluster_status(cluster_id))) == 2)
    assert statuses(served, running(served, cluster_id)) == [("INSTALLED", [])] * 2
    assert names(served) == ["a.jar", "six==1.0"]
    # Each start takes the files as they are then, and a driver keeps its own.
    held = served.fleet.live[-1].libraries[0]
    assert Path(held.path).read_bytes() == (served.data / "dbfs/libs/a.jar").read_bytes()  # type: ignore[union-attr]
    assert served.fleet.live[-1].folder in Path(held.path).parents  # type: ignore[union-attr]
    mine = [one for one in client.all_cluster_statuses() if one.cluster_id == cluster_id]
    assert len(mine[0].library_statuses or []) == 2


def test_a_library_that_fails_says_why_and_the_others_are_installed(served: Served) -> None:
    cluster_id, client = create(served), served.client.libraries
    served.fleet.broken = {"nope==1": "no such package"}
    asked = [
        Library(pypi=PythonPyPiLibrary("nope==1")),
        Library(jar="dbfs:/libs/none.jar"),
        Library(jar=put(served, "libs/c.jar")),
        Library(maven=MavenLibrary("org.example:thing_2.12:1.0")),
        Library(whl=put(served, "libs/c.jar")),
    ]
    client.install(cluster_id, asked)
    failed, missing, good, other_scala, no_wheel = statuses(served, cluster_id)
    assert failed == ("FAILED", ["Library installation failed: no such package"])
    assert missing[0] == "FAILED"
    assert "FileNotFoundException: no file at dbfs:/libs/none.jar" in missing[1][0]
    assert good == ("INSTALLED", [])
    assert other_scala[0] == "SKIPPED"
    assert "thing_2.12 is for Scala 2.12" in other_scala[1][0]
    assert no_wheel == ("FAILED", ["Library installation failed: dbfs:/libs/c.jar does not end in .whl"])
    assert names(served) == ["c.jar"]
    served.fleet.broken = {}
    client.install(cluster_id, asked[:1])  # asked for again, it is tried again
    assert statuses(served, cluster_id)[0] == ("INSTALLED", [])
    client.uninstall(cluster_id, asked[1:2])  # it never was there: it goes at once
    assert len(list(client.cluster_status(cluster_id))) == 4


def test_libraries_of_a_cluster_that_has_ended_are_installed_when_it_starts(served: Served) -> None:
    cluster_id, client = create(served), served.client.libraries
    served.client.clusters.delete(cluster_id)
    until(lambda: served.client.clusters.get(cluster_id).state is State.TERMINATED)
    client.install(cluster_id, [Library(pypi=PythonPyPiLibrary(name)) for name in ("one==1", "two==2")])
    client.uninstall(cluster_id, [Library(pypi=PythonPyPiLibrary("two==2"))])
    (only,) = client.cluster_status(cluster_id)
    assert only.status is LibraryInstallStatus.PENDING
    served.client.clusters.start(cluster_id)
    assert statuses(served, running(served, cluster_id)) == [("INSTALLED", [])]
    assert names(served) == ["one==1"]


def test_what_is_asked_is_checked_and_needs_the_right(served: Served) -> None:
    cluster_id = create(served)
    for body, message in (
        ({}, "Missing required field: libraries"),
        ({"libraries": []}, "Missing required field: libraries"),
        ({"libraries": [{"jar": "a.jar", "whl": "b.whl"}]}, "a library has exactly one of"),
        ({"libraries": [{"cran": {"package": "x"}}]}, "R is not served"),
        ({"libraries": [{"pypi": {}}]}, "library pypi must have package"),
        ({"cluster_id": "no-such", "libraries": [{"jar": "a.jar"}]}, "Cluster no-such does not exist"),
    ):
        with pytest.raises(BadRequest, match=message):
            served.client.api_client.do("POST", "/api/2.0/libraries/install", body={"cluster_id": cluster_id, **body})
    someone = as_user(served, "library-user@x")
    with pytest.raises(PermissionDenied):
        someone.libraries.install(cluster_id, [Library(jar="dbfs:/a.jar")])
    with pytest.raises(PermissionDenied):
        list(someone.libraries.cluster_status(cluster_id))
    # On a cluster of one's own nobody reads another's file by way of a library.
    own = someone.api_client.do("POST", "/api/2.1/clusters/create", body=SPEC)["cluster_id"]
    served.client.workspace.mkdirs("/Users/secret@x")
    with pytest.raises(PermissionDenied):
        someone.libraries.install(own, [Library(requirements="/Workspace/Users/secret@x")])


def forget(driver: FunctionDriver) -> None:
    """Take its libraries from it."""
    driver.libraries = ()


def test_a_driver_that_is_taken_over_keeps_its_libraries(tmp_path: Path) -> None:
    fleet = FunctionFleet()
    with serving(tmp_path, fleet) as served:
        cluster_id = create(served)
        asked = [Library(pypi=PythonPyPiLibrary(name)) for name in ("one==1", "two==2")]
        served.client.libraries.install(cluster_id, asked)
        assert statuses(served, cluster_id) == [("INSTALLED", [])] * 2
        served.client.libraries.uninstall(cluster_id, asked[1:])
        driver = fleet.live[0]
        forget(driver)  # the earlier process knew of them
        again = assemble(tmp_path, FunctionFleet(left={driver.folder: driver}))
        try:
            again.recover()
            assert [library_name(one) for one in driver.libraries] == ["one==1", "two==2"]
            told = again.libraries.statuses(cluster_id)
            assert [one["status"] for one in told] == ["INSTALLED", "UNINSTALL_ON_RESTART"]
        finally:
            again.close()


def test_a_workspace_library_is_attached_as_the_old_api_does(served: Served) -> None:
    cluster_id, api = create(served), served.client.api_client
    content = (served.data / put(served, "libs/old.jar").replace("dbfs:/", "dbfs/")).read_bytes()
    form = {"name": "old.jar", "libType": "java-jar", "folder": "/"}
    sent = requests.post(
        f"{served.url}/api/1.2/libraries/upload",
        data=form,
        files={"uri": ("old.jar", content)},
        headers={"Authorization": f"Bearer {served.token}"},
        timeout=20,
    )
    library_id = sent.json()["id"]
    api.do("POST", "/api/1.2/libraries/attach", body={"libraryId": library_id, "clusterId": cluster_id})
    assert statuses(served, cluster_id) == [("INSTALLED", [])]
    told = api.do("GET", "/api/1.2/libraries/status", query={"libraryId": library_id})
    assert told["statuses"] == [{"clusterId": cluster_id, "status": "Installed"}]
