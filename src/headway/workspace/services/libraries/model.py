"""Workspace libraries and the rules of pulling one by URL."""

import fnmatch
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

TYPES = {".jar": "java-jar", ".whl": "python-wheel", ".egg": "python-egg"}


@dataclass(frozen=True)
class Library:
    """A library of the workspace. `path` is its place in the tree; `file` the `dbfs:/` file behind it."""

    library_id: int
    path: str
    lib_type: str
    file: str
    sha256: str

    @property
    def folder(self) -> str:
        """Where it lies."""
        return self.path.rpartition("/")[0] or "/"

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rpartition("/")[2]

    def to_json(self) -> dict[str, Any]:
        """As the list answers it."""
        return {"id": str(self.library_id), "name": self.name, "folder": self.folder}


def refusal(host: str, addresses: Iterable[str], allowed: Sequence[str]) -> str | None:
    """Why nothing is pulled from `host`, which resolves to `addresses`; None where it may be.

    Private, loopback, link-local and otherwise reserved addresses are refused unless the host is allowed by name.
    """
    if any(fnmatch.fnmatch(host, pattern) for pattern in allowed):
        return None
    for address in addresses:
        if not ipaddress.ip_address(address).is_global:
            return f"{host} is not a public address; this workspace may be told to allow it (--allow-download {host})"
    return None


def type_of(name: str) -> str | None:
    """The library type by a file's ending."""
    for ending, lib_type in TYPES.items():
        if name.lower().endswith(ending):
            return lib_type
    return None
