"""The tables of MLflow tracking."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

from headway.workspace.database import metadata

experiments = Table(
    "mlflow_experiments",
    metadata,
    Column("experiment_id", Integer, primary_key=True),
    Column("name", String(500), unique=True, nullable=False),
    Column("artifact_location", String(1024), nullable=False),
    Column("lifecycle_stage", String(16), nullable=False),
    Column("creation_time", BigInteger, nullable=False),
    Column("last_update_time", BigInteger, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("creator", String(255)),
    sqlite_autoincrement=True,
)

runs = Table(
    "mlflow_runs",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("experiment_id", Integer, nullable=False, index=True),
    Column("run_name", String(500), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("status", String(16), nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("artifact_uri", String(1024), nullable=False),
    Column("lifecycle_stage", String(16), nullable=False),
    Column("params", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("models", JSON),  # the logged models that it read and made; None: neither
)

# Every value that was logged, in the order in which it came. `text` is NaN or an infinity, which SQL cannot hold.
metrics = Table(
    "mlflow_metrics",
    metadata,
    Column("metric_id", Integer, primary_key=True),
    Column("run_id", String(32), nullable=False),
    Column("key", String(250), nullable=False),
    Column("value", Float),
    Column("text", Text),
    Column("timestamp", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("model_id", String(64), index=True),  # the logged model that it tells of, if any
    Column("dataset_name", String(500)),
    Column("dataset_digest", String(64)),
    Index("mlflow_metrics_of_run", "run_id", "key"),
    sqlite_autoincrement=True,
)

# Models as MLflow 3 logs them: their files lie below `artifact_uri`.
logged_models = Table(
    "mlflow_logged_models",
    metadata,
    Column("model_id", String(64), primary_key=True),
    Column("experiment_id", Integer, nullable=False, index=True),
    Column("name", String(500), nullable=False),
    Column("model_type", String(250), nullable=False),
    Column("source_run_id", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("artifact_uri", String(1024), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("creator", String(255), nullable=False),
    Column("params", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
)
