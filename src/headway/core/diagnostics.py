"""What is wrong with a configuration, where, and what to do about it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, order=True)
class Location:
    """A place in a file. `line` counts from 1; None where the whole file is meant."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Diagnostic:
    """One problem. `path` is the dotted field, as `environments.stage.host`; empty for the whole file."""

    location: Location
    path: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        where = f"{self.location}: {self.path}: " if self.path else f"{self.location}: "
        return where + self.message + (f" ({self.hint})" if self.hint else "")
