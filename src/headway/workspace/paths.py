"""The one place where a path that a client names becomes a local file: never outside its root."""

import os
from pathlib import Path

from headway.workspace.errors import invalid


def confined(root: Path, path: str) -> Path:
    """The local file of an absolute client path below `root`. Raise ApiError where it leads outside, also by a link."""
    if "\0" in path:
        raise invalid("Invalid path: it has a NUL character")
    if not path.startswith("/"):
        raise invalid(f"Path must be absolute: {path}")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise invalid(f"Invalid path: {path} has a relative part (..)")
    if any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts):
        raise invalid("Invalid path: a name in it is longer than 255 bytes")
    base = os.path.realpath(root)
    local = Path(base, *parts)
    real = os.path.realpath(local)
    if real != base and not real.startswith(base + os.sep):
        raise invalid(f"Invalid path: {path} leads outside the workspace")
    return local


def dbfs_path(path: str) -> str:
    """A DBFS path without its scheme: `dbfs:/x` and `/x` both give `/x`."""
    if path.startswith("dbfs:"):
        path = path[len("dbfs:") :]
    return "/" + path.lstrip("/")


def normalised(path: str) -> str:
    """A path with single slashes and none at its end; `/` stays."""
    return "/" + "/".join(part for part in path.split("/") if part)
