"""Jobs whose code is in git, on real Spark: the official client, a real git server."""

from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import compute, jobs

from contract.conftest import RealWorkspace
from support.git_server import git_server

MAIN = """# Databricks notebook source
# MAGIC %run ./shared

# COMMAND ----------

dbutils.notebook.exit(f"{double(spark.range(21).count())} rows")
"""
SHARED = """# Databricks notebook source
def double(number):
    return 2 * number
"""
SCRIPT = "from pyspark.sql import SparkSession\nprint('sum', SparkSession.builder.getOrCreate().range(5).count())\n"


@pytest.mark.spark
def test_a_job_in_git_runs_its_notebooks_and_files(real: RealWorkspace, tmp_path: Path) -> None:
    client = WorkspaceClient(host=real.url, token=real.token, auth_type="pat")
    cluster = compute.ClusterSpec(spark_version=real.spark_version, node_type_id="local.small", num_workers=0)
    with git_server(tmp_path) as git:
        commit = git.origin("app").commit({"jobs/main.py": MAIN, "jobs/shared.py": SHARED, "scripts/count.py": SCRIPT})
        run = client.jobs.submit(
            run_name="in git",
            git_source=jobs.GitSource(f"{git.url}/app.git", jobs.GitProvider.GIT_HUB_ENTERPRISE, git_branch="main"),
            tasks=[
                jobs.SubmitTask(
                    task_key="notebook",
                    new_cluster=cluster,
                    notebook_task=jobs.NotebookTask("jobs/main", source=jobs.Source.GIT),
                ),
                jobs.SubmitTask(
                    task_key="script",
                    new_cluster=cluster,
                    spark_python_task=jobs.SparkPythonTask("scripts/count.py", source=jobs.Source.GIT),
                ),
            ],
        ).result()
    assert run.git_source is not None
    assert run.git_source.git_snapshot is not None
    assert run.git_source.git_snapshot.used_commit == commit
    ids = {task.task_key: task.run_id or 0 for task in run.tasks or []}
    notebook = client.jobs.get_run_output(ids["notebook"]).notebook_output
    assert notebook is not None
    assert notebook.result == "42 rows"
    assert (client.jobs.get_run_output(ids["script"]).logs or "").strip() == "sum 5"
