"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "tokens",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("user_name", sa.String(255), nullable=False),
        sa.Column("comment", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(4096), nullable=False, index=True),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("idempotency_token", sa.String(64), unique=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.Integer, index=True),
        sa.Column("task_key", sa.String(100)),
        sa.Column("job_id", sa.Integer, index=True),
        sa.Column("name", sa.String(4096), nullable=False),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("trigger", sa.String(32), nullable=False),
        sa.Column("life_cycle_state", sa.String(32), nullable=False, index=True),
        sa.Column("result_state", sa.String(48)),
        sa.Column("state_message", sa.Text, nullable=False),
        sa.Column("termination_code", sa.String(64)),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("started_ms", sa.BigInteger),
        sa.Column("execution_ms", sa.BigInteger),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("cluster_id", sa.String(64)),
        sa.Column("output", sa.JSON, nullable=False),
        sa.Column("idempotency_token", sa.String(64), unique=True),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_of_job", "runs", ["job_id", "parent_id", "run_id"])
    op.create_table(
        "clusters",
        sa.Column("cluster_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("state_message", sa.Text, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("folder", sa.Text),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_table(
        "libraries",
        sa.Column("library_id", sa.Integer, primary_key=True),
        sa.Column("path", sa.String(4096), unique=True, nullable=False),
        sa.Column("lib_type", sa.String(16), nullable=False),
        sa.Column("file", sa.String(4096), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "objects",
        sa.Column("object_id", sa.Integer, primary_key=True),
        sa.Column("path", sa.String(4096), unique=True, nullable=False),
        sa.Column("object_type", sa.String(16), nullable=False),
        sa.Column("language", sa.String(16)),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("modified_ms", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
