"""SQL warehouses and statements, through the official client; their drivers run functions."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    PermissionDenied,
    ResourceAlreadyExists,
)
from databricks.sdk.service import iam, sql

from headway.workspace.runtime.tasks import (
    DriverFailed,
    ResultColumn,
    SqlOutcome,
    SqlParameter,
    SqlTask,
    TaskOutcome,
    TaskRequest,
)
from headway.workspace.services.sql import results
from support.served_workspace import FunctionDriver, Served, as_user, until

ID = ResultColumn("id", "BIGINT", "LONG", '"long"')
NAME = ResultColumn("na,me", "STRING", "STRING", '"string"')


@pytest.fixture(scope="module")
def warehouse(served: Served) -> Iterator[str]:
    """A warehouse that runs, whose statements are asked of `answer`."""
    served.fleet.acts["SqlTask"] = answer
    yield create(served, "shared")
    del served.fleet.acts["SqlTask"]


def create(served: Served, name: str, **settings: Any) -> str:
    """A warehouse that runs. (The client's own waiting sleeps for a second or more each time.)"""
    made: Any = served.client.warehouses.create(name=name, **settings).response
    return in_state(served, str(made.id), "RUNNING")


def in_state(served: Served, warehouse_id: str, state: str) -> str:
    """Wait until the warehouse is in that state."""
    until(lambda: served.client.warehouses.get(warehouse_id).state is sql.State(state))
    return warehouse_id


def answer(driver: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> TaskOutcome:
    """What statements give: so many rows as they say, a wait for their cancel, a failure."""
    task = request.task
    assert isinstance(task, SqlTask)
    word, _, count = task.statement.partition(" ")
    if word == "wait":
        canceled.wait(20)
    if word == "fail":
        return TaskOutcome(
            "FAILED", "[NO_SUCH] no such thing", sql=SqlOutcome(error_class="NO_SUCH", sql_state="42000")
        )
    if word == "die":
        raise DriverFailed("DRIVER_OUT_OF_MEMORY", "the driver ran out of memory")
    wanted = int(count or 1)
    rows = tuple((str(n), None if n == 1 else f'a "{n}"') for n in range(min(wanted, task.row_limit)))
    return TaskOutcome("SUCCESS", sql=SqlOutcome((ID, NAME), rows, wanted > task.row_limit))


def execute(served: Served, warehouse: str, statement: str, **more: Any) -> sql.StatementResponse:
    """A statement's answer."""
    return served.client.statement_execution.execute_statement(statement, warehouse, **more)


def state(found: sql.StatementResponse) -> str:
    """Its state."""
    assert found.status is not None
    assert found.status.state is not None
    return found.status.state.value


def test_a_warehouse_is_made_stopped_started_edited_and_removed(served: Served) -> None:
    client = served.client.warehouses
    made = client.create_and_wait(name="etl", cluster_size="X-Small", auto_stop_mins=15, tags=None)
    warehouse_id = str(made.id)
    assert (made.state, made.name, made.cluster_size, made.auto_stop_mins) == (
        sql.State.RUNNING, "etl", "X-Small", 15,
    )  # fmt: skip
    assert served.fleet.specs[-1].memory_mb == 2048
    assert [found.name for found in client.list()] >= ["etl"]
    assert not [found for found in served.client.clusters.list() if found.cluster_name == "warehouse-etl"]
    with pytest.raises(ResourceAlreadyExists, match="Warehouse with name 'etl' already exists"):
        client.create(name="etl")
    client.edit(warehouse_id, name="etl2", auto_stop_mins=0)
    in_state(served, warehouse_id, "RUNNING")
    found = client.get(warehouse_id)
    assert (found.name, found.auto_stop_mins, found.cluster_size) == ("etl2", 0, "X-Small")
    client.stop(warehouse_id)
    in_state(served, warehouse_id, "STOPPED")
    client.start(warehouse_id)
    client.start(warehouse_id)
    in_state(served, warehouse_id, "RUNNING")
    client.delete(warehouse_id)
    with pytest.raises(NotFound, match="does not exist"):
        client.get(warehouse_id)


def test_a_warehouses_cluster_is_changed_by_way_of_it_only(served: Served, warehouse: str) -> None:
    found = served.client.api_client.do(
        "GET", "/api/2.1/clusters/list", query={"filter_by.cluster_sources": "SQL", "sort_by.field": "CLUSTER_NAME"}
    )["clusters"]
    cluster_id = next(one["cluster_id"] for one in found if one["cluster_name"] == "warehouse-shared")
    with pytest.raises(BadRequest, match="SQL warehouse: change or delete the warehouse"):
        served.client.clusters.permanent_delete(cluster_id)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": ""}, "name must be text"),
        ({"cluster_size": "Huge"}, "cluster_size 'Huge' is not one of"),
        ({"auto_stop_mins": -1}, "auto_stop_mins must be a whole number"),
        ({"auto_stop_mins": "x"}, "auto_stop_mins must be a whole number"),
    ],
)
def test_settings_of_a_warehouse_are_checked(served: Served, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        served.client.api_client.do("POST", "/api/2.0/sql/warehouses", body={"name": "bad", **settings})


def test_a_statement_gives_typed_rows_with_its_parameters(served: Served, warehouse: str) -> None:
    found = execute(
        served,
        warehouse,
        "rows 3",
        catalog="main",
        schema="default",
        parameters=[sql.StatementParameterListItem(name="n", value="5", type="INT")],
    )
    assert state(found) == "SUCCEEDED"
    assert found.result is not None
    assert found.result.data_array == [["0", 'a "0"'], ["1", None], ["2", 'a "2"']]
    manifest = found.manifest
    assert manifest is not None
    assert manifest.schema is not None
    assert [(c.name, c.type_name, c.type_text, c.position) for c in manifest.schema.columns or []] == [
        ("id", sql.ColumnInfoTypeName.LONG, "BIGINT", 0),
        ("na,me", sql.ColumnInfoTypeName.STRING, "STRING", 1),
    ]
    assert (manifest.total_row_count, manifest.total_chunk_count, manifest.truncated) == (3, 1, False)
    task = served.fleet.requests[-1].task
    assert isinstance(task, SqlTask)
    assert (task.catalog, task.schema, task.parameters) == ("main", "default", (SqlParameter("n", "5", "INT"),))
    again = served.client.statement_execution.get_statement(str(found.statement_id))
    assert again.result == found.result


def test_a_result_comes_in_chunks_cut_where_it_was_asked_to_be(
    served: Served, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "CHUNK_ROWS", 4)
    found = execute(served, warehouse, "rows 30", row_limit=10)
    assert found.manifest is not None
    assert (found.manifest.truncated, found.manifest.total_row_count) == (True, 10)
    chunk, seen = found.result, []
    while chunk is not None:
        seen += [row[0] for row in chunk.data_array or []]
        index = chunk.next_chunk_index
        chunk = (
            None
            if index is None
            else served.client.statement_execution.get_statement_result_chunk_n(str(found.statement_id), index)
        )
    assert seen == [str(n) for n in range(10)]
    with pytest.raises(InvalidParameterValue, match="has no result chunk 3"):
        served.client.statement_execution.get_statement_result_chunk_n(str(found.statement_id), 3)
    cut = execute(served, warehouse, "rows 30", byte_limit=40)
    assert cut.manifest is not None
    assert (cut.manifest.truncated, cut.manifest.total_row_count) == (True, 2)


def test_a_result_that_is_too_large_fails_and_says_what_to_do(
    served: Served, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "INLINE_BYTES", 100)
    found = execute(served, warehouse, "rows 30")
    assert (state(found), found.result) == ("FAILED", None)
    assert found.status is not None
    assert found.status.error is not None
    assert "EXTERNAL_LINKS" in str(found.status.error.message)
    many: Any = execute(served, warehouse, "rows 100001")
    assert "set row_limit" in many.status.error.message


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("JSON_ARRAY", '[["0","a \\"0\\""],["1",null]]'),
        ("CSV", 'id,"na,me"\r\n0,"a ""0"""\r\n1,null\r\n'),
    ],
)
def test_a_result_is_handed_out_by_links_without_a_token(
    served: Served, warehouse: str, form: str, expected: str
) -> None:
    found = execute(served, warehouse, "rows 2", disposition=sql.Disposition.EXTERNAL_LINKS, format=sql.Format(form))
    assert found.result is not None
    links = found.result.external_links
    assert links is not None
    link = links[0]
    assert httpx.get(str(link.external_link)).text == expected
    assert (link.row_count, link.expiration is not None, found.result.data_array) == (2, True, None)
    assert httpx.get(str(link.external_link)[:-3] + "xyz").status_code == 404


