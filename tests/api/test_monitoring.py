"""Metrics, logs, delivered logs and the way to a Spark UI; drivers run functions, and one has a UI of a few pages."""

import base64
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk.errors import BadRequest, InvalidParameterValue, PermissionDenied

from api.test_clusters import create, in_state, submit
from headway.workspace.runtime.tasks import TaskRequest
from support.served_workspace import FunctionDriver, Served, as_user, until

RECORDED = Path(__file__).parent.parent / "unit" / "workspace" / "recorded" / "eventlog-4.3.0.jsonl"


class Pages(BaseHTTPRequestHandler):
    """As a driver's UI answers: only to who shows the secret, with links by the context that was forwarded."""

    def do_GET(self) -> None:
        """A page that tells how it was asked; `/` leads to `/jobs/`."""
        allowed = self.headers["X-Headway-Secret"] == "the-secret"
        self.send_response(403 if not allowed else 302 if self.path == "/" else 200)
        self.send_header("Content-Type", "text/html")
        if self.path == "/":
            self.send_header("Location", f"http://{self.headers['Host']}/jobs/")
        self.end_headers()
        told = f"{self.headers['X-Forwarded-Context']} {self.path} {self.headers['Authorization']}"
        self.wfile.write(told.encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def ui() -> Iterator[int]:
    """The port of such a UI."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def driver_of(served: Served, cluster_id: str) -> FunctionDriver:
    """The function driver of a cluster."""
    return next(driver for driver in served.fleet.live if driver.folder.name.startswith(cluster_id))


def get(served: Served, path: str, token: str | None = None, **query: str) -> requests.Response:
    """As a browser with a token asks."""
    header = {"Authorization": f"Basic {base64.b64encode(f'token:{token or served.token}'.encode()).decode()}"}
    return requests.get(f"{served.url}{path}", headers=header, params=query, allow_redirects=False, timeout=20)


def test_a_live_ui_is_reached_through_the_workspace_only(served: Served, ui: int) -> None:
    cluster_id = create(served)
    driver_of(served, cluster_id).ui = lambda: (ui, "the-secret")  # type: ignore[attr-defined]
    base = f"/sparkui/{cluster_id}"
    page = get(served, f"{base}/stages/stage/", id="3", attempt="0")
    assert page.text == f"{base} /stages/stage/?id=3&attempt=0 None"  # the caller's token goes no further
    policy = page.headers["Content-Security-Policy"]
    assert f"connect-src {served.url}{base}/;" in policy
    assert get(served, base).headers["Location"] == f"{base}/jobs/"
    assert get(served, f"{base}/").headers["Location"] == f"{base}/jobs/"
    assert get(served, f"{base}/api/v1/applications/local-other/jobs").status_code == 404
    asked = requests.get(f"{served.url}{base}/jobs/", timeout=20)
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert get(served, f"{base}/jobs/", "dapi-wrong").status_code == 401
    stranger = as_user(served, "ui-stranger@example.com").config.token
    assert get(served, f"{base}/jobs/", stranger).status_code == 403
    assert get(served, "/sparkui/0000-none/jobs/").status_code == 400
    posted = requests.post(f"{served.url}{base}/jobs/", headers={"Authorization": f"Bearer {served.token}"}, timeout=20)
    assert posted.status_code == 501


def test_a_ui_that_is_gone_is_told(served: Served, ui: int) -> None:
    cluster_id = create(served)
    assert "no driver lives and no event log is kept" in get(served, f"/sparkui/{cluster_id}/jobs/").json()["message"]
    driver_of(served, cluster_id).ui = lambda: (1, "the-secret")  # type: ignore[attr-defined]
    gone = get(served, f"/sparkui/{cluster_id}/jobs/")
    assert (gone.status_code, gone.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_what_a_run_has_cost_is_told_by_task(served: Served) -> None:
    cluster_id = create(served)
    logs = driver_of(served, cluster_id).folder / "eventlog"
    logs.mkdir()

    def work(driver: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> None:
        log = RECORDED.read_text().replace("run-11-0", f"run-{request.run_id}")
        (logs / "local-1.inprogress").write_text(log)

    served.fleet.acts["costly"] = work
    run_id = submit(served, cluster_id, "costly", "free")
    until(lambda: served.client.jobs.get_run(run_id).state.result_state)  # type: ignore[union-attr]
    found: Any = served.client.api_client.do("GET", "/api/2.1/headway/runs/metrics", query={"run_id": run_id})
    tasks = {task["task_key"]: task for task in found["tasks"]}
    assert tasks["costly"]["metrics"]["output_records"] == 1000
    assert tasks["free"]["metrics"]["tasks"] == 0
    assert found["available"]
    assert found["metrics"]["tasks"] == 9
    assert found["metrics"]["peak_heap_bytes"] == 146880064
    assert tasks["costly"]["spark_ui"] == f"/sparkui/{cluster_id}/"
    assert found["cluster_seconds"] >= 0
    one: Any = served.client.api_client.do(
        "GET", "/api/2.1/headway/runs/metrics", query={"run_id": tasks["costly"]["run_id"]}
    )
    assert one["metrics"] == found["metrics"]
    # What Databricks tells of the Spark context, of the run and of the cluster, is the same.
    run = served.client.jobs.get_run(run_id)
    instance = run.tasks[0].cluster_instance  # type: ignore[index]
    assert instance is not None
    assert instance.spark_context_id == str(served.client.clusters.get(cluster_id).spark_context_id)
    with pytest.raises(PermissionDenied):
        as_user(served, "stranger@example.com").api_client.do(
            "GET", "/api/2.1/headway/runs/metrics", query={"run_id": run_id}
        )
    # Once its driver has ended, the figures stay without the event log. A log that is lost while it lives is told.
    text = (logs / "local-1.inprogress").read_text()
    shutil.rmtree(logs)

    def told() -> Any:
        return served.client.api_client.do("GET", "/api/2.1/headway/runs/metrics", query={"run_id": run_id})

    assert not told()["available"]
    logs.mkdir()
    (logs / "local-1.inprogress").write_text(text + '{"Event":"SparkListenerTaskEnd","Stage ID":')
    served.client.clusters.delete(cluster_id)
    in_state(served, cluster_id, "TERMINATED")
    (kept,) = (served.data / "cluster-logs" / cluster_id).iterdir()
    database = sqlite3.connect(served.data / "workspace.db")
    until(lambda: database.execute("select 1 from run_metrics where driver = ?", [kept.name]).fetchone())
    database.close()
    shutil.rmtree(kept / "eventlog")
    assert {task["task_key"]: task["metrics"] for task in told()["tasks"]}["costly"] == tasks["costly"]["metrics"]


def test_a_running_task_can_be_listened_to(served: Served) -> None:
    cluster_id, go_on, printed = create(served), threading.Event(), threading.Event()

    def talk(driver: FunctionDriver, request: TaskRequest, canceled: threading.Event) -> None:
        request.log.write_text("first\nhalf a li")
        printed.set()
        go_on.wait(20)
        request.log.write_text("first\nhalf a line\nlast")

    served.fleet.acts["talker"] = talk
    run_id = submit(served, cluster_id, "talker")
    assert printed.wait(20)

    def told(offset: int) -> Any:
        query = {"run_id": run_id, "offset": offset}
        return served.client.api_client.do("GET", "/api/2.1/headway/runs/logs", query=query)

    found = told(0)
    assert (found["logs"], found["next_offset"], found["active"]) == ("first\n", 6, True)
    task_run_id = served.client.jobs.get_run(run_id).tasks[0].run_id  # type: ignore[index]
    assert "half a li" in (served.client.jobs.get_run_output(int(task_run_id or 0)).logs or "")
    go_on.set()
    until(lambda: served.client.jobs.get_run(run_id).state.result_state)  # type: ignore[union-attr]
    found = told(6)
    assert (found["logs"], found["active"]) == ("half a line\nlast", False)
    assert told(found["next_offset"])["logs"] == ""


def test_the_logs_of_a_driver_are_served_while_it_lives_and_after(served: Served) -> None:
    cluster_id = create(served)
    (driver_of(served, cluster_id).folder / "logs" / "log4j").write_text("INFO one\nINFO tw")

    def told(**query: str) -> Any:
        given = {"cluster_id": cluster_id, **query}
        return served.client.api_client.do("GET", "/api/2.1/headway/clusters/logs", query=given)

    assert told(file="log4j")["logs"] == "INFO one\n"
    assert told()["logs"] == ""
    with pytest.raises(InvalidParameterValue):
        told(file="../driver.json")
    served.client.clusters.delete(cluster_id)
    in_state(served, cluster_id, "TERMINATED")
    assert told(file="log4j")["logs"] == "INFO one\nINFO tw"


@pytest.mark.parametrize(("kind", "place"), [("dbfs", "dbfs:/delivered"), ("volumes", "/Volumes/main/logs/delivered")])
def test_logs_are_delivered_where_the_cluster_says(served: Served, kind: str, place: str) -> None:
    cluster_id = create(served, cluster_log_conf={kind: {"destination": place}})
    for number in (1, 2):
        driver = driver_of(served, cluster_id)
        (driver.folder / "logs" / "stdout").write_text(f"driver {number}\n")
        (driver.folder / "logs" / "log4j").write_text("INFO\n")
        (driver.folder / "eventlog").mkdir()
        (driver.folder / "eventlog" / f"local-{number}").write_text("{}\n")
        if number == 1:
            served.client.clusters.restart(cluster_id)
            until(lambda: len([found for found in served.fleet.live if found is driver]) == 0)  # noqa: B023
            in_state(served, cluster_id, "RUNNING")
    served.client.clusters.delete(cluster_id)
    in_state(served, cluster_id, "TERMINATED")
    root = served.data / ("dbfs/delivered" if kind == "dbfs" else "volumes/main/logs/delivered") / cluster_id
    until(lambda: (root / "eventlog" / "local-2").exists())
    assert (root / "driver" / "stdout").read_text() == "driver 2\n"
    (before,) = root.glob("driver/stdout--*")
    assert before.read_text() == "driver 1\n"
    assert (root / "driver" / "log4j-active.log").read_text() == "INFO\n"
    assert sorted(path.name for path in (root / "eventlog").iterdir()) == ["local-1", "local-2"]
    status = served.client.clusters.get(cluster_id).cluster_log_status
    assert status is not None
    assert status.last_attempted
    assert status.last_exception is None


def test_a_place_for_logs_that_is_none_is_refused_or_told(served: Served) -> None:
    wrong: tuple[Any, ...] = (
        {"s3": {"destination": "s3://b/p"}},
        {"dbfs": {"destination": "/tmp"}},
        {"dbfs": {}},
        {"dbfs": 1},
    )
    for conf in wrong:
        with pytest.raises(BadRequest, match="cluster_log_conf"):
            create(served, cluster_log_conf=conf)
    (served.data / "dbfs" / "taken").write_text("a file")
    cluster_id = create(served, cluster_log_conf={"dbfs": {"destination": "dbfs:/taken"}})
    served.client.clusters.delete(cluster_id)
    status = until(lambda: served.client.clusters.get(cluster_id).cluster_log_status)
    assert "taken" in status.last_exception
