"""Who may do what, through the official client of people who are no administrators."""

import io
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import DatabricksError
from databricks.sdk.errors import InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service import jobs
from databricks.sdk.service.iam import AccessControlRequest, ComplexValue, PermissionLevel
from databricks.sdk.service.workspace import ImportFormat

from headway.workspace.guards import decided
from support.served_workspace import KEY, Served, as_user

ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture(scope="module")
def people(served: Served) -> tuple[WorkspaceClient, WorkspaceClient]:
    """Two users."""
    return as_user(served, ADA), as_user(served, BOB)


def a_job(client: WorkspaceClient, **more: Any) -> int:
    """A job that the client's user owns."""
    task = {
        "task_key": "t",
        "spark_python_task": {"python_file": "dbfs:/x.py"},
        "new_cluster": {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0},
    }
    body = {"name": "guarded", "tasks": [task], **more}
    return int(client.api_client.do("POST", "/api/2.2/jobs/create", body=body)["job_id"])


def grant(client: WorkspaceClient, kind: str, object_id: object, user: str, level: PermissionLevel) -> None:
    request = AccessControlRequest(user_name=user, permission_level=level)
    client.permissions.update(kind, str(object_id), access_control_list=[request])


def test_a_job_of_another_is_neither_seen_nor_touched(people: tuple[WorkspaceClient, WorkspaceClient]) -> None:
    ada, bob = people
    job_id = a_job(ada)
    told = rf"bob@example\.com does not have CAN_VIEW permission on job {job_id}\."
    with pytest.raises(PermissionDenied, match=told):
        bob.jobs.get(job_id)
    for act in (bob.jobs.delete, bob.jobs.run_now, lambda one: bob.jobs.cancel_all_runs(job_id=one)):
        with pytest.raises(PermissionDenied, match="does not have CAN_MANAGE"):
            act(job_id)
    assert job_id not in {job.job_id for job in bob.jobs.list()}
    assert job_id in {job.job_id for job in ada.jobs.list()}
    with pytest.raises(PermissionDenied):
        bob.permissions.get("jobs", str(job_id))


def test_levels_add_up(people: tuple[WorkspaceClient, WorkspaceClient]) -> None:
    ada, bob = people
    job_id = a_job(ada)
    grant(ada, "jobs", job_id, BOB, PermissionLevel.CAN_VIEW)
    assert bob.jobs.get(job_id).job_id == job_id
    with pytest.raises(PermissionDenied, match="CAN_MANAGE_RUN"):
        bob.jobs.run_now(job_id)
    grant(ada, "jobs", job_id, BOB, PermissionLevel.CAN_MANAGE_RUN)
    run = bob.jobs.run_now(job_id).result()
    with pytest.raises(PermissionDenied, match=r"CAN_MANAGE permission"):
        bob.jobs.delete(job_id)
    assert [found.run_id for found in bob.jobs.list_runs(job_id=job_id)] == [run.run_id]
    grant(ada, "jobs", job_id, BOB, PermissionLevel.CAN_MANAGE)
    bob.jobs.delete(job_id)


def test_a_grant_to_a_group_reaches_its_members_until_they_leave(
    served: Served, people: tuple[WorkspaceClient, WorkspaceClient]
) -> None:
    ada, bob = people
    job_id = a_job(ada)
    group = served.client.groups.create(display_name="viewers", members=[ComplexValue(value=bob.current_user.me().id)])
    request = AccessControlRequest(group_name="viewers", permission_level=PermissionLevel.CAN_VIEW)
    ada.permissions.update("jobs", str(job_id), access_control_list=[request])
    assert bob.jobs.get(job_id)
    served.client.groups.delete(group.id or "")
    with pytest.raises(PermissionDenied):
        bob.jobs.get(job_id)


def test_a_list_is_shown_as_it_stands(people: tuple[WorkspaceClient, WorkspaceClient]) -> None:
    ada, _ = people
    job_id = a_job(ada, access_control_list=[{"user_name": BOB, "permission_level": "CAN_MANAGE_RUN"}])
    found = ada.permissions.get("jobs", str(job_id))
    told = {
        (entry.user_name or entry.group_name): [
            (one.permission_level and one.permission_level.value, one.inherited) for one in entry.all_permissions or []
        ]
        for entry in found.access_control_list or []
    }
    assert told == {
        ADA: [("IS_OWNER", False)],
        BOB: [("CAN_MANAGE_RUN", False)],
        "admins": [("CAN_MANAGE", True)],
    }
    assert (found.object_id, found.object_type) == (f"/jobs/{job_id}", "job")
    assert (
        "access_control_list" not in ada.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})["settings"]
    )
    levels = ada.permissions.get_permission_levels("jobs", str(job_id)).permission_levels or []
    assert [level.permission_level and level.permission_level.value for level in levels] == [
        "CAN_VIEW",
        "CAN_MANAGE_RUN",
        "CAN_MANAGE",
        "IS_OWNER",
    ]


