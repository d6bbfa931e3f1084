"""Notebooks in depth on a warm driver: other notebooks, task values, Scala, Jupyter's format; spark-submit."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from headway.workspace.runtime.tasks import NotebookTask, SubmitTask, TaskOutcome
from spark.conftest import Runner
from support.served_workspace import until

pytestmark = pytest.mark.spark
HEAD = "# Databricks notebook source\n"
SPLIT = "\n# COMMAND ----------\n"


def shared(run: Runner, name: str, *cells: str) -> None:
    folder = run.driver.spec.roots.workspace / "Shared"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(HEAD + SPLIT.join(cells))


def notebook(run: Runner, *cells: str, **widgets: str) -> TaskOutcome:
    return run.notebook(HEAD + SPLIT.join(cells), **widgets)


def test_a_notebook_runs_others_and_learns_how_they_end(run: Runner) -> None:
    shared(
        run, "good.py", 'dbutils.widgets.text("a", "0")', 'dbutils.notebook.exit("a is " + dbutils.widgets.get("a"))'
    )
    shared(run, "bad.py", "spark.sql('select 1/0').collect()")
    shared(run, "slow.py", "import time; time.sleep(60)")
    outcome = notebook(
        run,
        'print(dbutils.notebook.run("./good", 60, {"a": 5}))',
        "for name, seconds in (('bad', 0), ('/Shared/slow', 1)):\n"
        "    try:\n        dbutils.notebook.run(name, seconds)\n    except Exception as e:\n        print(e)",
        "print(dbutils.notebook.getContext().notebookPath().get())",
    )
    assert outcome.state == "SUCCESS", run.log
    printed = run.log
    assert "a is 5\n" in printed
    assert "DIVIDE_BY_ZERO" in printed
    assert "took longer than 1 s" in printed
    assert printed.endswith("/Shared/n\n")
    told = [(entry.path, entry.state, entry.result) for entry in outcome.notebook_runs]
    assert told == [
        ("/Shared/good", "SUCCESS", "a is 5"),
        ("/Shared/bad", "FAILED", None),
        ("/Shared/slow", "TIMEDOUT", None),
    ]


def test_run_includes_with_parameters_and_an_exit_inside_ends_only_the_included(run: Runner) -> None:
    shared(run, "inner.py", 'x = dbutils.widgets.get("day") + "!"', 'dbutils.notebook.exit("early")', "x = 'late'")
    outcome = notebook(run, '# MAGIC %run ./inner $day="fri day" $other=1', "dbutils.notebook.exit(x)")
    assert outcome.notebook_result == "fri day!", run.log


def test_task_values_pass_from_task_to_task(run: Runner) -> None:
    values = dict(notebook(run, 'dbutils.jobs.taskValues.set("k", {"x": [1]})').task_values)
    assert values == {"k": {"x": [1]}}
    task = NotebookTask("/Shared/n", "PYTHON", 'print(dbutils.jobs.taskValues.get("first", "k")["x"])')
    later = run.driver.run(replace(run.request(task), task_values={"first": values}))
    assert (later.state, run.log) == ("SUCCESS", "[1]\n")


def test_the_record_has_what_each_cell_showed(run: Runner) -> None:
    outcome = notebook(
        run,
        "# MAGIC %md\n# MAGIC # Title",
        "display(spark.range(2))\ndisplayHTML('<i>x</i>')\n1 + 1",
        "import pandas as pd\npd.DataFrame({'a': [1.5]})",
        "# MAGIC %sh echo out; exit 3",
        "print('never')",
    )
    assert outcome.error == "the command failed with status 3"
    assert outcome.record is not None
    head, *cells = [json.loads(line) for line in outcome.record.read_text().splitlines()]
    assert head == {"path": "/Shared/n", "language": "PYTHON"}
    assert [cell["state"] for cell in cells] == ["FINISHED", "FINISHED", "FINISHED", "ERROR", "SKIPPED"]
    assert [shown["kind"] for shown in cells[1]["outputs"]] == ["table", "html", "text"]
    assert cells[1]["outputs"][0]["rows"] == [[0], [1]]
    assert cells[2]["outputs"][0]["rows"] == [[1.5]]
    assert cells[3]["outputs"][0]["text"] == "out\n"


def test_scala_cells_and_notebooks(run: Runner) -> None:
    mixed = notebook(
        run,
        '# MAGIC %scala\n# MAGIC val n = dbutils.widgets.get("n").toInt\n'
        '# MAGIC spark.range(n).createOrReplaceTempView("rows")\n# MAGIC dbutils.fs.put("/s/a.txt", "by scala", true)',
        "# MAGIC %sql select count(*) as n from rows",
        "dbutils.notebook.exit(f\"{_sqldf.first().n} {open('/dbfs/s/a.txt').read()}\")",
        n="3",
    )
    assert mixed.notebook_result == "3 by scala", run.log
    source = (
        "// Databricks notebook source\nval x = 3\n// COMMAND ----------\ndbutils.notebook.exit((x * 2).toString)\n"
    )
    assert run.notebook(source, "SCALA").notebook_result == "6", run.log
    broken = run.notebook('val x: Int = "a"', "SCALA")
    assert (broken.state, "type mismatch" in broken.error) == ("FAILED", True)


def test_a_jupyter_notebook(run: Runner) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["x = 20\n", "x + 1"]},
        {"cell_type": "code", "source": "%sql\nselect 1 as one"},
        {"cell_type": "code", "source": "dbutils.notebook.exit(str(x + _sqldf.first().one))"},
    ]
    source = json.dumps({"nbformat": 4, "metadata": {"language_info": {"name": "python"}}, "cells": cells})
    assert run.notebook(source).notebook_result == "21", run.log
    assert "nbformat 3" in run.notebook(source.replace('"nbformat": 4', '"nbformat": 3')).error


def test_spark_submit_is_a_process_of_its_own_with_log_status_and_cancel(run: Runner, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import sys, time\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
        "spark.range(3).write.mode('overwrite').csv('dbfs:/submitted')\n"
        "print(sys.argv[1:], spark.sparkContext.master, spark.conf.get('spark.mine'), flush=True)\n"
        "time.sleep(60 if sys.argv[1] == 'wait' else 0)\nsys.exit(int(sys.argv[1] == 'bad'))\n"
    )
    request = run.request(SubmitTask(("--master", "yarn", "--conf", "spark.mine=1", str(program), "wait", "--x")))
    ended: list[TaskOutcome] = []
    thread = threading.Thread(target=lambda: ended.append(run.driver.run(request)))
    thread.start()
    said = "['wait', '--x'] local[2] 1\n"
    until(lambda: request.log.exists() and said in request.log.read_text(), 120)
    run.driver.cancel(request.run_id)
    thread.join(30)
    assert [outcome.state for outcome in ended] == ["CANCELED"]
    assert "the cluster decides --master" in request.log.read_text()
    assert list((run.driver.spec.roots.dbfs / "submitted").glob("part*"))
    wrong = run(SubmitTask(("--class", "no.Such", str(tmp_path / "gone.jar"))))
    assert (wrong.state, "ended with status" in wrong.error) == ("FAILED", True)
