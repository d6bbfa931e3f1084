"""Init scripts of the workspace and of clusters, through the official client; drivers run functions."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.compute import EventType, State, TerminationReasonCode
from databricks.sdk.service.workspace import ImportFormat

from headway.workspace.runtime.tasks import DriverFailed
from support.served_workspace import KEY, Served, as_user, until

SPEC: dict[str, Any] = {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}


@pytest.fixture(autouse=True)
def _none_left(served: Served) -> Iterator[None]:
    """Scripts of the workspace run on every cluster: those of other tests too."""
    yield
    served.fleet.refuse = None
    for script in served.client.global_init_scripts.list():
        served.client.global_init_scripts.delete(str(script.script_id))


def encoded(text: str) -> str:
    """As the API takes a script."""
    return base64.b64encode(text.encode()).decode()


def ended_or_running(served: Served, **more: Any) -> str:
    """A cluster that was made, once it runs or has ended."""
    made = served.client.api_client.do("POST", "/api/2.1/clusters/create", body={**SPEC, **more})["cluster_id"]
    until(lambda: served.client.clusters.get(made).state in (State.RUNNING, State.TERMINATED))
    return str(made)


def scripts_of_last(served: Served) -> list[tuple[str, bytes, bool]]:
    """What the newest driver was to run first."""
    return [(one.name, one.text, one.everywhere) for one in served.fleet.specs[-1].init_scripts]


def test_scripts_of_the_workspace_keep_their_order(served: Served) -> None:
    scripts = served.client.global_init_scripts
    ids = {name: scripts.create(name, encoded(f"echo {name}"), enabled=name != "c").script_id for name in "abc"}
    first = scripts.create("first", encoded("echo first"), enabled=True, position=0).script_id
    assert [(one.name, one.position) for one in scripts.list()] == [("first", 0), ("a", 1), ("b", 2), ("c", 3)]
    scripts.update(str(ids["a"]), name="a", script=encoded("echo again"), position=9)
    assert [one.name for one in scripts.list()] == ["first", "b", "c", "a"]
    found = scripts.get(str(ids["a"]))
    assert (found.script, found.enabled, found.created_by) == (encoded("echo again"), True, "admin@headway.local")
    scripts.delete(str(first))
    assert [(one.name, one.position) for one in scripts.list()] == [("b", 0), ("c", 1), ("a", 2)]
    with pytest.raises(NotFound, match="does not exist"):
        scripts.get(str(first))
    ended_or_running(served)
    assert scripts_of_last(served) == [("b", b"echo b", True), ("a", b"echo again", True)]


def test_a_cluster_has_scripts_of_its_own_and_its_events_tell_of_them(served: Served) -> None:
    ada = as_user(served, "scripts@example.com")
    ada.workspace.upload("/Users/scripts@example.com/own.sh", io.BytesIO(b"echo own"), format=ImportFormat.AUTO)
    ada.dbfs.upload("dbfs:/scripts/more.sh", io.BytesIO(b"echo more"), overwrite=True)
    served.client.global_init_scripts.create("all", encoded("echo all"), enabled=True)
    own = {"workspace": {"destination": "/Users/scripts@example.com/own.sh"}}
    made = ada.api_client.do(
        "POST", "/api/2.1/clusters/create",
        body={**SPEC, "init_scripts": [own, {"dbfs": {"destination": "dbfs:/scripts/more.sh"}}]},
    )["cluster_id"]  # fmt: skip
    until(lambda: ada.clusters.get(made).state is State.RUNNING)
    assert scripts_of_last(served) == [
        ("all", b"echo all", True),
        ("/Users/scripts@example.com/own.sh", b"echo own", False),
        ("dbfs:/scripts/more.sh", b"echo more", False),
    ]
    environment = served.fleet.specs[-1].script_env
    assert environment == {"DB_CLUSTER_NAME": made, "DB_IS_JOB_CLUSTER": "FALSE"}
    (told,) = [event for event in ada.clusters.events(made) if event.type is EventType.INIT_SCRIPTS_FINISHED]
    assert told.details
    assert told.details.init_scripts
    cluster = told.details.init_scripts.cluster or []
    assert [one.workspace.destination for one in cluster if one.workspace] == ["/Users/scripts@example.com/own.sh"]
    assert [one.status.value for one in told.details.init_scripts.global_ or [] if one.status] == ["SUCCEEDED"]


def test_a_script_that_fails_ends_its_cluster_and_says_so(served: Served) -> None:
    served.client.global_init_scripts.create("bad", encoded("exit 7"), enabled=True)
    served.fleet.refuse = DriverFailed("GLOBAL_INIT_SCRIPT_FAILURE", "Init script bad ended with 7")
    cluster = served.client.clusters.get(ended_or_running(served))
    assert cluster.state is State.TERMINATED
    assert cluster.termination_reason
    assert cluster.termination_reason.code is TerminationReasonCode.GLOBAL_INIT_SCRIPT_FAILURE
    assert cluster.state_message == "Init script bad ended with 7"


def test_a_script_that_its_user_may_not_read_is_not_run(served: Served) -> None:
    served.client.workspace.upload("/secret.sh", io.BytesIO(b"echo secret"), format=ImportFormat.AUTO, overwrite=True)
    bob = as_user(served, "bob-scripts@example.com")
    body = {**SPEC, "init_scripts": [{"workspace": {"destination": "/secret.sh"}}]}
    made = bob.api_client.do("POST", "/api/2.1/clusters/create", body=body)["cluster_id"]
    until(lambda: bob.clusters.get(made).state is State.TERMINATED)
    assert "CAN_READ" in str(bob.clusters.get(made).state_message)
    with pytest.raises(PermissionDenied):
        bob.global_init_scripts.create("mine", encoded("echo"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("x", "must be a list"),
        ([{"s3": {"destination": "s3://bucket/x.sh"}}], "exactly one of workspace, volumes and dbfs"),
        ([{"volumes": {"destination": "/tmp/x.sh"}}], "must begin with /Volumes/"),
        ([{"workspace": {"destination": "/x.sh"}}] * 11, "at most 10"),
        ([{}], "exactly one of"),
    ],
)
def test_what_is_no_init_script_is_refused(served: Served, given: object, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        served.client.api_client.do("POST", "/api/2.1/clusters/create", body={**SPEC, "init_scripts": given})


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"name": "x", "script": "!"}, "script is not base64"),
        ({"name": "x", "script": ""}, "from 1 to 65536 bytes"),
        ({"name": "x", "script": encoded("x" * 65537)}, "from 1 to 65536 bytes"),
        ({"name": " ", "script": encoded("x")}, "name must have"),
        ({"name": "x", "script": encoded("x"), "position": -1}, "position must not be below 0"),
    ],
)
def test_what_is_no_script_of_the_workspace_is_refused(served: Served, body: dict[str, Any], why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        served.client.api_client.do("POST", "/api/2.0/global-init-scripts", body=body)
