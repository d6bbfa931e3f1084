"""The tables of secrets."""

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table

from headway.workspace.database import metadata

secret_scopes = Table(
    "secret_scopes",
    metadata,
    Column("scope", String(128), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("scope", ForeignKey("secret_scopes.scope", ondelete="CASCADE"), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

# `principal` is a user's name, an application id or a group's name, as the API has it.
secret_acls = Table(
    "secret_acls",
    metadata,
    Column("scope", ForeignKey("secret_scopes.scope", ondelete="CASCADE"), primary_key=True),
    Column("principal", String(255), primary_key=True),
    Column("permission", String(16), nullable=False),
)

# What a run was shown, so that it can be taken out of what the run printed.
shown_secrets = Table(
    "shown_secrets",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
