"""SQL warehouses."""

import sqlalchemy as sa
from alembic import op

revision = "sql_warehouses"
down_revision = "clusters_at_full_depth"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sql_warehouses",
        sa.Column("warehouse_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), unique=True, nullable=False),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("cluster_id", sa.String(64), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
    )
