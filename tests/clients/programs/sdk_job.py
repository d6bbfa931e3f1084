"""A user's whole job with the official SDK: upload code, make a job, run it on Spark, read what it said, clean up.

Every generation of the SDK runs this very program. Prints as JSON what it saw.
"""

import base64
import io
import json
import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, ResourceDoesNotExist
from databricks.sdk.service import compute, jobs, workspace

SPARK_VERSION, MARK = sys.argv[1:3]
PROGRAM = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("rows", spark.range(int(sys.argv[1])).count(), "on", spark.version)
"""
NOTEBOOK = """# Databricks notebook source
dbutils.widgets.text("who", "nobody")
# COMMAND ----------
dbutils.notebook.exit("hello " + dbutils.widgets.get("who"))
"""

client = WorkspaceClient()
me = client.current_user.me().user_name
folder = f"/Users/{me}/contract-{MARK}"
client.workspace.mkdirs(folder)
client.workspace.import_(
    f"{folder}/greet",
    format=workspace.ImportFormat.SOURCE,
    language=workspace.Language.PYTHON,
    content=base64.b64encode(NOTEBOOK.encode()).decode(),
    overwrite=True,
)
client.dbfs.upload(f"/contract/{MARK}/count.py", io.BytesIO(PROGRAM.encode()), overwrite=True)
small = compute.ClusterSpec(spark_version=SPARK_VERSION, node_type_id="local.small", num_workers=0)
created = client.jobs.create(
    name=f"contract-{MARK}",
    job_clusters=[jobs.JobCluster(job_cluster_key="main", new_cluster=small)],
    tasks=[
        jobs.Task(
            task_key="count",
            job_cluster_key="main",
            spark_python_task=jobs.SparkPythonTask(python_file=f"dbfs:/contract/{MARK}/count.py", parameters=["7"]),
        ),
        jobs.Task(
            task_key="greet",
            job_cluster_key="main",
            depends_on=[jobs.TaskDependency(task_key="count")],
            notebook_task=jobs.NotebookTask(notebook_path=f"{folder}/greet", base_parameters={"who": MARK}),
        ),
    ],
    tags={"contract": MARK},
)
run = client.jobs.run_now(created.job_id).result()
outputs = {task.task_key: client.jobs.get_run_output(task.run_id) for task in run.tasks}
listed = [found.job_id for found in client.jobs.list(name=f"contract-{MARK}")]
runs = [found.run_id for found in client.jobs.list_runs(job_id=created.job_id)]
kept = client.jobs.get(created.job_id).settings
client.jobs.delete(created.job_id)
client.workspace.delete(folder, recursive=True)
try:
    client.jobs.get(created.job_id)
    gone = "no"
except (NotFound, ResourceDoesNotExist) as error:
    gone = type(error).__name__
json.dump(
    {
        "result": run.state.result_state.value,
        "count": outputs["count"].logs.strip(),
        "greet": outputs["greet"].notebook_output.result,
        "listed": listed == [created.job_id],
        "runs": runs == [run.run_id],
        "tags": kept.tags,
        "gone": gone,
    },
    sys.stdout,
)
