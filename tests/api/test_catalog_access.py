"""Who may see and change catalogs, schemas and volumes, and read the files in them, through the official client."""

import io
from collections.abc import Callable

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service import catalog

from support.served_workspace import Served, as_user

DORA, EVE = "dora@example.com", "eve@example.com"
Calls = list[Callable[[WorkspaceClient], object]]


@pytest.fixture(scope="module")
def dora(served: Served) -> WorkspaceClient:
    """Who owns a catalog with a volume and a file in it."""
    client = as_user(served, DORA)
    client.catalogs.create("research")
    client.schemas.create("cells", "research")
    client.volumes.create("research", "cells", "raw", catalog.VolumeType.MANAGED)
    client.files.upload("/Volumes/research/cells/raw/a.txt", io.BytesIO(b"private"), overwrite=True)
    return client


@pytest.fixture
def eve(served: Served, dora: WorkspaceClient) -> WorkspaceClient:
    """Another user, who holds nothing."""
    client = as_user(served, EVE)
    everything = [one.value for one in (catalog.Privilege.ALL_PRIVILEGES, catalog.Privilege.MANAGE)]
    for kind, name, more in (
        ("catalog", "research", ["USE_CATALOG", "USE_SCHEMA", "READ_VOLUME", "BROWSE"]),
        ("schema", "research.cells", ["USE_SCHEMA", "CREATE_VOLUME"]),
        ("volume", "research.cells.raw", ["READ_VOLUME", "WRITE_VOLUME"]),
    ):
        grant(dora, kind, name, [], [*everything, *more])
    return client


def grant(client: WorkspaceClient, kind: str, name: str, add: list[str], remove: list[str] | None = None) -> object:
    """Give Eve privileges, and take some back."""
    body = {"changes": [{"principal": EVE, "add": add, "remove": remove or []}]}
    return client.api_client.do("PATCH", f"/api/2.1/unity-catalog/permissions/{kind}/{name}", body=body)


READING: Calls = [
    lambda client: client.volumes.read("research.cells.raw"),
    lambda client: contents(client),
    lambda client: client.files.get_metadata("/Volumes/research/cells/raw/a.txt"),
    lambda client: list(client.files.list_directory_contents("/Volumes/research/cells/raw")),
]
WRITING: Calls = [
    lambda client: client.files.upload("/Volumes/research/cells/raw/b.txt", io.BytesIO(b"x"), overwrite=True),
    lambda client: client.files.create_directory("/Volumes/research/cells/raw/folder"),
    lambda client: client.files.delete("/Volumes/research/cells/raw/b.txt"),
    lambda client: client.files.delete_directory("/Volumes/research/cells/raw/folder"),
]
OWNING: Calls = [
    lambda client: client.catalogs.update("research", comment="x"),
    lambda client: client.schemas.update("research.cells", comment="x"),
    lambda client: client.volumes.update("research.cells.raw", comment="x"),
    lambda client: grant(client, "volume", "research.cells.raw", ["WRITE_VOLUME"]),
    lambda client: client.schemas.update("research.default", comment="x"),
]


def contents(client: WorkspaceClient) -> bytes:
    """What is in the file."""
    with client.files.download("/Volumes/research/cells/raw/a.txt").contents as stream:  # type: ignore[union-attr]
        return bytes(stream.read())


def refused(client: WorkspaceClient, calls: Calls) -> int:
    """How many of these calls are refused."""
    count = 0
    for call in calls:
        try:
            call(client)
        except PermissionDenied:
            count += 1
    return count


def test_what_is_owned_is_closed_to_others_and_its_owner_does_everything(
    served: Served, dora: WorkspaceClient, eve: WorkspaceClient
) -> None:
    everything = [*READING, *WRITING, *OWNING]
    assert refused(eve, everything) == len(everything)
    assert "research" not in [found.name for found in eve.catalogs.list()]
    assert list(eve.schemas.list("research")) == []
    assert refused(dora, everything) == 0
    assert refused(served.client, everything) == 0
    grant(dora, "volume", "research.cells.raw", [], ["WRITE_VOLUME"])


