"""The tables of repairs, and of what triggers remember."""

from sqlalchemy import JSON, BigInteger, Column, Integer, Table

from headway.workspace.database import metadata

# One row per repair of a run. How the latest one ended is the run's own state; the earlier ones keep theirs in `end`.
# Row with `number` 0 holds how the original run ended, once it has been repaired.
repairs = Table(
    "job_repairs",
    metadata,
    Column("repair_id", Integer, primary_key=True),
    Column("run_id", Integer, nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("end", JSON, nullable=False),
    sqlite_autoincrement=True,
)

# What a job's trigger must know after a restart: the files that it has seen, when it last fired.
trigger_states = Table(
    "job_trigger_states",
    metadata,
    Column("job_id", Integer, primary_key=True),
    Column("state", JSON, nullable=False),
)
