"""Whether somebody changed by hand what stands in an environment: asked now and then, and when somebody wants to know.

What was found is kept in memory and holds for the state that it was found of: after a deployment it is unknown again.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headway.core.errors import HeadwayError
from headway.pipeline.database import now_ms
from headway.pipeline.model import EnvironmentView
from headway.pipeline.service import PipelineService

logger = logging.getLogger(__name__)
_LOOK_SECONDS = 10.0


@dataclass(frozen=True)
class Drift:
    """What was found at a moment: by environment and its state's serial number the jobs that drifted, None where the
    workspace could not be asked; by environment why not."""

    at_ms: int
    jobs: dict[tuple[str, int], tuple[str, ...] | None]
    problems: dict[str, str]

    @property
    def count(self) -> int:
        """How many jobs drifted."""
        return sum(len(found or ()) for found in self.jobs.values())


class DriftWatch:
    """Asks the workspaces of every application each `minutes`, and when a run of it has ended, in a thread of its own;
    0: only when somebody asks."""

    def __init__(self, service: PipelineService, minutes: float) -> None:
        self._service, self._seconds = service, minutes * 60
        self._found: dict[str, Drift] = {}
        self._asked: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        if self._seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def known(self, app: str) -> Drift | None:
        """What was found last; None where nobody asked since this process began."""
        return self._found.get(app)

    def shown(self, app: str, views: Sequence[EnvironmentView]) -> list[EnvironmentView]:
        """Environments with the drift that was found last, where what it was found of stands still."""
        known = self._found.get(app)
        if known is None:
            return list(views)
        return [
            replace(view, drifted=known.jobs[_key(view)], problem=known.problems.get(view.name, ""))
            if _key(view) in known.jobs
            else view
            for view in views
        ]

    def counts(self) -> Iterator[tuple[str, str, int]]:
        """By application and environment, how many jobs drifted, where that is known."""
        for app, found in sorted(self._found.items()):
            for (environment, _), jobs in found.jobs.items():
                if jobs is not None:
                    yield app, environment, len(jobs)

    def check(self, app: str) -> Drift:
        """Ask an application's workspaces now. Raise HeadwayError as `PipelineService.environments` does."""
        self._asked[app] = time.monotonic()
        views = self._service.environments(app, drift=True)
        problems = {view.name: view.problem for view in views if view.problem}
        found = Drift(now_ms(), {_key(view): view.drifted for view in views}, problems)
        if views:
            self._found[app] = found
        else:
            del self._asked[app]  # before its first run there is nothing to ask for
        return found

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                apps = [app.name for app in self._service.list_apps()]
                due = [app for app in apps if self._due(app)]
            except HeadwayError as error:
                logger.warning("nobody looks for drift now: %s", error.message)
                continue
            for gone in set(self._found) - set(apps):
                del self._found[gone]
            for app in due:
                if not self._ended.is_set():
                    self._look_at(app)

    def _due(self, app: str) -> bool:
        asked, found = self._asked.get(app), self._found.get(app)
        if asked is None or time.monotonic() - asked >= self._seconds:
            return True
        newest = next(iter(self._service.list_runs(app, limit=1)), None) if found is not None else None
        return newest is not None and found is not None and newest.ended and (newest.ended_ms or 0) >= found.at_ms

    def _look_at(self, app: str) -> None:
        former = self._found.get(app)
        try:
            found = self.check(app)
        except HeadwayError as error:
            logger.warning("%s cannot be looked at for drift: %s", app, error.message)
            return
        except Exception:  # one application must not end the looking at the others
            logger.exception("%s could not be looked at for drift", app)
            return
        if found.count and (former is None or former.jobs != found.jobs):
            told = (f"{name}: {', '.join(jobs)}" for (name, _), jobs in found.jobs.items() if jobs)
            logger.warning("jobs of %s were changed by hand: %s", app, "; ".join(told))


def _key(view: EnvironmentView) -> tuple[str, int]:
    return view.name, view.state.serial
