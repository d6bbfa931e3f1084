"""A structured stream on real Spark over deploys: left alone while nothing changes, drained and gone on with from its
checkpoint when something does. No row is lost and none is there twice."""

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient

from headway.adapters.spark import installed_spark
from headway.workspace.process import Status
from support.delivered_fleet import Fleet, faults
from support.served_workspace import until

pytestmark = [pytest.mark.acceptance, pytest.mark.spark]

PROGRAM = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import lit

spark = SparkSession.builder.getOrCreate()
rows = spark.readStream.text("dbfs:/streaming/in").withColumn("version", lit(sys.argv[1]))
query = rows.writeStream.format("json").option("checkpointLocation", "dbfs:/streaming/checkpoint")
query.trigger(processingTime="200 milliseconds").start("dbfs:/streaming/out").awaitTermination()
"""
JOBS = """
resources:
  jobs:
    stream:
      name: stream
      continuous: {{pause_status: UNPAUSED}}
      tasks:
        - task_key: stream
          existing_cluster_id: "{cluster}"
          spark_python_task: {{python_file: "dbfs:/streaming/program.py", parameters: ["${{release.version}}"]}}
"""


class Stream:
    """The application, its input and its output."""

    def __init__(self, workspace: Status, client: WorkspaceClient, folder: Path) -> None:
        self.client, self.out = client, workspace.data / "dbfs" / "streaming" / "out"
        self.put("program.py", PROGRAM)
        spec = {"spark_version": installed_spark().key, "node_type_id": "local.small", "num_workers": 0}
        do: Any = client.api_client.do
        self.cluster = do("POST", "/api/2.1/clusters/create", body={**spec, "cluster_name": "streams"})["cluster_id"]
        served = SimpleNamespace(url=workspace.url, token=client.config.token, client=client)
        self.fleet = Fleet(cast(Any, served), folder, "streaming")
        text = JOBS.format(cluster=self.cluster)
        self.target = self.fleet.target("stream", extra="\n[deploy]\nsettle_seconds = 0.5\n", edit=lambda _: text)

    def put(self, file: str, text: str) -> None:
        """A file below dbfs:/streaming."""
        content = base64.b64encode(text.encode()).decode()
        self.client.dbfs.put(f"dbfs:/streaming/{file}", contents=content, overwrite=True)

    def runs(self) -> list[int]:
        """Every run that there ever was, the newest first, as the workspace tells."""
        job_id = self.target.ledger.state().jobs["stream"]
        return [int(run.run_id or 0) for run in self.client.jobs.list_runs(job_id=job_id)]

    def rows(self) -> list[tuple[str, str]]:
        """What the stream has committed: value and version, sorted."""
        logs = [path for path in (self.out / "_spark_metadata").glob("*") if path.name.isdigit()]
        entries = [json.loads(line) for log in logs for line in log.read_text().splitlines()[1:]]
        files = [self.out / entry["path"].rpartition("/")[2] for entry in entries]
        found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return sorted((row["value"], row["version"]) for row in found)


def test_a_stream_goes_on_from_its_checkpoint_over_a_deploy(
    workspace: Status, client: WorkspaceClient, tmp_path: Path
) -> None:
    stream = Stream(workspace, client, tmp_path)
    stream.put("in/first.txt", "one\ntwo\n")
    stream.fleet.deploy(stream.target, 1)
    began = [("one", "1.0.1"), ("two", "1.0.1")]
    until(lambda: stream.rows() == began, 120)
    (first,) = stream.runs()

    # Nothing changed: nothing is written, and the same run takes what comes.
    writes = faults(stream.target).writes
    stream.fleet.deploy(stream.target, 1)
    assert faults(stream.target).writes == writes
    assert stream.runs() == [first]
    stream.put("in/second.txt", "three\n")
    until(lambda: ("three", "1.0.1") in stream.rows(), 120)

    # Another version: drained, started again, and it takes up where the other one ended.
    stream.fleet.deploy(stream.target, 2)
    assert len(stream.runs()) == 2
    assert str(client.jobs.get_run(first).state.result_state) == "RunResultState.CANCELED"  # type: ignore[union-attr]
    stream.put("in/third.txt", "four\n")
    until(lambda: ("four", "1.0.2") in stream.rows(), 120)
    assert stream.rows() == sorted([*began, ("three", "1.0.1"), ("four", "1.0.2")])
    client.jobs.delete(stream.target.ledger.state().jobs["stream"])
    client.clusters.permanent_delete(stream.cluster)
