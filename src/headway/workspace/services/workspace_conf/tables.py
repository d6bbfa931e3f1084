"""The table of the workspace's settings."""

from sqlalchemy import Column, String, Table, Text

from headway.workspace.database import metadata

settings = Table(
    "workspace_conf",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
