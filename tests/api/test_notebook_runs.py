"""What runs of notebooks, SQL files and spark-submit show, through the official client."""

import base64
import json
import threading

import pytest
import requests
from databricks.sdk.errors import InvalidParameterValue
from databricks.sdk.service import jobs, workspace

from headway.workspace.engine.preparation import record_file
from headway.workspace.runtime.tasks import NotebookRun, SqlTask, SubmitTask, TaskOutcome, TaskRequest
from support.job_making import CLUSTER, ended, results
from support.served_workspace import FunctionDriver, Served

TABLE = {"kind": "table", "columns": [{"name": "n"}], "rows": [[1], [None]], "truncated": True}
CELLS = [
    {"path": "/Shared/shown", "language": "PYTHON"},
    {"magic": "md", "text": "# A *title* <script>1</script>", "state": "FINISHED", "outputs": []},
    {"magic": "python", "text": "x < 1", "state": "FINISHED", "outputs": [{"kind": "text", "text": "<b>"}, TABLE]},
    {"magic": "python", "text": "f()", "state": "ERROR", "outputs": [], "error": {"summary": "E", "cause": "<trace>"}},
    {
        "magic": "sql",
        "text": "select 1",
        "state": "SKIPPED",
        "outputs": [{"kind": "html", "html": "<script>2</script>"}],
    },
]


def put(served: Served, path: str, content: str, **named: object) -> None:
    served.client.workspace.import_(path, content=base64.b64encode(content.encode()).decode(), overwrite=True, **named)  # type: ignore[arg-type]


def submit(served: Served, **body: object) -> jobs.Run:
    cluster = {"new_cluster": CLUSTER["new_cluster"]}
    waiter = served.client.jobs.submit(tasks=[jobs.SubmitTask.from_dict({**cluster, **body})])
    return ended(served.client, waiter.run_id)


@pytest.fixture
def shown(served: Served) -> jobs.Run:
    """A notebook that showed something, ran another and kept a value."""
    put(served, "/Shared/shown", "x", format=workspace.ImportFormat.SOURCE, language=workspace.Language.PYTHON)

    def act(driver: FunctionDriver, request: TaskRequest, _: threading.Event) -> TaskOutcome:
        assert request.api is not None
        me = requests.get(f"{served.url}/api/2.0/preview/scim/v2/Me", headers=bearer(request.api.token), timeout=10)
        record = record_file(request.log)
        record.write_text("".join(json.dumps(line) + "\n" for line in CELLS) + '{"cut sho')
        child = driver.folder / "child.jsonl"
        child.write_text(json.dumps({"path": "/Shared/inner", "language": "PYTHON"}) + "\n")
        ran = NotebookRun("/Shared/inner", {"a": "1"}, "SUCCESS", "", "from inner", child, 1_700_000_000_000, 2.5)
        return TaskOutcome("SUCCESS", notebook_result=me.json()["userName"], record=record, notebook_runs=(ran,))

    served.fleet.acts["shown"] = act
    return submit(served, task_key="shown", notebook_task={"notebook_path": "/Shared/shown"})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_notebooks_run_is_exported_as_a_safe_page(served: Served, shown: jobs.Run) -> None:
    views = served.client.jobs.export_run(shown.tasks[0].run_id or 0).views or []  # type: ignore[index]
    assert [(view.name, view.type) for view in views] == [("shown", jobs.ViewType.NOTEBOOK)]
    page = views[0].content or ""
    assert "<h1>A <em>title</em>" in page
    assert "&lt;b&gt;" in page
    assert "<td>1</td>" in page
    assert "&lt;trace&gt;" in page
    assert "only the first rows" in page
    assert 'srcdoc="&lt;script&gt;2' in page
    assert "<script>" not in page


def test_a_run_reaches_the_api_as_its_user_and_no_longer_after_its_end(served: Served, shown: jobs.Run) -> None:
    output = served.client.jobs.get_run_output(shown.tasks[0].run_id or 0)  # type: ignore[index]
    assert output.notebook_output is not None
    assert output.notebook_output.result == served.client.current_user.me().user_name
    access = served.fleet.requests[-1].api
    assert access is not None
    again = requests.get(f"{served.url}/api/2.0/preview/scim/v2/Me", headers=bearer(access.token), timeout=10)
    assert again.status_code in (401, 403)


def test_a_notebook_that_a_notebook_ran_is_a_run_of_its_own(served: Served, shown: jobs.Run) -> None:
    found = list(served.client.jobs.list_runs(run_type=jobs.RunType.WORKFLOW_RUN, expand_tasks=True, limit=5))
    assert found[0].run_type == jobs.RunType.WORKFLOW_RUN
    inner = (found[0].tasks or [])[0]
    assert inner.notebook_task is not None
    assert (inner.notebook_task.notebook_path, inner.notebook_task.base_parameters) == ("/Shared/inner", {"a": "1"})
    output = served.client.jobs.get_run_output(inner.run_id or 0)
    assert output.notebook_output is not None
    assert output.notebook_output.result == "from inner"
    assert (served.client.jobs.export_run(inner.run_id or 0).views or [])[0].name == "inner"


def test_a_sql_file_is_asked_with_the_runs_parameters(served: Served) -> None:
    put(served, "/Shared/daily.sql", "select :day", format=workspace.ImportFormat.AUTO)
    body = {"file": {"path": "/Workspace/Shared/daily.sql"}, "parameters": {"day": "friday"}, "warehouse_id": "w"}
    run = submit(served, task_key="daily", sql_task=body)
    assert results(run)["daily"] == "SUCCESS"
    asked = served.fleet.requests[-1].task
    assert isinstance(asked, SqlTask)
    assert (asked.statement, [(one.name, one.value) for one in asked.parameters]) == (
        "select :day",
        [("day", "friday")],
    )
    gone = submit(served, task_key="daily", sql_task={**body, "file": {"path": "/Shared/gone.sql"}})
    assert results(gone)["daily"] == "FAILED"
    with pytest.raises(Exception, match="no saved query of SQL"):
        submit(served, task_key="daily", sql_task={"query": {"query_id": "x"}, "warehouse_id": "w"})
    submitted = submit(served, task_key="jar", spark_jar_task={"main_class_name": "a.B"})
    with pytest.raises(InvalidParameterValue, match="not the run of a notebook"):
        served.client.jobs.export_run(submitted.tasks[0].run_id or 0)  # type: ignore[index]


def test_spark_submit_is_asked_with_local_files(served: Served) -> None:
    served.client.dbfs.put("/app.py", contents=base64.b64encode(b"1").decode(), overwrite=True)
    run = submit(served, task_key="s", spark_submit_task={"parameters": ["--name", "x", "dbfs:/app.py", "day=1"]})
    assert results(run)["s"] == "SUCCESS"
    asked = served.fleet.requests[-1].task
    assert isinstance(asked, SubmitTask)
    assert asked.arguments == ("--name", "x", str(served.data / "dbfs" / "app.py"), "day=1")
