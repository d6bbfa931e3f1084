# Databricks notebook source
# MAGIC %md
# MAGIC # Report
# MAGIC What the last scoring run says: sessions and learners per task and rubric level.

# COMMAND ----------

import json

dbutils.widgets.text("root", "")
root = dbutils.widgets.get("root")
spark.read.parquet(f"{root}/scores").createOrReplaceTempView("scores")

# COMMAND ----------

# MAGIC %sql
# MAGIC select task, rubric_level, count(*) as sessions, count(distinct learner) as learners
# MAGIC from scores group by task, rubric_level order by task, rubric_level

# COMMAND ----------

levels = {str(row["rubric_level"]): row["count"] for row in spark.table("scores").groupBy("rubric_level").count().collect()}
spark.read.json(f"{root}/counts").createOrReplaceTempView("counts")
lines = spark.sql("select sum(read) read, sum(accepted) accepted, sum(malformed) malformed, sum(duplicates) duplicates from counts").first().asDict()
summary = {"levels": levels, "sessions": sum(levels.values()), **lines}
display(summary)
dbutils.notebook.exit(json.dumps(summary))
