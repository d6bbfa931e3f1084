"""What happens on the line, as a closed union of small values. Terminal, JSON lines and journal are views of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

StepName = Literal[
    "checkout",
    "test",
    "version",
    "build",
    "store",
    "verify",
    "compatibility",
    "publish",
    "copy",
    "plan",
    "approval",
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


@dataclass(frozen=True)
class CaseResult:
    """A case of JUnit XML. `message` is the first line of what a failing one said, `text` all of it."""

    class_name: str
    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""
    text: str = ""


@dataclass(frozen=True)
class TestsReported:
    """What a test step's JUnit XML holds."""

    __test__ = False  # not a pytest class

    step: str
    cases: tuple[CaseResult, ...]


@dataclass(frozen=True)
class Planned:
    """A plan was made: `data` as `Plan.to_json` tells it, `text` as a person reads it."""

    data: Mapping[str, Any]
    text: str


Event = StepStarted | StepFinished | Progress | LogLine | TestsReported | Planned
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The `Emit` of somebody who does not listen."""
