"""One step of the line: told when it starts and how it ended, timed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headway.core.errors import HeadwayError
from headway.core.events import Emit, Outcome, StepFinished, StepName, StepStarted


@dataclass
class StepNote:
    """What the step may say of itself before it ends."""

    detail: str = ""
    outcome: Outcome = "ok"


@contextmanager
def step(emit: Emit, name: StepName, what: str, environment: str | None = None) -> Iterator[StepNote]:
    """Emit StepStarted and, at the end, StepFinished with the wall seconds; `failed` where an exception leaves."""
    note = StepNote()
    emit(StepStarted(name, what, environment))
    began = time.monotonic()
    try:
        yield note
    except BaseException as error:
        detail = error.message if isinstance(error, HeadwayError) else type(error).__name__
        emit(StepFinished(name, "failed", time.monotonic() - began, detail, environment))
        raise
    emit(StepFinished(name, note.outcome, time.monotonic() - began, note.detail, environment))
