"""What a person sees of real Spark: live logs, the UI of a driver that lives and of one that has ended, figures."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
from databricks.sdk import WorkspaceClient

from headway.adapters.spark import installed_spark
from headway.workspace.process import Status
from support.served_workspace import until

PROGRAM = """
import os, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("began", flush=True)
while not os.path.exists("/dbfs/observed/go"):
    time.sleep(0.05)
keys = spark.range(0, 1000, 1, 2).selectExpr("id % 7 as k").repartition(2, "k")
keys.write.mode("overwrite").parquet("dbfs:/observed/out")
"""


def page(workspace: Status, client: WorkspaceClient, path: str) -> requests.Response:
    """A page of the workspace, as a browser that has signed in gets it, wherever it is led to."""
    header = {"Authorization": f"Basic {base64.b64encode(f'token:{client.config.token}'.encode()).decode()}"}
    answer = requests.get(f"{workspace.url}{path}", headers=header, timeout=120, allow_redirects=False)
    while answer.is_redirect:
        led = f"{workspace.url}{answer.headers['Location']}"
        answer = requests.get(led, headers=header, timeout=120, allow_redirects=False)
    return answer


def test_a_run_is_seen_while_it_goes_and_after(workspace: Status, client: WorkspaceClient) -> None:
    program = base64.b64encode(PROGRAM.encode()).decode()
    client.dbfs.put("dbfs:/observed/program.py", contents=program, overwrite=True)
    conf = {"dbfs": {"destination": "dbfs:/observed/logs"}}
    spec = {"spark_version": installed_spark().key, "node_type_id": "local.small", "num_workers": 0}
    do: Any = client.api_client.do
    cluster_id = do("POST", "/api/2.1/clusters/create", body={**spec, "cluster_log_conf": conf})["cluster_id"]
    task = {"task_key": "watched", "existing_cluster_id": cluster_id}
    task |= {"spark_python_task": {"python_file": "dbfs:/observed/program.py"}}
    run_id = do("POST", "/api/2.1/jobs/runs/submit", body={"run_name": "watched", "tasks": [task]})["run_id"]
    # While it goes.
    logs = until(lambda: do("GET", "/api/2.1/headway/runs/logs", query={"run_id": run_id})["logs"], 120)
    assert logs == "began\n"
    base = f"/sparkui/{cluster_id}"
    assert "Spark Jobs" in page(workspace, client, f"{base}/").text
    assert f'href="{base}/SQL/"' in page(workspace, client, f"{base}/environment/").text
    (application,) = page(workspace, client, f"{base}/api/v1/applications").json()
    assert (
        page(workspace, client, f"{base}/api/v1/applications/{application['id']}/executors").json()[0]["id"] == "driver"
    )
    client.dbfs.put("dbfs:/observed/go", contents="", overwrite=True)
    ended = until(lambda: client.jobs.get_run(run_id).state.result_state, 120)  # type: ignore[union-attr]
    assert ended.value == "SUCCESS"
    # The jobs of a run carry its name.
    name = f"run-{client.jobs.get_run(run_id).tasks[0].run_id}-0"  # type: ignore[index]
    assert name in page(workspace, client, f"{base}/jobs/").text
    queries = page(workspace, client, f"{base}/api/v1/applications/{application['id']}/sql").json()
    assert "COMPLETED" in [query["status"] for query in queries if query["description"] == name]
    # Its figures, as a person asks for them.
    command = [sys.executable, "-m", "headway.cli", "workspace", "metrics", str(run_id), "--data", str(workspace.data)]
    done = subprocess.run([*command, "--output", "json"], check=True, capture_output=True, text=True)
    metrics = json.loads(done.stdout)["metrics"]
    assert (metrics["output_records"], metrics["shuffle_write_records"]) == (1000, 1000)
    assert metrics["executor_run_ms"] > 0
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.startswith("watched: ")
    assert "shuffle write" in told
    driver = do("GET", "/api/2.1/headway/clusters/logs", query={"cluster_id": cluster_id, "file": "log4j"})["logs"]
    assert "Running Spark version" in driver
    # After its driver has ended.
    client.clusters.delete(cluster_id)
    until(lambda: client.clusters.get(cluster_id).state.value == "TERMINATED", 60)  # type: ignore[union-attr]
    past = page(workspace, client, f"{base}/")
    assert past.status_code == 200, past.text
    assert f'href="{base}/history/{application["id"]}/SQL/"' in past.text
    assert name in past.text
    rest = page(workspace, client, f"{base}/api/v1/applications/{application['id']}/jobs").json()
    assert [job["status"] for job in rest] == ["SUCCEEDED"] * len(rest) != []
    assert page(workspace, client, f"{base}/history/local-1/jobs/").status_code == 404
    after: Any = do("GET", "/api/2.1/headway/runs/metrics", query={"run_id": run_id})
    assert after["metrics"] == metrics
    kept = workspace.data / "dbfs" / "observed" / "logs" / cluster_id
    until(lambda: (kept / "eventlog" / application["id"]).exists())
    assert "Running Spark version" in (kept / "driver" / "log4j-active.log").read_text()
    assert Path(kept / "driver" / "stdout").exists()
