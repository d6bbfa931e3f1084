"""A user's work on an interactive cluster from a program elsewhere: `dbutils` of the SDK, commands, SQL on a warehouse.

Prints as JSON what it saw.
"""

import json
import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import DatabricksError
from databricks.sdk.service import compute, sql, workspace

(SPARK_VERSION,) = sys.argv[1:]
client = WorkspaceClient()
# The cluster and the warehouse start side by side.
cluster = client.clusters.create(
    cluster_name="interactive", spark_version=SPARK_VERSION, node_type_id="local.small", num_workers=0
)
warehouse = client.warehouses.create(name="reports", auto_stop_mins=10)
cluster_id = cluster.result().cluster_id
told = {}

# dbutils: files and secrets by the API, the rest by commands on the cluster
dbutils = WorkspaceClient(config=Config(cluster_id=cluster_id)).dbutils
dbutils.fs.mkdirs("dbfs:/remote")
dbutils.fs.put("dbfs:/remote/a.txt", "hello from afar", True)
told["head"] = dbutils.fs.head("dbfs:/remote/a.txt")
told["listed"] = [(found.name, found.size) for found in dbutils.fs.ls("dbfs:/remote")]
dbutils.fs.cp("dbfs:/remote/a.txt", "dbfs:/remote/b.txt")
dbutils.fs.rm("dbfs:/remote/a.txt")
client.secrets.create_scope("remote")
client.secrets.put_secret("remote", "password", string_value="swordfish")
told["secret"] = dbutils.secrets.get("remote", "password")
told["keys"] = [found.key for found in dbutils.secrets.list("remote")]
client.workspace.upload(
    "/Shared/child",
    b"# Databricks notebook source\ndbutils.notebook.exit('hello ' + dbutils.widgets.get('who'))\n",
    format=workspace.ImportFormat.SOURCE,
    language=workspace.Language.PYTHON,
    overwrite=True,
)
told["notebook"] = dbutils.notebook.run("/Shared/child", 120, {"who": "remote"})
try:
    dbutils.notebook.run("/Shared/nowhere", 120)
except DatabricksError as error:
    told["missing"] = type(error).__name__

# commands in a context: state stays from one to the next
commands = client.command_execution
context = commands.create_and_wait(cluster_id=cluster_id, language=compute.Language.PYTHON).id


def execute(language, text):
    found = commands.execute_and_wait(cluster_id=cluster_id, context_id=context, language=language, command=text)
    return found.results


execute(compute.Language.PYTHON, "spark.read.text('dbfs:/remote/b.txt').createOrReplaceTempView('lines')\nn = 20")
told["table"] = execute(compute.Language.SQL, "select upper(value) as v from lines").data
told["python"] = execute(compute.Language.PYTHON, "print(n + 1)").data
told["failed"] = execute(compute.Language.PYTHON, "1 / 0").summary
waiting = commands.execute(
    cluster_id=cluster_id, context_id=context, language=compute.Language.PYTHON, command="while True: pass"
)
commands.cancel(cluster_id=cluster_id, context_id=context, command_id=waiting.command_id)
told["kept"] = execute(compute.Language.PYTHON, "print(n)").data
commands.destroy(cluster_id, context)

# SQL on the warehouse
warehouse_id = warehouse.result().id
statements = client.statement_execution


def query(statement, **more):
    found = statements.execute_statement(statement, warehouse_id, wait_timeout="50s", **more)
    if found.status.state is not sql.StatementState.SUCCEEDED:
        return found.status.error.message
    return found.result.data_array


query("create schema if not exists main.remote")
query("create table main.remote.sales as select id, id * 1.5 as amount from range(5)")
told["sum"] = query(
    "select sum(amount) as total, :label as label from sales where id >= :least",
    catalog="main",
    schema="remote",
    parameters=[
        sql.StatementParameterListItem(name="label", value="it's; fine"),
        sql.StatementParameterListItem(name="least", value="2", type="INT"),
    ],
)
told["error"] = "TABLE_OR_VIEW_NOT_FOUND" in query("select * from main.remote.nowhere")
told["tables"] = [found.name for found in client.tables.list("main", "remote")]
query("drop schema main.remote cascade")
client.warehouses.delete(warehouse_id)
client.clusters.permanent_delete(cluster_id)
json.dump(told, sys.stdout)
