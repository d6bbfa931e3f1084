"""The embedded workspace: the Databricks REST API on real Apache Spark."""
