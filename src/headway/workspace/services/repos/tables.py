"""The tables of repos and git credentials."""

from sqlalchemy import JSON, Column, Integer, LargeBinary, String, Table, UniqueConstraint

from headway.workspace.database import metadata

repos = Table(
    "repos",
    metadata,
    Column("repo_id", Integer, primary_key=True),  # the id of its object in the workspace tree
    Column("path", String(4096), unique=True, nullable=False),
    Column("url", String(4096), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("branch", String(1024)),
    Column("head_commit_id", String(64), nullable=False),
    Column("sparse", JSON),
    Column("creator", String(255), nullable=False),
)

git_credentials = Table(
    "git_credentials",
    metadata,
    Column("credential_id", Integer, primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("username", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("owner", "provider", name="git_credential_of_provider"),
    sqlite_autoincrement=True,
)
