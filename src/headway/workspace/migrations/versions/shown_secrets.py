"""Which secrets a run was shown. The tables of repos and cluster policies go: no service keeps anything in them yet."""

import sqlalchemy as sa
from alembic import op

revision = "shown_secrets"
down_revision = "jobs_at_full_depth"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "shown_secrets",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    for name in ("repos", "git_credentials", "cluster_policies"):
        op.drop_table(name)
