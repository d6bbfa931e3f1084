"""What the DBFS API tells of a file, and its limits."""

from dataclasses import dataclass
from typing import Any

MAX_READ_BYTES = 1024 * 1024
MAX_BLOCK_BYTES = 1024 * 1024
MAX_UPLOAD_BYTES = 5 * 1024**3
MAX_OPEN_UPLOADS = 1000
IDLE_UPLOAD_SECONDS = 600  # one that nobody adds to makes room for others


@dataclass(frozen=True)
class FileStatus:
    """`path` begins with a slash; `modified_ms` in milliseconds since 1970."""

    path: str
    is_dir: bool
    size: int
    modified_ms: int

    def to_json(self) -> dict[str, Any]:
        """As the API answers it."""
        return {
            "path": self.path,
            "is_dir": self.is_dir,
            "file_size": self.size,
            "modification_time": self.modified_ms,
        }
