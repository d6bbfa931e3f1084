"""Objects of the workspace tree and how they lie on disk: a notebook is a file with its language's ending."""

import re
from dataclasses import dataclass
from typing import Any

ENDINGS = {"PYTHON": ".py", "SQL": ".sql", "SCALA": ".scala", "R": ".r"}
LANGUAGES = {ending: language for language, ending in ENDINGS.items()}
_HEADER = re.compile(rb"^(#|--|//) Databricks notebook source\s*(\n|$)")


@dataclass(frozen=True)
class WorkspaceObject:
    """`path` as clients name it (a notebook's has no ending). Times in milliseconds since 1970."""

    object_id: int
    path: str
    object_type: str
    language: str | None
    created_ms: int
    modified_ms: int
    size: int | None = None
    creator: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the API answers it."""
        data: dict[str, Any] = {
            "object_id": self.object_id,
            "path": self.path,
            "object_type": self.object_type,
            "created_at": self.created_ms,
            "modified_at": self.modified_ms,
            "resource_id": str(self.object_id),
            **({"created_by": self.creator} if self.creator else {}),
        }
        if self.language:
            data["language"] = self.language
        if self.size is not None:
            data["size"] = self.size
        return data


def is_notebook_source(content: bytes) -> bool:
    """Whether a file is a notebook in Databricks source format."""
    return _HEADER.match(content) is not None


def ending_of(path: str) -> str:
    """The ending of a path if it is a notebook language's, else nothing."""
    for ending in LANGUAGES:
        if path.lower().endswith(ending):
            return path[-len(ending) :]
    return ""