def test_a_statement_that_fails_tells_sparks_words(served: Served, warehouse: str) -> None:
    found = execute(served, warehouse, "fail")
    assert found.status is not None
    assert found.status.error is not None
    assert (state(found), found.status.error.message, found.status.sql_state) == (
        "FAILED", "[NO_SUCH] no such thing", "42000",
    )  # fmt: skip
    lost = execute(served, warehouse, "die")
    assert lost.status is not None
    assert lost.status.error is not None
    assert lost.status.error.error_code is sql.ServiceErrorCode.TEMPORARILY_UNAVAILABLE


def test_a_statement_goes_on_behind_its_request_and_is_canceled(served: Served, warehouse: str) -> None:
    client = served.client.statement_execution
    running = execute(served, warehouse, "wait", wait_timeout="0s")
    assert state(running) in ("PENDING", "RUNNING")
    statement_id = str(running.statement_id)
    until(lambda: state(client.get_statement(statement_id)) == "RUNNING")
    client.cancel_execution(statement_id)
    assert state(client.get_statement(statement_id)) == "CANCELED"
    client.cancel_execution(statement_id)


def test_a_request_waits_as_long_as_asked_and_then_cancels(served: Served, warehouse: str) -> None:
    began = time.monotonic()
    late = execute(
        served, warehouse, "wait", wait_timeout="5s", on_wait_timeout=sql.ExecuteStatementRequestOnWaitTimeout.CANCEL
    )
    assert state(late) == "CANCELED"
    assert time.monotonic() - began >= 5


