"""The workspace's settings."""

from dataclasses import dataclass, field
from pathlib import Path

from headway.adapters.spark import default_cache

MAX_BODY_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class WorkspaceSettings:
    """`data` holds everything the workspace keeps. `port` 0 takes a free one. `allow_download` are host names (shell
    patterns) that libraries may be pulled from although their address is private. `standby` drivers are kept warm."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8470
    allow_download: tuple[str, ...] = ()
    standby: int = 1
    cache: Path = field(default_factory=default_cache)

    @property
    def dbfs(self) -> Path:
        """The folder behind `dbfs:/`."""
        return self.data / "dbfs"

    @property
    def files(self) -> Path:
        """The folder behind `/Workspace`."""
        return self.data / "workspace"

    @property
    def volumes(self) -> Path:
        """The folder behind `/Volumes`."""
        return self.data / "volumes"

    @property
    def metastore(self) -> Path:
        """The folder of catalogs, schemas and tables, which drivers write too."""
        return self.data / "metastore"
