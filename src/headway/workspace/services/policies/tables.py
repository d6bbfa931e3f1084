"""The table of cluster policies."""

from sqlalchemy import JSON, BigInteger, Column, String, Table

from headway.workspace.database import metadata

cluster_policies = Table(
    "cluster_policies",
    metadata,
    Column("policy_id", String(32), primary_key=True),
    Column("name", String(255), unique=True, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("creator", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
