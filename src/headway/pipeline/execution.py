"""The steps of a run, each of which can be done again: killed within one, a run takes that one up from its beginning
and finds what it had done already.

What a step leaves for the next ones is the run's memory, in the database. What it did outside (a version taken, a
release stored, an environment changed) is found again there: a version by its commit, a release by its version, a
deployment by the ledger, a gate's job run by its idempotency token. So no effect comes twice.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from headway.core.errors import HeadwayError
from headway.delivery.toolchain import without_secrets
from headway.pipeline.delivering import Delivering
from headway.pipeline.making import Making
from headway.pipeline.model import RunState
from headway.pipeline.recording import Recorder
from headway.pipeline.work import WORKING, Hands, Stopped, Work
from headway.pipeline.workplace import Watch

logger = logging.getLogger(__name__)
# The states in which a run's first steps may find it; the others find it at work.
FIRST: dict[str, tuple[RunState, ...]] = {"begin": ("waiting", "making"), "begin_delivery": ("ready", "delivering")}
# After these a run has ended, or its next workflow has it.
_LAST = ("hand_over", "finish", "finish_delivery", "rollback")


class Executor:
    """Does the steps. `stopping` is set when the process is about to end."""

    def __init__(self, hands: Hands, stopping: threading.Event) -> None:
        self._hands, self._service, self._stopping = hands, hands.service, stopping
        making, delivering = Making(hands), Delivering(hands)
        acts: tuple[Callable[..., Any], ...] = (
            making.begin,
            making.checkout,
            making.test,
            making.version,
            making.build,
            making.hand_over,
            making.preview,
            making.finish,
            delivering.begin_delivery,
            delivering.admit,
            delivering.bring,
            delivering.approval,
            delivering.apply,
            delivering.gate,
            delivering.finish_delivery,
            delivering.rollback,
        )
        self._steps = {act.__name__: act for act in acts}
        self._active = 0
        self.parked = 0
        self._changed = threading.Condition()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no step is being done; False where one still is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._active == 0, seconds)

    def perform(self, name: str, run_id: int, attempt: int, environment: str = "") -> Any:
        """Do a step; what it answers, or None where the run does not go on. Never raises what a run can suffer from:
        that ends the run with a state that says so."""
        with self._changed:
            self._active += 1
        try:
            self._park_when_stopping()
            return self._perform(name, run_id, attempt, environment)
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _perform(self, name: str, run_id: int, attempt: int, environment: str) -> Any:
        run = self._service.runs.get(run_id)
        if run.attempt != attempt or run.state not in FIRST.get(name, WORKING):
            return None
        try:
            app = self._service.app(run.app)
        except HeadwayError as error:
            self._hands.end(run, None, "cancelled", error)
            return None
        folder = self._hands.place.of_run(run_id)
        try:
            with ExitStack() as stack:
                watch = stack.enter_context(
                    Watch(
                        folder,
                        self._hands.place.settings,
                        lambda: self._service.runs.get(run_id).cancel_requested,
                        self._stopping,
                    )
                )
                emit = stack.enter_context(Recorder(self._service.runs, run, self._hands.mask))
                variables = self._hands.place.variables if run.trusted else without_secrets(self._hands.place.variables)
                work = Work(run, app, folder, self._service.runs.memory(run_id), emit, watch, variables)
                return self._do(name, work, environment)
        except Stopped:
            return None

    def _do(self, name: str, work: Work, environment: str) -> Any:
        act = self._steps[name]
        try:
            self._require_going(work)
            answer = act(work, environment) if environment else act(work)
            self._require_going(work, after=name)
            return answer
        except Stopped:
            raise
        except HeadwayError as error:
            self._park_when_stopping()
            self._failed(work, environment, error)
        except OSError as error:
            self._park_when_stopping()
            self._hands.end(work.run, work.app, "failed", error)
        except Exception as error:  # the edge: a run must not hang because of our bug
            self._park_when_stopping()
            logger.exception("run %s failed in %s", work.run.id, name)
            self._hands.end(work.run, work.app, "failed", error)
        return None

    def _park_when_stopping(self) -> None:
        """The process ends: the step was not done, and must not be recorded as if it had failed."""
        if self._stopping.is_set():
            with self._changed:
                self._active -= 1
                self.parked += 1
                self._changed.notify_all()
            threading.Event().wait()

    def _require_going(self, work: Work, after: str = "") -> None:
        """Between steps: a cancelled run ends here. Its last step has no more to stop."""
        self._park_when_stopping()
        if after in _LAST:
            return
        by = work.watch.by or self._service.runs.get(work.run.id).cancel_requested
        if by:
            self._hands.end(work.run, work.app, "cancelled", None, f"cancelled by {by}")
            raise Stopped

    def _failed(self, work: Work, environment: str, error: HeadwayError) -> None:
        if work.watch.by:
            self._hands.end(work.run, work.app, "cancelled", None, f"cancelled by {work.watch.by}")
        elif error.code == "GATE_FAILED":
            self._hands.end(work.run, work.app, "refused", error)
        else:
            self._hands.end(work.run, work.app, "failed", error)
