"""The table of cluster policies."""

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from headway.workspace.database import metadata

policies = Table(
    "cluster_policies",
    metadata,
    Column("policy_id", String(32), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("definition", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("most", Integer),
    Column("creator", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
