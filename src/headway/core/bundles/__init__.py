"""Databricks bundles (`databricks.yml`) as a source of job definitions. Pure.

Source of the rules: Databricks documentation, "Databricks Asset Bundle configuration", "Override with target settings",
"Substitutions and variables", "Deployment modes"; and what the Databricks CLI does where that is silent.
"""
