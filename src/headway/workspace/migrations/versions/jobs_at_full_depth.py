"""Attempts, iterations, repairs, triggers, notification destinations."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_at_full_depth"
down_revision = "identity_and_access"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them. Task runs of before are each the only attempt of their task."""
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("root_id", sa.Integer))
        batch.add_column(sa.Column("attempt", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("original_id", sa.Integer))
        batch.add_column(sa.Column("latest", sa.Boolean, nullable=False, server_default="1"))
        batch.add_column(sa.Column("iteration", sa.Integer))
        batch.add_column(sa.Column("repair_id", sa.Integer))
        batch.add_column(sa.Column("details", sa.JSON, nullable=False, server_default="{}"))
        batch.create_index("ix_runs_root_id", ["root_id"])
    op.execute("UPDATE runs SET root_id = parent_id WHERE parent_id IS NOT NULL")
    op.create_table(
        "job_repairs",
        sa.Column("repair_id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, nullable=False, index=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("end", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job_trigger_states",
        sa.Column("job_id", sa.Integer, primary_key=True),
        sa.Column("state", sa.JSON, nullable=False),
    )
    op.create_table(
        "notification_destinations",
        sa.Column("destination_id", sa.String(36), primary_key=True),
        sa.Column("display_name", sa.String(255), nullable=False, unique=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
