"""Repos and git credentials."""

import sqlalchemy as sa
from alembic import op

revision = "repos_and_credentials"
down_revision = "owners_of_experiments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "repos",
        sa.Column("repo_id", sa.Integer, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("branch", sa.String(255), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("sparse", sa.JSON, nullable=False),
        sa.Column("manifest", sa.String(64), nullable=False),
    )
    op.create_table(
        "git_credentials",
        sa.Column("credential_id", sa.Integer, primary_key=True),
        sa.Column("user_name", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("username", sa.String(255), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_name", "provider"),
        sqlite_autoincrement=True,
    )
