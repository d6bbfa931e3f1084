"""The workspace's settings."""

from dataclasses import dataclass, field
from pathlib import Path

from headway.adapters.spark import default_cache

MAX_BODY_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class WorkspaceSettings:
    """`data` holds everything the workspace keeps. `port` 0 takes a free one. `allow_download` are host names (shell
    patterns) that libraries may be pulled from although their address is private. `standby` drivers are kept warm.
    `tls_cert` and `tls_key` are PEM files to serve https with; `tls_self_signed` makes them. `node_types` is a file
    of more node types; that of the data folder where it is None."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8470
    allow_download: tuple[str, ...] = ()
    standby: int = 1
    cache: Path = field(default_factory=default_cache)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    node_types: Path | None = None

    @property
    def node_type_file(self) -> Path | None:
        """The file of more node types, if there is one."""
        own = self.data / "node-types.toml"
        return self.node_types or (own if own.exists() else None)

    @property
    def keys(self) -> Path:
        """The folder of the workspace's own keys."""
        return self.data / "keys"

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
