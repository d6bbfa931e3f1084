"""The table of notification destinations."""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from headway.workspace.database import metadata

# `sealed` holds its URL and credentials, or addresses.
destinations = Table(
    "notification_destinations",
    metadata,
    Column("destination_id", String(36), primary_key=True),
    Column("display_name", String(255), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
