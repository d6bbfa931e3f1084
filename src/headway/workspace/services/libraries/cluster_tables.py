"""The table of the libraries of clusters."""

from sqlalchemy import JSON, Column, Integer, String, Table, UniqueConstraint

from headway.workspace.database import metadata

cluster_libraries = Table(
    "cluster_libraries",
    metadata,
    Column("entry_id", Integer, primary_key=True),
    Column("cluster_id", String(64), nullable=False, index=True),
    Column("key", String(64), nullable=False),
    Column("library", JSON, nullable=False),
    Column("status", String(32), nullable=False),
    Column("messages", JSON, nullable=False),
    UniqueConstraint("cluster_id", "key", name="library_of_cluster"),
    sqlite_autoincrement=True,
)