def test_many_waiting_statements_keep_nobody_out(served: Served, warehouse: str) -> None:
    began = [execute(served, warehouse, "wait", wait_timeout="0s") for _ in range(12)]
    threads = [
        threading.Thread(target=execute, args=(served, warehouse, "rows 1"), kwargs={"wait_timeout": "50s"})
        for _ in range(60)
    ]
    for thread in threads:
        thread.start()
    assert served.client.warehouses.get(warehouse).id == warehouse
    for found in began:
        served.client.statement_execution.cancel_execution(str(found.statement_id))
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"statement": " "}, "statement must be text"),
        ({"wait_timeout": "3s"}, "wait_timeout '3s' must be 0s, or from 5s to 50s"),
        ({"wait_timeout": "0s", "on_wait_timeout": "CANCEL"}, "on_wait_timeout must not be CANCEL"),
        ({"on_wait_timeout": "STOP"}, "on_wait_timeout must be CONTINUE or CANCEL"),
        ({"disposition": "MAIL"}, "disposition is INLINE or EXTERNAL_LINKS"),
        ({"format": "CSV"}, "The format of an INLINE result is JSON_ARRAY"),
        ({"row_limit": -1}, "row_limit must be a whole number above 0"),
        ({"row_limit": 10**7}, "row_limit must be at most"),
        ({"parameters": [{"value": "x"}]}, "must have a name"),
        ({"parameters": [{"name": "x", "value": {}}]}, "must have a text as its value"),
        ({"parameters": "x"}, "Expected array of objects"),
        ({"catalog": 5}, "Expected string for field catalog"),
        ({"warehouse_id": "none"}, "SQL warehouse none does not exist"),
    ],
)
def test_what_is_asked_of_a_statement_is_checked(
    served: Served, warehouse: str, body: dict[str, Any], message: str
) -> None:
    asked = {"statement": "rows 1", "warehouse_id": warehouse, **body}
    with pytest.raises((BadRequest, NotFound), match=message):
        served.client.api_client.do("POST", "/api/2.0/sql/statements", body=asked)


