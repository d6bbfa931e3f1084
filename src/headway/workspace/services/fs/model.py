"""Paths and headers of the Files API. Pure.

Source: Databricks, Files API 2.0; RFC 9110, sections 8.8.2 and 13.1.4.
"""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from headway.workspace.errors import invalid, missing

MOST_BYTES = 5 * 1024**3
MOST_ENTRIES = 1000


def parts(path: str) -> tuple[str, str, str, str]:
    """The catalog, schema and volume that a path names, and the rest of it, which begins with a slash.

    Raise ApiError where it names no volume.
    """
    names = [part for part in path.split("/") if part]
    if not names or names[0] != "Volumes":
        raise invalid(f"Invalid path: {path[:200]} must begin with /Volumes/<catalog>/<schema>/<volume>")
    if len(names) < 4:
        raise missing(f"{path[:200]} is not a directory of a volume.")
    return names[1], names[2], names[3], "/" + "/".join(names[4:])


def http_date(seconds: float) -> str:
    """A time as HTTP headers tell it, in whole seconds."""
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)


def changed_since(header: str | None, seconds: float) -> bool:
    """Whether a file changed at `seconds` is newer than `If-Unmodified-Since` says; a bad date says nothing."""
    if not header:
        return False
    try:
        limit = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return False
    return int(seconds) > limit.replace(tzinfo=limit.tzinfo or UTC).timestamp()
