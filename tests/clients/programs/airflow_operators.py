"""Airflow's Databricks operators, executed without a scheduler: make a job, run it, submit a run, check out a repo.

Prints as JSON what they pushed and what the hook then reads.
"""

import json
import sys
from unittest import mock

from airflow.providers.databricks.hooks.databricks import DatabricksHook
from airflow.providers.databricks.operators.databricks import (
    DatabricksCreateJobsOperator,
    DatabricksRunNowOperator,
    DatabricksSubmitRunOperator,
)
from airflow.providers.databricks.operators.databricks_repos import (
    DatabricksReposCreateOperator,
    DatabricksReposDeleteOperator,
    DatabricksReposUpdateOperator,
)

SPARK_VERSION, PYTHON_FILE, REPOSITORY = sys.argv[1:4]
pushed: dict[str, object] = {}
instance = mock.Mock(xcom_push=lambda key, value, **_: pushed.update({key: value}))
context = {"ti": instance, "task_instance": instance}
cluster = {"spark_version": SPARK_VERSION, "node_type_id": "local.small", "num_workers": 0}
task = {
    "task_key": "main",
    "new_cluster": cluster,
    "spark_python_task": {"python_file": PYTHON_FILE, "parameters": ["3"]},
}
settings = {"name": "from-airflow", "tasks": [task], "max_concurrent_runs": 2}

job_id = DatabricksCreateJobsOperator(task_id="create", json=settings).execute(context)
again = DatabricksCreateJobsOperator(task_id="reset", json={**settings, "tags": {"by": "airflow"}}).execute(context)
DatabricksRunNowOperator(task_id="run", job_id=job_id, polling_period_seconds=1).execute(context)
now = int(str(pushed["run_id"]))
submit = {"run_name": "submitted", "tasks": [task]}
DatabricksSubmitRunOperator(task_id="submit", json=submit, polling_period_seconds=1).execute(context)
submitted = int(str(pushed["run_id"]))
hook = DatabricksHook()
tasks = hook.get_run(now)["tasks"]

said = {}
if REPOSITORY:
    path = "/Repos/airflow/sources"
    create = DatabricksReposCreateOperator(
        task_id="repo", git_url=REPOSITORY, git_provider="gitHubEnterprise", repo_path=path, branch="main"
    )
    said["repo"] = str(create.execute(context)).isdigit()
    update = DatabricksReposUpdateOperator(task_id="pull", repo_path=path, branch="next")
    said["head"] = update.execute(context)
    DatabricksReposDeleteOperator(task_id="gone", repo_path=path).execute(context)
    said["left"] = hook.get_repo_by_path(path)

json.dump(
    {
        "same_job": job_id == again,
        "run_now": hook.get_run_state(now).result_state,
        "submitted": hook.get_run_state(submitted).result_state,
        "output": hook.get_run_output(tasks[0]["run_id"])["logs"].strip(),
        "page": pushed["run_page_url"],
        **said,
    },
    sys.stdout,
)
