"""Principals, grants, secrets, repos, git credentials, cluster policies; tokens that expire."""

import sqlalchemy as sa
from alembic import op

revision = "identity_and_access"
down_revision = "0100_mlflow"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.add_column("tokens", sa.Column("created_by", sa.String(255)))
    op.add_column("tokens", sa.Column("expires_ms", sa.BigInteger))
    op.add_column("tokens", sa.Column("run_id", sa.String(64)))
    op.create_index("ix_tokens_run_id", "tokens", ["run_id"])
    op.add_column("objects", sa.Column("creator", sa.String(255)))
    op.create_table(
        "principals",
        sa.Column("principal_id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("folded", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("principals_by_name", "principals", ["kind", "folded"], unique=True)
    principal = "principals.principal_id"
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.Integer, sa.ForeignKey(principal, ondelete="CASCADE"), primary_key=True),
        sa.Column("member_id", sa.Integer, sa.ForeignKey(principal, ondelete="CASCADE"), primary_key=True, index=True),
    )
    op.create_table(
        "oauth_secrets",
        sa.Column("secret_id", sa.Integer, primary_key=True),
        sa.Column("principal_id", sa.Integer, sa.ForeignKey(principal, ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "grants",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("object_id", sa.String(255), primary_key=True),
        sa.Column("principal_id", sa.Integer, sa.ForeignKey(principal, ondelete="CASCADE"), primary_key=True),
        sa.Column("level", sa.String(48), nullable=False),
    )
    op.create_table(
        "secret_scopes",
        sa.Column("scope", sa.String(128), primary_key=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    scope = "secret_scopes.scope"
    op.create_table(
        "secrets",
        sa.Column("scope", sa.String(128), sa.ForeignKey(scope, ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "secret_acls",
        sa.Column("scope", sa.String(128), sa.ForeignKey(scope, ondelete="CASCADE"), primary_key=True),
        sa.Column("principal", sa.String(255), primary_key=True),
        sa.Column("permission", sa.String(16), nullable=False),
    )
    op.create_table(
        "repos",
        sa.Column("repo_id", sa.Integer, primary_key=True),
        sa.Column("path", sa.String(4096), unique=True, nullable=False),
        sa.Column("url", sa.String(4096), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("branch", sa.String(1024)),
        sa.Column("head_commit_id", sa.String(64), nullable=False),
        sa.Column("sparse", sa.JSON),
        sa.Column("creator", sa.String(255), nullable=False),
    )
    op.create_table(
        "git_credentials",
        sa.Column("credential_id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("username", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("owner", "provider", name="git_credential_of_provider"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cluster_policies",
        sa.Column("policy_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), unique=True, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
