"""A build makes exactly one file."""

from collections.abc import Iterable
from pathlib import Path

from headway.core.errors import HeadwayError


def the_only(found: Iterable[Path], artifact: str, pattern: str) -> Path:
    """The one file among `found`. Raise HeadwayError BUILD_NO_ARTIFACT or BUILD_MANY_ARTIFACTS."""
    files = sorted(path for path in found if path.is_file())
    if not files:
        raise HeadwayError("BUILD_NO_ARTIFACT", artifact=artifact, pattern=pattern)
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise HeadwayError("BUILD_MANY_ARTIFACTS", artifact=artifact, count=len(files), pattern=pattern, files=names)
    return files[0]