def test_there_is_always_one_owner_and_nobody_takes_a_job_over(
    served: Served, people: tuple[WorkspaceClient, WorkspaceClient]
) -> None:
    ada, bob = people
    job_id = str(a_job(ada))
    own = AccessControlRequest(user_name=BOB, permission_level=PermissionLevel.IS_OWNER)
    with pytest.raises(InvalidParameterValue, match="exactly one owner"):
        ada.permissions.set("jobs", job_id, access_control_list=[])
    grant(ada, "jobs", job_id, BOB, PermissionLevel.CAN_MANAGE)
    with pytest.raises(PermissionDenied, match="cannot change the owner"):
        bob.permissions.update("jobs", job_id, access_control_list=[own])
    group = AccessControlRequest(group_name="users", permission_level=PermissionLevel.IS_OWNER)
    with pytest.raises(InvalidParameterValue, match="group cannot be an owner"):
        served.client.permissions.update("jobs", job_id, access_control_list=[group])
    ada.permissions.set("jobs", job_id, access_control_list=[own])
    with pytest.raises(PermissionDenied):
        ada.jobs.get(int(job_id))
    assert bob.jobs.get(int(job_id))


def test_nobody_runs_in_the_name_of_another(people: tuple[WorkspaceClient, WorkspaceClient]) -> None:
    ada, _ = people
    with pytest.raises(PermissionDenied, match=r"cannot have runs done as admin@headway\.local"):
        a_job(ada, run_as={"user_name": "admin@headway.local"})
    job_id = a_job(ada, run_as={"user_name": ADA})
    with pytest.raises(PermissionDenied):
        ada.jobs.update(job_id, new_settings=jobs.JobSettings(run_as=jobs.JobRunAs(user_name=BOB)))


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"user_name": "nobody@example.com", "permission_level": "CAN_VIEW"}, NotFound),
        ({"user_name": BOB, "permission_level": "CAN_FLY"}, InvalidParameterValue),
        ({"permission_level": "CAN_VIEW"}, InvalidParameterValue),
        ({"user_name": BOB, "group_name": "users", "permission_level": "CAN_VIEW"}, InvalidParameterValue),
    ],
)
def test_a_list_that_cannot_be_granted_makes_no_job(
    people: tuple[WorkspaceClient, WorkspaceClient], entry: dict[str, str], error: type[DatabricksError]
) -> None:
    ada, _ = people
    before = [job.job_id for job in ada.jobs.list()]
    with pytest.raises(error):
        a_job(ada, access_control_list=[entry])
    assert [job.job_id for job in ada.jobs.list()] == before


def test_home_folders_are_private_and_grants_are_inherited(people: tuple[WorkspaceClient, WorkspaceClient]) -> None:
    ada, bob = people
    ada.workspace.mkdirs(f"/Users/{ADA}/project/deep")
    ada.workspace.upload(f"/Users/{ADA}/project/deep/f.txt", io.BytesIO(b"x"), format=ImportFormat.AUTO)
    with pytest.raises(PermissionDenied, match=r"bob@example\.com does not have CAN_READ permission on file"):
        bob.workspace.download(f"/Users/{ADA}/project/deep/f.txt")
    with pytest.raises(PermissionDenied, match="CAN_EDIT"):
        bob.workspace.upload(f"/Users/{ADA}/mine.txt", io.BytesIO(b"x"), format=ImportFormat.AUTO)
    with pytest.raises(PermissionDenied):
        bob.workspace.mkdirs("/elsewhere")
    assert {found.path for found in bob.workspace.list("/Users")} == {f"/Users/{BOB}"}
    project = ada.workspace.get_status(f"/Users/{ADA}/project")
    grant(ada, "directories", project.object_id, BOB, PermissionLevel.CAN_READ)
    assert bob.workspace.download(f"/Users/{ADA}/project/deep/f.txt").read() == b"x"
    with pytest.raises(PermissionDenied, match="CAN_MANAGE"):
        bob.workspace.delete(f"/Users/{ADA}/project/deep/f.txt")
    file = ada.workspace.get_status(f"/Users/{ADA}/project/deep/f.txt")
    told = ada.permissions.get("files", str(file.object_id)).access_control_list or []
    (inherited,) = [one for entry in told if entry.user_name == BOB for one in entry.all_permissions or []]
    assert (inherited.inherited, inherited.inherited_from_object) == (True, [f"/directories/{project.object_id}"])


def test_everybody_works_in_shared(people: tuple[WorkspaceClient, WorkspaceClient]) -> None:
    ada, bob = people
    ada.workspace.mkdirs("/Shared/ours")
    bob.workspace.upload("/Shared/ours/f.txt", io.BytesIO(b"x"), format=ImportFormat.AUTO)
    ada.workspace.delete("/Shared/ours", recursive=True)


def test_what_has_no_permissions_says_so(served: Served) -> None:
    with pytest.raises(InvalidParameterValue, match="not a kind of object"):
        served.client.permissions.get("toasters", "1")
    with pytest.raises(NotFound, match="does not exist"):
        served.client.permissions.get("directories", "999999")
    with pytest.raises(NotFound):
        served.client.permissions.get("notebooks", str(served.client.workspace.get_status("/Shared").object_id))


def test_every_route_has_its_guard(served: Served) -> None:
    undecided = [f"{one.method} {one.path}" for one in served.endpoints if not decided(one)]
    assert undecided == [], "say in workspace/guards.py who may enter these; until then only administrators do"
