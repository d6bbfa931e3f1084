"""Logged models of MLflow 3, the workspace's settings, its init scripts."""

import sqlalchemy as sa
from alembic import op

revision = "models_and_settings"
down_revision = "run_metrics"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them; what was logged before tells of no model."""
    op.create_table(
        "workspace_conf",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "global_init_scripts",
        sa.Column("script_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("script", sa.LargeBinary, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "mlflow_logged_models",
        sa.Column("model_id", sa.String(64), primary_key=True),
        sa.Column("experiment_id", sa.Integer, nullable=False, index=True),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("model_type", sa.String(250), nullable=False),
        sa.Column("source_run_id", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("artifact_uri", sa.String(1024), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
    )
    op.add_column("mlflow_runs", sa.Column("models", sa.JSON))
    op.add_column("mlflow_metrics", sa.Column("model_id", sa.String(64)))
    op.add_column("mlflow_metrics", sa.Column("dataset_name", sa.String(500)))
    op.add_column("mlflow_metrics", sa.Column("dataset_digest", sa.String(64)))
    op.create_index("ix_mlflow_metrics_model_id", "mlflow_metrics", ["model_id"])
