"""What the steps of a run share: the run, its folder and memory, what it says, and how it ends."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.adapters.clock import Clock, SystemClock
from headway.adapters.stores import open_store
from headway.core.application import Application
from headway.core.configuration import Files
from headway.core.errors import ConfigurationError, HeadwayError
from headway.core.events import StepFinished, StepName, StepStarted
from headway.delivery.configuration import application_of
from headway.delivery.line import Line
from headway.pipeline.model import App, Run, RunState
from headway.pipeline.recording import Mask, Recorder
from headway.pipeline.service import PipelineService
from headway.pipeline.workplace import Watch, Workplace

logger = logging.getLogger(__name__)
WORKING: tuple[RunState, ...] = ("making", "delivering")
Told = Callable[[Run, App], None]


class Stopped(Exception):
    """The run has no more to do, and its state says so already."""


@dataclass(frozen=True)
class Work:
    """What a step has at hand."""

    run: Run
    app: App
    folder: Path
    memory: dict[str, Any]
    emit: Recorder
    watch: Watch
    variables: Mapping[str, str]

    def application(self) -> Application:
        """The application as the run's commit describes it."""
        texts = self.memory["configuration"]
        return application_of(Files(texts["toml"], texts["jobs"]), self.variables)

    def line(self, clock: Clock | None = None) -> Line:
        """Its line."""
        app = self.application()
        return Line(app, open_store(app.store), self.variables, clock or SystemClock(), self.emit)

    def skip(self, name: StepName, detail: str) -> None:
        """A step that has nothing to do."""
        self.emit(StepStarted(name, detail))
        self.emit(StepFinished(name, "skipped", 0.0, detail))


@dataclass(frozen=True)
class Hands:
    """What every step works with. `told` is called when a run's state changed, for notifications and statuses."""

    service: PipelineService
    place: Workplace
    worker: str
    dispatch: Callable[[Run], None]
    told: Told
    mask: Mask

    def end(self, run: Run, app: App | None, state: RunState, error: Exception | None = None, reason: str = "") -> None:
        """End a run, with what ended it. Nothing happens where it has ended already, or somebody took it up again. Its
        folder goes first: where the disk is full, the database needs the room."""
        code = hint = ""
        if isinstance(error, HeadwayError):
            code, hint, reason = error.code, error.hint, error.message
            if isinstance(error, ConfigurationError):
                reason += ": " + "; ".join(str(entry) for entry in error.diagnostics[:5])
        elif error is not None:
            code = "OS_ERROR" if isinstance(error, OSError) else "INTERNAL"
            reason = f"{type(error).__name__}: {error}"
        told = {"reason": self.mask(reason), "error_code": code, "hint": self.mask(hint)}
        if self.service.runs.get(run.id).attempt == run.attempt:
            self.place.remove(run.id)
        if self.service.runs.move(run.id, (*WORKING, "waiting", "ready"), state, of_attempt=run.attempt, **told):
            logger.info("run %s of %s %s: %s", run.id, run.app, state, told["reason"] or "no remarks")
            if app is not None:
                self.told(self.service.run(run.id), app)
