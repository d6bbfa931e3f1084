"""The table of warehouses."""

from sqlalchemy import JSON, BigInteger, Column, String, Table

from headway.workspace.database import metadata

warehouses = Table(
    "sql_warehouses",
    metadata,
    Column("warehouse_id", String(32), primary_key=True),
    Column("name", String(255), unique=True, nullable=False),
    Column("creator", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("cluster_id", String(64), nullable=False),
    Column("settings", JSON, nullable=False),
)
