"""Notification destinations, sealed. The table that was there for them was never used."""

import sqlalchemy as sa
from alembic import op

revision = "notification_destinations"
down_revision = "sql_warehouses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it anew."""
    op.drop_table("notification_destinations")
    op.create_table(
        "notification_destinations",
        sa.Column("destination_id", sa.String(36), primary_key=True),
        sa.Column("display_name", sa.String(255), nullable=False, unique=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