def test_privileges_let_in_as_far_as_they_go(dora: WorkspaceClient, eve: WorkspaceClient) -> None:
    grant(dora, "volume", "research.cells.raw", ["READ_VOLUME"])
    assert refused(eve, READING) == len(READING)  # what it is in is still closed
    grant(dora, "catalog", "research", ["USE_CATALOG"])
    grant(dora, "schema", "research.cells", ["USE_SCHEMA"])
    assert (refused(eve, READING), refused(eve, WRITING)) == (0, len(WRITING))
    assert [found.name for found in eve.volumes.list("research", "cells")] == ["raw"]
    grant(dora, "volume", "research.cells.raw", ["WRITE_VOLUME"])
    assert (refused(eve, WRITING), refused(eve, OWNING)) == (0, len(OWNING))
    with pytest.raises(PermissionDenied):
        eve.schemas.create("more", "research")
    with pytest.raises(PermissionDenied):
        eve.volumes.create("research", "cells", "mine", catalog.VolumeType.MANAGED)


def test_privileges_on_a_catalog_hold_for_all_that_is_in_it(dora: WorkspaceClient, eve: WorkspaceClient) -> None:
    grant(dora, "catalog", "research", ["USE_CATALOG", "USE_SCHEMA", "READ_VOLUME"])
    assert (refused(eve, READING), refused(eve, WRITING)) == (0, len(WRITING))
    told = dora.grants.get_effective("volume", "research.cells.raw").privilege_assignments
    assert told is not None
    found = {privilege.privilege for one in told if one.principal == EVE for privilege in one.privileges or []}
    assert found == {catalog.Privilege.USE_CATALOG, catalog.Privilege.USE_SCHEMA, catalog.Privilege.READ_VOLUME}
    assert dora.grants.get("volume", "research.cells.raw").privilege_assignments in (None, [])


def test_an_object_of_the_same_name_inherits_nothing(dora: WorkspaceClient, eve: WorkspaceClient) -> None:
    grant(dora, "catalog", "research", ["USE_CATALOG", "USE_SCHEMA"])
    dora.volumes.create("research", "cells", "brief", catalog.VolumeType.MANAGED)
    grant(dora, "volume", "research.cells.brief", ["READ_VOLUME"])
    assert eve.volumes.read("research.cells.brief").name == "brief"
    dora.volumes.delete("research.cells.brief")
    dora.volumes.create("research", "cells", "brief", catalog.VolumeType.MANAGED)
    with pytest.raises(PermissionDenied):
        eve.volumes.read("research.cells.brief")


def test_main_is_open_and_what_is_made_in_it_is_its_makers(dora: WorkspaceClient, eve: WorkspaceClient) -> None:
    assert "main" in [found.name for found in eve.catalogs.list()]
    dora.volumes.create("main", "default", "doras", catalog.VolumeType.MANAGED)
    with pytest.raises(PermissionDenied):
        eve.files.upload("/Volumes/main/default/doras/x", io.BytesIO(b"x"))
    with pytest.raises(PermissionDenied):
        eve.files.upload("/Volumes/MAIN/default/doras/x", io.BytesIO(b"x"))
    with pytest.raises(PermissionDenied):
        eve.catalogs.update("main", owner=EVE)


@pytest.mark.parametrize(
    ("path", "change", "error"),
    [
        ("volume/research.cells.raw", {"principal": "nobody@example.com", "add": ["READ_VOLUME"]}, NotFound),
        ("volume/research.cells.raw", {"principal": EVE, "add": ["SELECT"]}, BadRequest),
        ("volume/research.cells.none", {"principal": EVE, "add": ["READ_VOLUME"]}, NotFound),
        ("function/research.cells.raw", {"principal": EVE, "add": ["EXECUTE"]}, BadRequest),
        ("volume/research.cells.raw", {"add": ["READ_VOLUME"]}, BadRequest),
        ("volume/research.cells.raw", {"principal": EVE, "add": "READ_VOLUME"}, BadRequest),
    ],
)
def test_what_is_granted_is_checked(
    dora: WorkspaceClient, eve: WorkspaceClient, path: str, change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        dora.api_client.do("PATCH", f"/api/2.1/unity-catalog/permissions/{path}", body={"changes": [change]})
