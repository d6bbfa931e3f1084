"""The table of global init scripts."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table

from headway.workspace.database import metadata

scripts = Table(
    "global_init_scripts",
    metadata,
    Column("script_id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("script", LargeBinary, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_by", String(255), nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)
