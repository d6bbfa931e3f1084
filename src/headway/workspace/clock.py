"""The workspace's clock: milliseconds since 1970, as the Databricks API tells time."""

import time


def now_ms() -> int:
    """The present, in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
