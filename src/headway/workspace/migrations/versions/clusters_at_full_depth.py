"""Clusters of every source, what happened to them, instance pools."""

import sqlalchemy as sa
from alembic import op

revision = "clusters_at_full_depth"
down_revision = "shown_secrets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new. Clusters that are there were those of runs."""
    with op.batch_alter_table("clusters") as table:
        table.add_column(sa.Column("source", sa.String(16), nullable=False, server_default="JOB"))
        table.add_column(sa.Column("termination", sa.JSON))
        table.add_column(sa.Column("created_ms", sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("restarted_ms", sa.BigInteger))
        table.add_column(sa.Column("active_ms", sa.BigInteger))
        table.add_column(sa.Column("pinned_by", sa.String(255)))
        table.add_column(sa.Column("idempotency_token", sa.String(64)))
        table.add_column(sa.Column("run_id", sa.Integer))
        table.add_column(sa.Column("run_key", sa.String(255)))
        table.add_column(sa.Column("keep", sa.Text))
        table.add_column(sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE clusters SET created_ms = started_ms")
    op.create_index("ix_clusters_state", "clusters", ["state"])
    op.create_index("ix_clusters_created_ms", "clusters", ["created_ms"])
    op.create_index("ix_clusters_run_id", "clusters", ["run_id"])
    op.create_index("clusters_idempotency_token", "clusters", ["idempotency_token"], unique=True)
    op.create_table(
        "cluster_events",
        sa.Column("event_id", sa.Integer, primary_key=True),
        sa.Column("cluster_id", sa.String(64), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_cluster", "cluster_events", ["cluster_id", "event_id"])
    op.create_table(
        "instance_pools",
        sa.Column("instance_pool_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
    )
