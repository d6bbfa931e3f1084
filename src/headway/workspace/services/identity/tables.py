"""The tables of principals."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from headway.workspace.database import metadata

# `name` is a user's name, a service principal's application id, a group's display name. `attributes` are those of SCIM
# that nothing here depends on, kept as they were given.
principals = Table(
    "principals",
    metadata,
    Column("principal_id", Integer, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("name", String(255), nullable=False),
    Column("folded", String(255), nullable=False),
    Column("display_name", String(255), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("attributes", JSON, nullable=False),
    Index("principals_by_name", "kind", "folded", unique=True),
    sqlite_autoincrement=True,
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", ForeignKey("principals.principal_id", ondelete="CASCADE"), primary_key=True),
    Column("member_id", ForeignKey("principals.principal_id", ondelete="CASCADE"), primary_key=True, index=True),
)

oauth_secrets = Table(
    "oauth_secrets",
    metadata,
    Column("secret_id", Integer, primary_key=True),
    Column("principal_id", ForeignKey("principals.principal_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sha256", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
