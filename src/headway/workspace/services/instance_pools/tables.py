"""The table of pools."""

from sqlalchemy import JSON, BigInteger, Column, String, Table

from headway.workspace.database import metadata

pools = Table(
    "instance_pools",
    metadata,
    Column("instance_pool_id", String(64), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("creator", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("spec", JSON, nullable=False),
)
