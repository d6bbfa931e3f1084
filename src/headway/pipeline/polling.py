"""Looking at remotes that cannot call us: now and then, with some jitter, so that they do not all come at once.

A head that is not the commit of its branch's newest run sets one off.
"""

import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from headway.adapters.gitmirror import Mirror
from headway.core.errors import HeadwayError
from headway.pipeline.model import App
from headway.pipeline.service import MirrorOf, PipelineService, wanted_branch
from headway.pipeline.triggering import Triggers

logger = logging.getLogger(__name__)
_JITTER = 0.2
_LOOK_SECONDS = 0.5
_SLOWEST = 16
_AFTER_BUG_SECONDS = 60.0
# Remotes that are looked at side by side: one that does not answer keeps nobody waiting.
_AT_ONCE = 4


class Polling:
    """Polls every application that wants it, in a thread of its own. A repository that cannot be reached is asked more
    and more rarely, and its application says so."""

    def __init__(
        self, service: PipelineService, triggers: Triggers, mirror: MirrorOf, dice: random.Random | None = None
    ) -> None:
        self._service, self._triggers, self._mirror = service, triggers, mirror
        self._dice = dice or random.Random()  # noqa: S311  (jitter, not a secret)
        self._due: dict[str, float] = {}
        self._slower: dict[str, int] = {}
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="polling")
        self._thread = threading.Thread(target=self._run, name="polling", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                apps = [app for app in self._service.list_apps() if app.poll_seconds > 0]
            except HeadwayError as error:
                logger.warning("polling waits: %s", error.message)
                continue
            for app in apps:
                if time.monotonic() >= self._due.get(app.name, 0):
                    self._due[app.name] = float("inf")  # until it has been looked at
                    self._pool.submit(self._look_at, app)

    def _look_at(self, app: App) -> None:
        try:
            if not self._ended.is_set():
                self.look(app)
        except Exception:  # one application must not end the polling of the others
            logger.exception("%s could not be polled", app.name)
            self._due[app.name] = time.monotonic() + max(app.poll_seconds, _AFTER_BUG_SECONDS)

    def look(self, app: App) -> list[int]:
        """Look at one application's remote; the runs that this set off."""
        found: list[int] = []
        try:
            mirror: Mirror = self._mirror(app)
            for branch, commit in mirror.heads().items():
                if wanted_branch(app, branch):
                    run = self._triggers.found(app, branch, commit)
                    if run is not None:
                        logger.info("polling found commit %s on %s of %s: run %s", commit, branch, app.name, run.id)
                        found.append(run.id)
            self._slower.pop(app.name, None)
            self._service.apps.set_problem(app.name, "")
        except HeadwayError as error:
            self._slower[app.name] = min(_SLOWEST, 2 * self._slower.get(app.name, 1))
            logger.warning("%s cannot be polled: %s", app.name, error.message)
            if error.code.startswith("REMOTE_"):
                self._service.apps.set_problem(app.name, error.message)
        factor = self._slower.get(app.name, 1) * (1 + self._dice.uniform(-_JITTER, _JITTER))
        self._due[app.name] = time.monotonic() + app.poll_seconds * factor
        return found
