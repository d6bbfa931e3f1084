"""The workspace's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from headway.adapters.spark import default_cache

MAX_BODY_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class WorkspaceSettings:
    """`data` holds everything the workspace keeps. `port` 0 takes a free one. `allow_download` are host names (shell
    patterns) that libraries may be pulled from although their address is private. `standby` drivers are kept warm.
    `tls_cert` and `tls_key` are PEM files to serve https with; `tls_self_signed` makes them. `node_types` is a file
    of more node types; that of the data folder where it is None.

    `allow_git` are such hosts for git remotes (also those that ssh is spoken to), and folders that file:// reads.
    `allow_webhook` are such hosts for notifications. Mail goes by `smtp_url` (see `mailing.mail_server`) from
    `mail_from`, nowhere where that is empty. Runs are kept for `keep_runs_days` after their end, 0: for ever. With
    `restrict_clusters` only who is entitled with allow-cluster-create makes clusters without a policy."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8470
    allow_download: tuple[str, ...] = ()
    standby: int = 1
    cache: Path = field(default_factory=default_cache)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    allow_webhook: tuple[str, ...] = ()
    smtp_url: str = ""
    smtp_password_file: Path | None = None
    mail_from: str = "headway@localhost"
    keep_runs_days: int = 60
    node_types: Path | None = None
    restrict_clusters: bool = False
    allow_git: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads; paths are absolute."""
        return {found.name: _plain(getattr(self, found.name)) for found in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WorkspaceSettings":
        """Settings that another process wrote."""
        known = {found.name: found.type for found in fields(cls)}
        return cls(**{name: _typed(known[name], value) for name, value in data.items() if name in known})

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


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value.resolve())
    return list(value) if isinstance(value, tuple) else value


def _typed(kind: object, value: Any) -> Any:
    if kind in (Path, Path | None):
        return Path(value) if value is not None else None
    return tuple(value) if isinstance(value, list) else value
