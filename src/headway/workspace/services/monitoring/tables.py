"""The table of what runs have cost, which outlives their event logs."""

from sqlalchemy import JSON, Column, Integer, String, Table

from headway.workspace.database import metadata

run_metrics = Table(
    "run_metrics",
    metadata,
    # What an attempt of a task is called on its driver; the run of that task; the driver's name.
    Column("driver_run", String(64), primary_key=True),
    Column("driver", String(255), primary_key=True),
    Column("run_id", Integer, nullable=False, index=True),
    Column("metrics", JSON, nullable=False),
)
