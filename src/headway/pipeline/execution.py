"""The steps of a run, each of which can be done again: killed within one, a run takes that one up from its beginning
and finds what it had done already.

What a step leaves for the next ones is the run's memory, in the database. What it did outside (a version taken, a
release stored, an environment changed) is found again there: a version by its commit, a release by its version, a
deployment by the ledger, a gate's job run by its idempotency token. So no effect comes twice.
"""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from headway.core.errors import HeadwayError
from headway.pipeline.delivering import Delivering
from headway.pipeline.logs import about
from headway.pipeline.making import Making
from headway.pipeline.model import App, Run, RunState
from headway.pipeline.recording import Recorder
from headway.pipeline.runs import RunStore
from headway.pipeline.work import WORKING, Hands, Stopped, Work
from headway.pipeline.workplace import Watch

logger = logging.getLogger(__name__)
# The states in which a run's first steps may find it; the others find it at work.
FIRST: dict[str, tuple[RunState, ...]] = {"begin": ("waiting", "making"), "begin_delivery": ("ready", "delivering")}
# These run the application's own commands.
_COMMANDS = ("test", "build", "preview")
# While these work, the run's folder grows.
_GROWING = ("checkout", *_COMMANDS)
_TOKEN_ENV = re.compile(r"token_env\s*=\s*[\"'](\w+)")
# After these a run has ended, or its next workflow has it.
_LAST = ("hand_over", "finish", "finish_delivery", "rollback")


class _Lost(Exception):
    """The engine lost a run."""


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
        # For looks that are repeated anyway: these do not wait for a database that is away.
        self._glance = RunStore(hands.service.database.patient(0), hands.service.events)
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
            return self._perform_known(name, run_id, attempt, environment)
        except Exception:
            self._park_when_stopping()  # nobody waits for the database any more: the step was not done
            raise
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def lost(self, run: Run, reason: str) -> None:
        """End a run whose workflow ended without it."""
        self._hands.end(run, self._app(run), "failed", _Lost(reason))

    def _app(self, run: Run) -> App | None:
        try:
            return self._service.app(run.app)
        except HeadwayError:
            return None

    def _perform_known(self, name: str, run_id: int, attempt: int, environment: str) -> Any:
        run = self._service.runs.get(run_id)
        with about(run=run_id, app=run.app, attempt=attempt, step=f"{name} {environment}".strip()):
            return self._perform(run, name, attempt, environment)

    def _variables(self, run: Run) -> Mapping[str, str]:
        place = self._hands.place
        return place.variables if run.trusted else place.public(self._service.apps.configuration(run.app))

    def _secrets_of(self, app: App, memory: Mapping[str, Any]) -> list[str]:
        """What no log may show: what stands in the variables that the application names for its tokens, whatever they
        are called."""
        named = _TOKEN_ENV.findall(memory["configuration"]["toml"]) if "configuration" in memory else []
        variables = self._hands.place.variables
        return [variables.get(name, "") for name in (app.credential_env, app.status_token_env, *named)]

    def _perform(self, run: Run, name: str, attempt: int, environment: str) -> Any:
        run_id = run.id
        if run.attempt != attempt or run.state not in FIRST.get(name, WORKING):
            return None
        if run.worker != self._hands.worker and run.state in WORKING:
            self._service.runs.change(run_id, worker=self._hands.worker)  # it was taken up from another one
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
                        folder if name in _GROWING else None,
                        self._hands.place.settings,
                        lambda: self._glance.cancelled_by(run_id),
                        self._stopping,
                        self._hands.place.settings.build_hours * 3600 if name in _COMMANDS else float("inf"),
                    )
                )
                memory = self._service.runs.memory(run_id)
                mask = self._hands.mask.also(self._secrets_of(app, memory))
                emit = stack.enter_context(Recorder(self._service.runs, run, mask))
                if name in _COMMANDS:
                    stack.callback(self._hands.place.end_strays, run_id)
                work = Work(run, app, folder, memory, emit, watch, self._variables(run))
                return self._do(name, work, environment)
        except Stopped:
            return None

    def _do(self, name: str, work: Work, environment: str) -> Any:
        act = self._steps[name]
        try:
            self._require_going(work, before=name)
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

    def _require_going(self, work: Work, *, before: str = "", after: str = "") -> None:
        """Between steps: a cancelled run ends here. Its last step has no more to stop; and between what was applied and
        its gate nothing ends, for the gate takes back what nobody vouches for."""
        self._park_when_stopping()
        if after in (*_LAST, "apply") or before == "gate":
            return
        by = work.watch.by or self._service.runs.cancelled_by(work.run.id)
        if by:
            self._hands.end(work.run, work.app, "cancelled", None, f"cancelled by {by}")
            raise Stopped

    def _failed(self, work: Work, environment: str, error: HeadwayError) -> None:
        by = work.watch.by
        if not by and error.code == "STEP_HALTED":
            by = self._service.runs.cancelled_by(work.run.id)
        if by:
            self._hands.end(work.run, work.app, "cancelled", None, f"cancelled by {by}")
        elif error.code == "GATE_FAILED":
            self._hands.end(work.run, work.app, "refused", error)
        else:
            self._hands.end(work.run, work.app, "failed", error)
