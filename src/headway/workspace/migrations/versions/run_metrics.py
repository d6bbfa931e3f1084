"""What runs have cost, kept when their event logs are not."""

import sqlalchemy as sa
from alembic import op

revision = "run_metrics"
down_revision = "cluster_libraries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "run_metrics",
        sa.Column("driver_run", sa.String(64), primary_key=True),
        sa.Column("driver", sa.String(255), primary_key=True),
        sa.Column("run_id", sa.Integer, nullable=False, index=True),
        sa.Column("metrics", sa.JSON, nullable=False),
    )
