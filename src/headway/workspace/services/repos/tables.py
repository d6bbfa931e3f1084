"""The tables of repos and git credentials."""

from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from headway.workspace.database import metadata

repos = Table(
    "repos",
    metadata,
    Column("repo_id", Integer, primary_key=True),
    Column("url", Text, nullable=False),
    Column("provider", String(32), nullable=False),
    Column("branch", String(255), nullable=False),
    Column("head", String(64), nullable=False),
    Column("sparse", JSON, nullable=False),
    Column("manifest", String(64), nullable=False),
)

git_credentials = Table(
    "git_credentials",
    metadata,
    Column("credential_id", Integer, primary_key=True),
    Column("user_name", String(255), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("username", String(255), nullable=False),
    Column("email", String(255), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("user_name", "provider"),
    sqlite_autoincrement=True,
)
