"""The tables of clusters and of what happened to them."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from headway.workspace.database import metadata

clusters = Table(
    "clusters",
    metadata,
    Column("cluster_id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("creator", String(255), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("source", String(16), nullable=False),
    Column("state", String(32), nullable=False, index=True),
    Column("state_message", Text, nullable=False),
    Column("termination", JSON),
    Column("created_ms", BigInteger, nullable=False, index=True),
    Column("started_ms", BigInteger, nullable=False),
    Column("restarted_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("active_ms", BigInteger),
    # Where its logs and event log lie: in its driver's folder while it lives, where they are kept afterwards.
    Column("folder", Text),
    Column("details", JSON, nullable=False),
    Column("pinned_by", String(255)),
    Column("idempotency_token", String(64), unique=True),
    # Of a job cluster: its run, its key in that run, and the folder that keeps what it wrote.
    Column("run_id", Integer, index=True),
    Column("run_key", String(255)),
    Column("keep", Text),
    Column("deleted", Boolean, nullable=False, default=False),
)

cluster_events = Table(
    "cluster_events",
    metadata,
    Column("event_id", Integer, primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("details", JSON, nullable=False),
    Index("events_of_cluster", "cluster_id", "event_id"),
    sqlite_autoincrement=True,
)
