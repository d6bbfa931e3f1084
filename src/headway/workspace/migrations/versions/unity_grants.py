"""Privileges in the catalog."""

import sqlalchemy as sa
from alembic import op

revision = "unity_grants"
down_revision = "repos_and_credentials"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "unity_grants",
        sa.Column("full_name", sa.String(800), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("created_ms", sa.BigInteger, primary_key=True),
        sa.Column(
            "principal_id", sa.Integer, sa.ForeignKey("principals.principal_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("privilege", sa.String(48), primary_key=True),
    )
