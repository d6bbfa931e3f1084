"""Workspace libraries and their types."""

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


def type_of(name: str) -> str | None:
    """The library type by a file's ending."""
    for ending, lib_type in TYPES.items():
        if name.lower().endswith(ending):
            return lib_type
    return None
