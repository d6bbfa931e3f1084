"""Command execution 1.2, through the official client; the driver runs functions."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk.errors import BadRequest, PermissionDenied
from databricks.sdk.service import compute

from headway.workspace.auth import CONTEXT
from headway.workspace.runtime.tasks import CommandOutcome, ContextLanguage, ResultColumn
from support.served_workspace import KEY, Served, as_user, echo, until

SPEC = {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}


def answer(language: ContextLanguage, code: str, canceled: threading.Event) -> CommandOutcome:
    """What commands give."""
    match code:
        case "table":
            column = ResultColumn("n", "BIGINT", "LONG", '"long"')
            return CommandOutcome("FINISHED", "table", columns=(column,), rows=((1,), (2,)))
        case "fail":
            return CommandOutcome("ERROR", summary="ZeroDivisionError: division by zero", cause="Traceback …")
        case "wait":
            canceled.wait(20)
        case "die":
            return CommandOutcome("ERROR", summary="The context is gone: status 9", cause="status 9", lost=True)
        case "image":
            return CommandOutcome("FINISHED", "image", text="iVBORw0=")
    return echo(language, code, canceled)


@pytest.fixture(scope="module")
def cluster(served: Served) -> Iterator[str]:
    """A cluster whose commands are asked of `answer`."""
    served.fleet.command = answer
    yield create_cluster(served)
    served.fleet.command = echo


def create_cluster(served: Served) -> str:
    """A cluster that runs."""
    made = str(served.client.api_client.do("POST", "/api/2.1/clusters/create", body=SPEC)["cluster_id"])
    until(lambda: served.client.clusters.get(made).state is compute.State.RUNNING)
    return made


@pytest.fixture(scope="module")
def context(served: Served, cluster: str) -> str:
    """A context on it, made as the client makes one."""
    made = served.client.command_execution.create_and_wait(cluster_id=cluster, language=compute.Language.PYTHON)
    assert made.status is compute.ContextStatus.RUNNING
    return str(made.id)


def post(served: Served, name: str, **body: Any) -> dict[str, Any]:
    """A call of the API 1.2."""
    return dict(served.client.api_client.do("POST", f"/api/1.2/{name}", body=body))


def ended(served: Served, cluster: str, context: str, code: str, language: str = "python") -> dict[str, Any]:
    """What a command gives in the end."""
    asked = {"clusterId": cluster, "contextId": context}
    command = post(served, "commands/execute", **asked, language=language, command=code)["id"]
    found: dict[str, Any] = until(lambda: (told := status(served, command, **asked))["results"] and told)
    return found


def status(served: Served, command: str, **asked: str) -> dict[str, Any]:
    """A command's status."""
    query = {**asked, "commandId": command}
    return dict(served.client.api_client.do("GET", "/api/1.2/commands/status", query=query))


def test_commands_give_text_tables_images_and_errors(served: Served, cluster: str, context: str) -> None:
    told = served.client.command_execution.execute_and_wait(
        cluster_id=cluster, context_id=context, language=compute.Language.SQL, command="select 1"
    )
    assert told.results is not None
    assert (told.status, told.results.result_type, told.results.data) == (
        compute.CommandStatus.FINISHED, compute.ResultType.TEXT, "SQL: select 1",
    )  # fmt: skip
    assert ended(served, cluster, context, "table")["results"] == {
        "resultType": "table",
        "data": [[1], [2]],
        "schema": [{"name": "n", "type": '"long"', "metadata": "{}"}],
        "isJsonSchema": True,
        "truncated": False,
    }
    failed = ended(served, cluster, context, "fail")
    assert failed["status"] == "Finished"
    assert failed["results"] == {
        "resultType": "error", "summary": "ZeroDivisionError: division by zero", "cause": "Traceback …",
    }  # fmt: skip
    assert ended(served, cluster, context, "image")["results"]["fileName"] == "data:image/png;base64,iVBORw0="


def test_a_command_is_canceled_where_it_runs_and_where_it_waits(served: Served, cluster: str, context: str) -> None:
    asked = {"clusterId": cluster, "contextId": context}
    running, queued = (post(served, "commands/execute", **asked, language="python", command="wait") for _ in range(2))
    until(lambda: status(served, running["id"], **asked)["status"] == "Running")
    assert status(served, queued["id"], **asked)["status"] == "Queued"
    for command in (queued, running, queued):
        assert post(served, "commands/cancel", **asked, commandId=command["id"]) == {"id": command["id"]}
    until(lambda: {status(served, one["id"], **asked)["status"] for one in (queued, running)} == {"Cancelled"})
    assert ended(served, cluster, context, "after")["results"]["data"] == "PYTHON: after"


