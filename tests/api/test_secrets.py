"""Secrets through the official client: kept sealed, read by those who may, taken out of what runs print."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import DatabricksError
from databricks.sdk.errors import (
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
)
from databricks.sdk.service.workspace import AclPermission

from headway.workspace.auth import ADMIN
from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import TaskRequest
from support.served_workspace import KEY, FunctionDriver, FunctionFleet, Served, as_user, assemble, until

HUSH = "a-password-nobody-guesses"


@pytest.fixture(scope="module")
def owner(served: Served) -> WorkspaceClient:
    """Who made the scope `team`, with the secret `db`."""
    client = as_user(served, "keeper@example.com")
    client.secrets.create_scope("team")
    client.secrets.put_secret("team", "db", string_value=HUSH)
    return client


def test_a_secret_comes_back_and_is_kept_sealed(served: Served, owner: WorkspaceClient) -> None:
    assert base64.b64decode(owner.secrets.get_secret("team", "db").value or "").decode() == HUSH
    assert owner.dbutils.secrets.get("team", "db") == HUSH
    assert [found.key for found in owner.secrets.list_secrets("team")] == ["db"]
    for file in served.data.glob("workspace.db*"):
        assert HUSH.encode() not in file.read_bytes()
    assert (served.data / "keys" / "secrets").stat().st_mode & 0o777 == 0o600
    owner.secrets.put_secret("team", "raw", bytes_value=base64.b64encode(b"\x00\xff").decode())
    assert base64.b64decode(owner.secrets.get_secret("team", "raw").value or "") == b"\x00\xff"
    owner.secrets.delete_secret("team", "raw")
    with pytest.raises(ResourceDoesNotExist, match="scope: team and key: raw"):
        owner.secrets.get_secret("team", "raw")


def test_others_read_only_what_they_are_given(served: Served, owner: WorkspaceClient) -> None:
    reader = as_user(served, "reader@example.com")
    with pytest.raises(PermissionDenied, match="does not have READ permission on scope team"):
        reader.secrets.get_secret("team", "db")
    assert "team" not in {scope.name for scope in reader.secrets.list_scopes()}
    owner.secrets.put_acl("team", "users", AclPermission.READ)
    assert reader.secrets.get_secret("team", "db").value
    with pytest.raises(PermissionDenied, match="WRITE"):
        reader.secrets.put_secret("team", "db", string_value="mine")
    with pytest.raises(PermissionDenied, match="MANAGE"):
        list(reader.secrets.list_acls("team"))
    owner.secrets.delete_acl("team", "users")
    with pytest.raises(PermissionDenied):
        reader.secrets.get_secret("team", "db")


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("scopes/create", {"scope": "team"}, ResourceAlreadyExists),
        ("scopes/create", {"scope": "a/b"}, InvalidParameterValue),
        ("scopes/create", {"scope": "x" * 129}, InvalidParameterValue),
        ("scopes/delete", {"scope": "none"}, NotFound),
        ("put", {"scope": "team", "key": "k"}, InvalidParameterValue),
        ("put", {"scope": "team", "key": "k", "string_value": "x", "bytes_value": "eA=="}, InvalidParameterValue),
        ("put", {"scope": "team", "key": "k", "string_value": "x" * (128 * 1024 + 1)}, DatabricksError),
        ("put", {"scope": "none", "key": "k", "string_value": "x"}, NotFound),
        ("acls/put", {"scope": "team", "principal": "nobody", "permission": "READ"}, NotFound),
    ],
)
def test_what_cannot_be_kept_is_refused_and_not_repeated(
    owner: WorkspaceClient, path: str, body: dict[str, str], error: type[DatabricksError]
) -> None:
    with pytest.raises(error) as caught:
        owner.api_client.do("POST", f"/api/2.0/secrets/{path}", body=body)
    assert "xxxxx" not in str(caught.value) or path == "scopes/create"


def test_what_a_run_was_shown_is_taken_out_of_what_it_printed(served: Served, owner: WorkspaceClient) -> None:
    token = served.tokens.mint_for_run("keeper@example.com", 4711)
    url = f"{served.url}/api/2.0/secrets/get?scope=team&key=db"
    answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=9)
    assert base64.b64decode(answer.json()["value"]).decode() == HUSH
    assert served.secrets.redactor(4711)(f"the password is {HUSH}!") == "the password is [REDACTED]!"
    assert served.secrets.redactor(4712)("a-password-nobody-guesses") == HUSH


def test_references_are_read_as_their_user_may(served: Served, owner: WorkspaceClient) -> None:
    values = {"spark.password": "{{secrets/team/db}}", "spark.url": "jdbc:x?p={{ secrets/team/db }}", "a": "b"}
    found, hidden = served.secrets.reveal(values, "keeper@example.com", "4713")
    assert found == {"spark.password": HUSH, "spark.url": f"jdbc:x?p={HUSH}", "a": "b"}
    assert hidden == {"spark.password", "spark.url"}
    assert served.secrets.redactor(4713)(HUSH) == "[REDACTED]"
    as_user(served, "stranger@example.com")
    with pytest.raises(Exception, match="does not have READ permission on scope team"):
        served.secrets.reveal(values, "stranger@example.com")


def test_a_log_is_given_out_without_what_the_run_was_shown(served: Served, owner: WorkspaceClient) -> None:
    def act(driver: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> None:
        token = served.tokens.mint_for_run("keeper@example.com", request.context["run_id"])
        url = f"{served.url}/api/2.0/secrets/get?scope=team&key=db"
        value = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=9).json()["value"]
        request.log.write_text(f"it is {base64.b64decode(value).decode()}\n")
        raise ValueError(f"cannot use {base64.b64decode(value).decode()}")

    served.fleet.acts["leaky"] = act
    task = {
        "task_key": "leaky",
        "spark_python_task": {"python_file": "dbfs:/leaky.py"},
        "new_cluster": {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0},
    }
    served.client.dbfs.put("/leaky.py", contents="", overwrite=True)
    body = {"run_name": "leaky", "tasks": [task]}
    run_id = served.client.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)["run_id"]
    until(lambda: (state := served.client.jobs.get_run(run_id).state) and state.result_state)
    output = served.client.jobs.get_run_output(run_id)
    assert output.logs == "it is [REDACTED]\n"
    assert HUSH not in str(output.as_dict())
    assert "[REDACTED]" in (output.error or "")


def test_clusters_get_secrets_that_nobody_else_reads(served: Served, owner: WorkspaceClient) -> None:
    spec = {
        "spark_version": KEY,
        "node_type_id": "local.small",
        "num_workers": 0,
        "spark_conf": {"spark.hadoop.fs.s3a.secret.key": "{{secrets/team/db}}", "spark.plain": "1"},
        "spark_env_vars": {"PASSWORD": "{{secrets/team/db}}"},
    }
    task = {"task_key": "conf", "spark_python_task": {"python_file": "dbfs:/conf.py"}, "new_cluster": spec}
    served.client.dbfs.put("/conf.py", contents=base64.b64encode(b"1").decode(), overwrite=True)

    def leak(driver: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> None:
        raise ValueError(f"cannot log in with {HUSH}")

    served.fleet.acts["conf"] = leak
    job_id = owner.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "conf", "tasks": [task]})["job_id"]
    run = until_ended(owner, job_id)
    started = next(made for made in reversed(served.fleet.specs) if "spark.plain" in made.spark_conf)
    assert started.spark_conf["spark.hadoop.fs.s3a.secret.key"] == HUSH
    assert started.secret_conf == {"spark.hadoop.fs.s3a.secret.key"}
    assert started.env["PASSWORD"] == HUSH
    output = owner.jobs.get_run_output(run["tasks"][0]["run_id"])
    assert "cannot log in with [REDACTED]" in (output.error or "")
    shown = owner.api_client.do(
        "GET", "/api/2.1/clusters/get", query={"cluster_id": run["tasks"][0]["cluster_instance"]["cluster_id"]}
    )
    assert shown["spark_conf"]["spark.hadoop.fs.s3a.secret.key"] == "{{secrets/team/db}}"
    stranger = as_user(served, "stranger@example.com")
    made = stranger.api_client.do("POST", "/api/2.1/clusters/create", body={**spec, "autotermination_minutes": 10})

    def ended() -> Any:
        found: Any = stranger.api_client.do("GET", "/api/2.1/clusters/get", query=made)
        return found if found["state"] == "TERMINATED" else None

    gone = until(ended)
    assert "stranger@example.com does not have READ" in gone["state_message"]


def until_ended(client: WorkspaceClient, job_id: int) -> Any:
    """A run of a job, once it has ended."""
    run_id = client.api_client.do("POST", "/api/2.2/jobs/run-now", body={"job_id": job_id})["run_id"]

    def ended() -> Any:
        run: Any = client.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
        return run if run["state"].get("result_state") else None

    return until(ended)


def test_tokens_of_runs_end_with_them_also_over_a_kill(tmp_path: Path) -> None:
    first = assemble(tmp_path, FunctionFleet())
    token = first.tokens.mint_for_run(ADMIN, 99)
    assert first.tokens.principal(f"Bearer {token}").name == ADMIN
    second = assemble(tmp_path, FunctionFleet())  # the first is not closed: it was killed
    second.recover()
    with pytest.raises(ApiError, match="oken"):
        second.tokens.principal(f"Bearer {token}")
    second.close()
    first.close()
