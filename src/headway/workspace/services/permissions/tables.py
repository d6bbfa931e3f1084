"""The table of grants."""

from sqlalchemy import Column, ForeignKey, String, Table

from headway.workspace.database import metadata

# Ids are never given twice, so that what an object leaves behind here reaches no other.
grants = Table(
    "grants",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("object_id", String(255), primary_key=True),
    Column("principal_id", ForeignKey("principals.principal_id", ondelete="CASCADE"), primary_key=True),
    Column("level", String(48), nullable=False),
)
