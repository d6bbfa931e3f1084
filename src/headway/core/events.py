"""What happens on the line, as a closed union of small values. Terminal, JSON lines and journal are views of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

StepName = Literal[
    "checkout",
    "test",
    "version",
    "build",
    "store",
    "verify",
    "publish",
    "copy",
    "plan",
    "apply",
    "gate",
    "promote",
    "rollback",
]
Outcome = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class StepStarted:
    """A step of the line begins. `environment` is None for the steps that belong to no environment."""

    step: StepName
    what: str
    environment: str | None = None


@dataclass(frozen=True)
class StepFinished:
    """A step ended. `seconds` is wall time; `detail` one line for a person."""

    step: StepName
    outcome: Outcome
    seconds: float
    detail: str = ""
    environment: str | None = None


@dataclass(frozen=True)
class Progress:
    """Something worth one line within a step."""

    message: str


@dataclass(frozen=True)
class LogLine:
    """One line that a subprocess or a run printed. `source` says which."""

    source: str
    text: str


Event = StepStarted | StepFinished | Progress | LogLine
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The `Emit` of somebody who does not listen."""
