"""Applications and their environments: what stands where, how it got there, and the forms that change it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from headway.core.errors import HeadwayError
from headway.pipeline.api import app_from
from headway.pipeline.drift import DriftWatch
from headway.pipeline.model import App, EnvironmentView, Run, RunState
from headway.pipeline.service import PipelineService
from headway.pipeline.triggering import Triggers
from headway.web.door import Goto, Page, Visit

WAITING: tuple[RunState, ...] = ("awaiting_approval",)
BUSY: tuple[RunState, ...] = ("making", "delivering", "waiting", "ready")
KEPT_SECONDS = 1.0
_AT_ONCE = 8


@dataclass(frozen=True)
class Row:
    """An application on the board. `newest` is its newest run, `problem` why its environments cannot be shown."""

    app: App
    newest: Run | None
    environments: tuple[EnvironmentView, ...]
    problem: str


class Overview:
    """The pages of applications."""

    def __init__(self, service: PipelineService, triggers: Triggers, drift: DriftWatch, url: Callable[[], str]) -> None:
        self._service, self._triggers, self._drift, self._url = service, triggers, drift, url
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="board")
        self._lock = threading.Lock()
        self._kept: tuple[float, list[Row]] = (0.0, [])

    # --- the board

    def rows(self) -> list[Row]:
        """Every application. What was read is good for a second, however many pages are open."""
        with self._lock:
            at, rows = self._kept
            if not at or time.monotonic() - at > KEPT_SECONDS:
                rows = list(self._pool.map(self._row, self._service.list_apps()))
                self._kept = (time.monotonic(), rows)
            return rows

    def _row(self, app: App) -> Row:
        newest = next(iter(self._service.list_runs(app.name, limit=1)), None)
        try:
            return Row(app, newest, tuple(self._environments(app.name)), app.problem)
        except HeadwayError as error:
            return Row(app, newest, (), error.message)

    def _environments(self, name: str) -> list[EnvironmentView]:
        """With the drift that was found last."""
        return self._drift.shown(name, self._service.environments(name))

    def board_values(self) -> dict[str, object]:
        """What the board shows."""
        rows = self.rows()
        names: list[str] = []
        for row in rows:
            names += [view.name for view in row.environments if view.name not in names]
        waiting = self._service.list_runs(states=WAITING, limit=20)
        busy = self._service.list_runs(states=BUSY, limit=20)
        return {"rows": rows, "names": names, "waiting": waiting, "busy": busy}

    def board(self, visit: Visit) -> Page:
        """Applications × environments."""
        return Page("_board.html" if visit.partial else "board.html", self.board_values())

    # --- one application

    def app(self, visit: Visit) -> Page:
        """An application: environments, releases, runs."""
        app = self._service.app(visit.path["app"])
        problem, views, releases = app.problem, list[EnvironmentView](), []
        try:
            views = self._environments(app.name)
            releases = self._service.releases(app.name)[:50]
        except HeadwayError as error:
            problem = error.message
        drift = self._drift.known(app.name)
        values = {
            "app": app,
            "problem": problem,
            "environments": views,
            "releases": releases,
            "runs": self._service.list_runs(app.name, limit=15),
            "checked_ms": drift.at_ms if drift else None,
            "hook": self._hook(app) if visit.who.may("admin") else None,
            "deliveries": self._service.records.deliveries(app.name, limit=10),
        }
        return Page("app.html", values)

    def _hook(self, app: App) -> tuple[str, str] | None:
        """Where the provider sends webhooks to, and what it signs them with."""
        if app.provider == "git":
            return None
        return f"{self._url().rstrip('/')}/hooks/{app.provider}/{app.name}", self._triggers.secret(app)

    def environment(self, visit: Visit) -> Page:
        """An environment: what stands there, what its gates said, its jobs, and what stood there before."""
        app = self._service.app(visit.path["app"])
        name = visit.path["environment"]
        views = self._environments(app.name)
        view = next((view for view in views if view.name == name), None)
        if view is None:
            known = ", ".join(entry.name for entry in views) or "none"
            raise HeadwayError("ENVIRONMENT_UNKNOWN", name=name, known=known)
        records = self._service.deployments(app.name, name)
        return Page("environment.html", {"app": app, "view": view, "records": records[::-1][:50]})

    # --- forms

    def check_drift(self, visit: Visit) -> Goto:
        """Ask the workspaces whether somebody changed a job by hand."""
        name = visit.path["app"]
        found = self._drift.check(name)
        self._forget()
        said = f"{found.count} jobs were changed by hand." if found.count else "No job was changed by hand."
        return Goto(f"/apps/{name}", "Not every workspace could be asked." if found.problems else said)

    def register(self, visit: Visit) -> Goto:
        """A repository of somebody's."""
        form = {key: value.strip() for key, value in visit.form.items() if value.strip()}
        fields: dict[str, Any] = {
            key: form[key] for key in ("name", "repository", "provider", "full_name", "folder") if key in form
        }
        fields["branches"] = form.get("branches", "").replace(",", " ").split()
        poll = visit.number("poll_seconds")
        fields["poll_seconds"] = poll if poll is not None else (60 if fields.get("provider", "git") == "git" else 0)
        made = self._service.add_app(app_from(fields))
        self._forget()
        return Goto(f"/apps/{made.name}", f"{made.name} is registered.")

    def remove(self, visit: Visit) -> Goto:
        """Forget a repository."""
        name = visit.path["app"]
        if visit.form.get("name") != name:
            raise HeadwayError("REQUEST_INVALID", reason=f"to remove {name}, its name has to be typed")
        self._service.remove_app(name)
        self._forget()
        return Goto("/", f"{name} was removed. Its releases and environments stay as they are.")

    def start(self, visit: Visit) -> Goto:
        """Take a commit through the line."""
        reference = visit.form.get("ref", "").strip()
        run = self._service.trigger(visit.path["app"], reference, visit.who.name)
        self._forget()
        return Goto(f"/runs/{run.id}", f"Run {run.id} takes {run.commit[:12]} through the line.")

    def rollback(self, visit: Visit) -> Goto:
        """Bring an environment back."""
        name, environment = visit.path["app"], visit.path["environment"]
        run = self._service.rollback(name, environment, visit.form.get("to") or None, visit.who.name)
        self._forget()
        return Goto(f"/runs/{run.id}", f"Run {run.id} rolls {environment} back.")

    def _forget(self) -> None:
        with self._lock:
            self._kept = (0.0, [])
