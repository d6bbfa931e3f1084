"""The table of privileges in the catalog."""

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from headway.workspace.database import metadata

# `created_ms` is when the object was made: one that is made later under the same name inherits nothing.
grants = Table(
    "unity_grants",
    metadata,
    Column("full_name", String(800), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("created_ms", BigInteger, primary_key=True),
    Column("principal_id", ForeignKey("principals.principal_id", ondelete="CASCADE"), primary_key=True),
    Column("privilege", String(48), primary_key=True),
)
