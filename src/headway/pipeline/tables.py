"""The engine's tables. DBOS keeps its own beside them, in the same database (PostgreSQL: in the schema `dbos`)."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

apps = Table(
    "apps",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("repository", Text, nullable=False),
    Column("provider", String(16), nullable=False),
    Column("full_name", String(512), nullable=False, index=True),
    Column("branches", JSON, nullable=False),
    Column("folder", String(1024), nullable=False),
    Column("pull_requests", String(32), nullable=False),
    Column("supersede", Boolean, nullable=False),
    Column("poll_seconds", Float, nullable=False),
    Column("api_base", Text, nullable=False),
    Column("status_token_env", String(255), nullable=False),
    Column("credential_env", String(255), nullable=False),
    Column("webhook_salt", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),
    # The texts of headway.toml and the job files as the newest run of the branch had them.
    Column("configuration", JSON),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("branch", String(1024), nullable=False),
    Column("message", Text, nullable=False),
    Column("author", String(512), nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("triggered_by", String(255), nullable=False),
    Column("state", String(32), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False, index=True),
    Column("started_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("committed_ms", BigInteger),
    Column("reason", Text, nullable=False),
    Column("error_code", String(64), nullable=False),
    Column("hint", Text, nullable=False),
    Column("superseded_by", Integer),
    Column("version", String(64)),
    Column("attempt", Integer, nullable=False),
    Column("pull_request", Integer),
    Column("trusted", Boolean, nullable=False),
    Column("cancel_requested", String(255), nullable=False),
    Column("worker", String(255), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("to_version", String(64), nullable=False),
    # What the steps need of each other: the release, what stood in an environment before. JSON by key.
    Column("memory", JSON, nullable=False),
    Index("runs_of_app", "app", "id"),
    sqlite_autoincrement=True,
)

steps = Table(
    "steps",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("name", String(32), nullable=False),
    Column("environment", String(63)),
    Column("what", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("seconds", Float),
    Column("detail", Text, nullable=False),
    Column("data", JSON, nullable=False),
)

# A step's log in pieces of whole lines, so that any machine can show what another one's worker does.
log_chunks = Table(
    "log_chunks",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("text", Text, nullable=False),
)

tests = Table(
    "tests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", Integer, nullable=False, index=True),
    Column("step", String(63), nullable=False),
    Column("class_name", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("message", Text, nullable=False),
    Column("text", Text, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", Integer, nullable=False, index=True),
    Column("app", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("version", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("asked_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    Column("decided_by", String(255), nullable=False),
    Column("comment", Text, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("run", Integer, nullable=False),
    Column("version", String(64)),
    Column("outcome", String(16), nullable=False),
    Column("committed_ms", BigInteger),
    Column("started_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    # One record of a run's deployment of an environment, however often a step is taken up again.
    Column("attempt", Integer, nullable=False),
    UniqueConstraint("run", "environment", "attempt", "outcome", name="one_record"),
    Index("deployments_of_app", "app", "environment", "ended_ms"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("provider", String(16), primary_key=True),
    Column("delivery", String(255), primary_key=True),
    Column("app", String(63), primary_key=True),
    Column("event", String(63), nullable=False),
    Column("received_ms", BigInteger, nullable=False, index=True),
    Column("outcome", Text, nullable=False),
    Column("run", Integer),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", Integer, nullable=False, index=True),
    Column("event", String(16), nullable=False),
    Column("channel", String(255), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    Column("problem", Text, nullable=False),
    # The same news is told once per channel, however often its step is taken up again.
    Column("dedupe", String(255), nullable=False, unique=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("app", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("events_of_run", "run", "seq"),
    sqlite_autoincrement=True,
)

# Who executes runs. A worker that has not been heard of for a while is dead: another one takes its runs up.
workers = Table(
    "workers",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
)
