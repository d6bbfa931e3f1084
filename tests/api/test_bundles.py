"""A Databricks bundle as an application's source of jobs: from git to plan, deploy, adoption, by the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from headway.workspace.process import Status
from support.copying import copying
from support.served_workspace import KEY, Served
from support.tiny_application import TinyApplication

TOML = """
[app]
name = "shop"
version = "1.0"
spark = "4.3.0"
[store]
url = "${env.HEADWAY_STORE}"
[[artifact]]
name = "greet"
kind = "wheel"
builder = "wheel"
path = "greet"
[[artifact]]
name = "notebooks"
kind = "notebooks"
builder = "notebooks"
path = "src"
[deploy]
bundle = "databricks.yml"
bundle_ignore = ["pipelines.*"]
[environments.stage]
host = "${env.HEADWAY_STAGE_HOST}"
token_env = "HEADWAY_STAGE_TOKEN"
prefix = ""
bundle_target = "dev"
bundle_user = "jo@example.org"
[environments.production]
host = "${env.HEADWAY_STAGE_HOST}"
token_env = "HEADWAY_STAGE_TOKEN"
prefix = "shop-"
bundle_target = "prod"
values = { catalog = "live" }
"""
BUNDLE = """
bundle:
  name: shop
include:
  - resources/*.yml
variables:
  catalog:
    description: Where tables are.
    default: sandbox
  retries:
    default: 0
artifacts:
  greet:
    type: whl
    build: python -m build
    path: ./greet
targets:
  dev:
    mode: development
    default: true
  prod:
    mode: production
    variables: {retries: 3}
    workspace:
      root_path: /Shared/.bundle/${bundle.name}/${bundle.target}
    resources:
      jobs:
        nightly:
          schedule: {quartz_cron_expression: "0 0 3 * * ?", timezone_id: UTC}
          tasks:
            - task_key: greet
              timeout_seconds: 600
          job_clusters:
            - job_cluster_key: main
              new_cluster: {num_workers: 1}
"""
JOBS = """
resources:
  pipelines:
    live: {name: live}
  jobs:
    nightly:
      name: nightly-${bundle.target}
      max_concurrent_runs: 1
      tasks:
        - task_key: greet
          job_cluster_key: main
          max_retries: ${var.retries}
          python_wheel_task: {package_name: greet, entry_point: main, parameters: ["${var.catalog}"]}
          libraries: [{whl: ../greet/dist/*.whl}]
        - task_key: report
          depends_on: [{task_key: greet}]
          job_cluster_key: main
          notebook_task: {notebook_path: ../src/report.ipynb}
        - task_key: then
          run_job_task: {job_id: "${resources.jobs.after.id}"}
      job_clusters:
        - job_cluster_key: main
          new_cluster: {spark_version: "THE_RUNTIME", node_type_id: local.small, num_workers: 0}
    after:
      name: after-${bundle.target}
      tasks:
        - task_key: tell
          notebook_task: {notebook_path: ../src/tell.py, base_parameters: {commit: "${bundle.git.commit}"}}
          new_cluster: {spark_version: "THE_RUNTIME", node_type_id: local.small, num_workers: 0}
""".replace("THE_RUNTIME", KEY)
REPORT = {
    "cells": [
        {"cell_type": "code", "source": ["print('report')"], "metadata": {}, "outputs": [], "execution_count": None}
    ],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def shop(served: Served, tmp_path_factory: pytest.TempPathFactory) -> TinyApplication:
    """A bundle in git, released as 1.0.1."""
    folder = tmp_path_factory.mktemp("shop")
    token = folder / "token"
    token.write_text(served.token)
    app = TinyApplication(folder, "shop", Status(True, served.data, url=served.url, token_file=token))
    app.git("rm", "-rq", "jobs", "notebooks", "tests")
    app.write("headway.toml", TOML)
    app.write("databricks.yml", BUNDLE)
    app.write("resources/jobs.yml", JOBS)
    app.write("src/report.ipynb", json.dumps(REPORT))
    app.write("src/tell.py", "# Databricks notebook source\nprint('told')\n")
    app.commit("a bundle")
    released = app.headway("release")
    assert released.status == 0, released.err
    served.fleet.acts["deployJar"] = copying(served)
    return app


def settings(served: Served, name: str) -> tuple[int, dict[str, Any]]:
    """The one job of that name."""
    (job,) = served.client.jobs.list(name=name)
    answer: Any = served.client.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job.job_id})
    return int(job.job_id or 0), answer["settings"]


def test_a_bundle_goes_to_plan_and_deploy_as_it_is(shop: TinyApplication, served: Served) -> None:
    checked = shop.headway("check", "--output", "json")
    assert checked.data["jobs"] == ["nightly", "after"]
    planned = shop.headway("plan", "production", "--output", "json")
    assert planned.status == 0, planned.err
    assert [step["action"] for step in planned.data["plan"]["steps"]] == ["create", "create"]
    deployed = shop.headway("deploy", "production")
    assert deployed.status == 0, deployed.err
    after_id, after = settings(served, "shop-after-prod")
    _, nightly = settings(served, "shop-nightly-prod")
    greet, report, then = (nightly["tasks"][number] for number in range(3))
    assert (greet["max_retries"], greet["timeout_seconds"]) == (3, 600)
    assert greet["python_wheel_task"]["parameters"] == ["live"]
    assert greet["libraries"] == [{"whl": "dbfs:/FileStore/job-jars/shop/greet-1.0.1-py3-none-any.whl"}]
    assert report["notebook_task"]["notebook_path"] == "/Shared/headway/shop/1.0.1/notebooks/report"
    assert then["run_job_task"]["job_id"] == after_id
    assert nightly["job_clusters"][0]["new_cluster"]["num_workers"] == 1
    assert nightly["schedule"]["quartz_cron_expression"] == "0 0 3 * * ?"
    assert after["tasks"][0]["notebook_task"]["base_parameters"]["commit"] == shop.git("rev-parse", "HEAD")
    exported = served.client.workspace.download("/Shared/headway/shop/1.0.1/notebooks/report").read()
    assert b"print('report')" in exported
    again = shop.headway("plan", "production", "--output", "json")
    assert again.data["plan"]["steps"] == []
    assert "nothing to do" in shop.headway("deploy", "production").err


def test_a_job_that_the_databricks_cli_deployed_is_taken_from_there(shop: TinyApplication, served: Served) -> None:
    for name in ("nightly-dev", "after-dev"):
        _, made = settings(served, f"shop-{name.replace('-dev', '-prod')}")
        lock = {"deployment": {"kind": "BUNDLE", "metadata_file_path": "/x"}, "edit_mode": "UI_LOCKED"}
        body = {**made, **lock, "tags": {}, "name": f"[dev jo] {name}"}
        served.client.api_client.do("POST", "/api/2.2/jobs/create", body=body)
    arguments = ("adopt", "stage", "--name", "[[]dev jo] *", "--output", "json")
    refused = shop.headway(*arguments)
    assert refused.status == 3
    assert {job["key"] for job in refused.data["jobs"]} == {"nightly", "after"}
    assert all("deployment: a bundle deploys it" in job["problems"][0] for job in refused.data["jobs"])
    taken = shop.headway(*arguments, "--from-bundle", "--differing", "--write")
    assert taken.status == 0, taken.err
    assert all(job["defined"] for job in taken.data["jobs"])
    _, nightly = settings(served, "[dev jo] nightly-dev")
    assert "deployment" not in nightly
    assert nightly["tags"]["headway_job"] == "nightly"
    deployed = shop.headway("deploy", "stage")
    assert deployed.status == 0, deployed.err
    _, nightly = settings(served, "[dev jo] nightly-dev")
    assert nightly["tasks"][0]["python_wheel_task"]["parameters"] == ["sandbox"]
    assert nightly["max_concurrent_runs"] == 1
    assert shop.headway("plan", "stage", "--output", "json").data["plan"]["steps"] == []


def test_a_mistake_in_a_bundle_is_told_by_file_and_line(shop: TinyApplication, tmp_path: Path) -> None:
    shop.replace("resources/jobs.yml", "../greet/dist/*.whl", "../other/dist/*.whl")
    told = shop.headway("check")
    shop.git("checkout", "--", "resources")
    assert told.status == 2
    assert "resources/jobs.yml:14: resources.jobs.nightly.tasks.0.libraries.0.whl: no artifact" in told.err