@pytest.mark.parametrize(
    ("name", "left_out", "message"),
    [
        ("contexts/status", "contextId", "requirement failed: missing contextId"),
        ("contexts/destroy", "clusterId", "requirement failed: missing clusterId"),
        ("commands/execute", "contextId", "requirement failed: missing contextId"),
        ("commands/execute", "command", "requirement failed: missing command"),
        ("commands/status", "commandId", "requirement failed: missing commandId"),
        ("commands/cancel", "commandId", "requirement failed: missing commandId"),
    ],
)
def test_a_missing_field_is_named_in_the_services_own_words(
    served: Served, cluster: str, context: str, name: str, left_out: str, message: str
) -> None:
    given = {"clusterId": cluster, "contextId": context, "language": "python", "command": "x", "commandId": "x"}
    del given[left_out]
    method = "GET" if name.endswith("status") else "POST"
    with pytest.raises(BadRequest, match=message) as error:
        served.client.api_client.do(
            method,
            f"/api/1.2/{name}",
            **{"query" if method == "GET" else "body": given},  # type: ignore[arg-type]
        )
    assert error.value.error_code is None


def test_what_is_not_there_is_named(served: Served, cluster: str, context: str) -> None:
    for name, body, message in (
        ("contexts/create", {"clusterId": "none", "language": "python"}, "Cluster none does not exist"),
        ("contexts/create", {"clusterId": cluster, "language": "r"}, "Unsupported language r"),
        ("contexts/destroy", {"clusterId": cluster, "contextId": "x"}, "ContextNotFoundException"),
        ("contexts/destroy", {"clusterId": "other", "contextId": context}, "ContextNotFoundException"),
        (
            "commands/cancel",
            {"clusterId": cluster, "contextId": context, "commandId": "x"},
            "CommandNotFoundException",
        ),
    ):
        with pytest.raises(BadRequest, match=message):
            post(served, name, **body)


def test_a_context_is_its_creators_own_on_a_cluster_that_it_may_use(served: Served, cluster: str, context: str) -> None:
    other = as_user(served, "repl@example.com")
    with pytest.raises(PermissionDenied):
        other.command_execution.create(cluster_id=cluster, language=compute.Language.PYTHON)
    granted = [{"user_name": "repl@example.com", "permission_level": "CAN_ATTACH_TO"}]
    served.client.api_client.do(
        "PATCH", f"/api/2.0/permissions/clusters/{cluster}", body={"access_control_list": granted}
    )
    made: Any = other.command_execution.create(cluster_id=cluster, language=compute.Language.PYTHON).response
    own = str(made.id)
    with pytest.raises(PermissionDenied, match="does not own the context"):
        other.command_execution.execute(
            cluster_id=cluster, context_id=context, language=compute.Language.PYTHON, command="x"
        )
    other.command_execution.destroy(cluster, own)


def contexts_with_tokens(served: Served) -> int:
    """How many contexts may call the workspace now."""
    from sqlalchemy import func, select

    from headway.workspace.database import tokens

    query = select(func.count()).where(tokens.c.run_id.startswith(CONTEXT))
    with served.tokens._engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def test_a_context_is_lost_with_its_process_and_with_its_cluster(served: Served, cluster: str) -> None:
    own = create_cluster(served)
    before = contexts_with_tokens(served)
    made = [post(served, "contexts/create", clusterId=own, language="python")["id"] for _ in range(2)]
    asked = [{"clusterId": own, "contextId": one} for one in made]

    def told(one: dict[str, str]) -> str:
        return str(served.client.api_client.do("GET", "/api/1.2/contexts/status", query=one)["status"])

    until(lambda: [told(one) for one in asked] == ["Running", "Running"])
    assert contexts_with_tokens(served) == before + 2
    assert ended(served, own, made[0], "die")["status"] == "Error"
    assert (told(asked[0]), told(asked[1])) == ("Error", "Running")
    with pytest.raises(BadRequest, match="is gone: The context is gone: status 9"):
        post(served, "commands/execute", **asked[0], language="python", command="x")
    served.client.clusters.delete(own)
    until(lambda: told(asked[1]) == "Error")
    assert contexts_with_tokens(served) == before
    with pytest.raises(BadRequest, match="is in unexpected state Terminat"):
        post(served, "contexts/create", clusterId=own, language="python")