def test_what_is_not_served_is_refused_with_the_reason(served: Served, warehouse: str) -> None:
    with pytest.raises(NotImplemented, match="ARROW_STREAM is not served"):
        execute(served, warehouse, "rows 1", format=sql.Format.ARROW_STREAM, disposition=sql.Disposition.EXTERNAL_LINKS)
    with pytest.raises(NotImplemented, match="Thrift"):
        served.client.api_client.do("POST", f"/sql/1.0/warehouses/{warehouse}")


def test_a_stopped_warehouse_starts_for_a_statement(served: Served, warehouse: str) -> None:
    own = create(served, "lazy")
    served.client.warehouses.stop(own)
    in_state(served, own, "STOPPED")
    assert state(execute(served, own, "rows 1")) == "SUCCEEDED"
    assert served.client.warehouses.get(own).state is sql.State.RUNNING


def grant(served: Served, warehouse: str, name: str, level: str) -> None:
    """Give a user a level."""
    entry = iam.AccessControlRequest(user_name=name, permission_level=iam.PermissionLevel(level))
    served.client.permissions.update("warehouses", warehouse, access_control_list=[entry])


def test_who_may_use_a_warehouse(served: Served, warehouse: str) -> None:
    user = "analyst@example.com"
    client: WorkspaceClient = as_user(served, user)
    own = create(served, "guarded")
    assert own not in [found.id for found in client.warehouses.list()]
    with pytest.raises(PermissionDenied):
        client.warehouses.get(own)
    with pytest.raises(PermissionDenied):
        client.statement_execution.execute_statement("rows 1", own)
    grant(served, own, user, "CAN_USE")
    found = client.statement_execution.execute_statement("rows 1", own)
    assert state(found) == "SUCCEEDED"
    client.warehouses.start(own)
    for refused in (client.warehouses.stop, client.warehouses.delete):
        with pytest.raises(PermissionDenied):
            refused(own)
    other = as_user(served, "other@example.com")
    with pytest.raises(NotFound, match="was not found"):
        other.statement_execution.get_statement(str(found.statement_id))
    assert served.client.statement_execution.get_statement(str(found.statement_id)).statement_id == found.statement_id
    grant(served, own, user, "CAN_MANAGE")
    client.warehouses.stop(own)
    mine: Any = client.warehouses.create(name="mine").response
    assert mine.id in [found.id for found in client.warehouses.list()]


def sql_job(served: Served, client: WorkspaceClient, warehouse: str, path: str) -> tuple[str, str]:
    """How a run of a SQL file on a warehouse ended."""
    task = {"task_key": "query", "sql_task": {"warehouse_id": warehouse, "file": {"path": path}}}
    body = {"run_name": "sql", "tasks": [task]}
    run_id = client.api_client.do("POST", "/api/2.1/jobs/runs/submit", body=body)["run_id"]
    run = until(lambda: (found := client.jobs.get_run(run_id)).state.result_state and found)  # type: ignore[union-attr]
    told = client.jobs.get_run_output(run.tasks[0].run_id)
    return run.state.result_state.value, told.error or ""


def test_a_sql_task_runs_on_its_warehouse_if_its_user_may(served: Served, warehouse: str) -> None:
    served.client.workspace.upload("/Shared/on-warehouse.sql", b"rows 1", overwrite=True, format=None)
    served.fleet.acts["query"] = answer
    assert sql_job(served, served.client, warehouse, "/Shared/on-warehouse.sql") == ("SUCCESS", "")
    assert served.fleet.requests[-1].task == SqlTask("rows 1")
    client = as_user(served, "jobs@example.com")
    result, error = sql_job(served, client, warehouse, "/Shared/on-warehouse.sql")
    assert result == "FAILED"
    assert "does not have CAN_USE permission" in error
    grant(served, warehouse, "jobs@example.com", "CAN_USE")
    assert sql_job(served, client, warehouse, "/Shared/on-warehouse.sql") == ("SUCCESS", "")
    with pytest.raises(BadRequest, match=r"missing required field: sql_task\.warehouse_id"):
        sql_job(served, served.client, "", "/Shared/on-warehouse.sql")
