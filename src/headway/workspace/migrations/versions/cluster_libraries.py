"""The libraries of clusters."""

import sqlalchemy as sa
from alembic import op

revision = "cluster_libraries"
down_revision = "unity_grants"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "cluster_libraries",
        sa.Column("entry_id", sa.Integer, primary_key=True),
        sa.Column("cluster_id", sa.String(64), nullable=False, index=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("library", sa.JSON, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("messages", sa.JSON, nullable=False),
        sa.UniqueConstraint("cluster_id", "key", name="library_of_cluster"),
        sqlite_autoincrement=True,
    )
