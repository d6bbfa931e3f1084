"""Spark drivers: launch, run a task, watch, stop."""
