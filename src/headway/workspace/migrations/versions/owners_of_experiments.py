"""Who made an experiment."""

import sqlalchemy as sa
from alembic import op

revision = "owners_of_experiments"
down_revision = "cluster_policies"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of those that there are it is not known: they are left to administrators, and to who holds their folder."""
    op.add_column("mlflow_experiments", sa.Column("creator", sa.String(255)))
