"""Runs: the list, a run's page with its live steps and log, and what people do to a run."""

from collections.abc import Callable, Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from headway.core.errors import HeadwayError
from headway.pipeline.database import now_ms
from headway.pipeline.model import RUN_STATES, Identity, Run, RunState, Step
from headway.pipeline.service import PipelineService
from headway.web.door import COOKIE, HEADERS, LIVE_HEADERS, Door, Goto, Page, Visit, with_query
from headway.web.live import Change, Hub, stream
from headway.web.planview import PlanView, view_of

PAGE = 50
LIVE_LINES = 400
STEP_LINES = 2000
PIECES = 16
LEFT_OUT = "… the whole log has what is left out here …"


class Runs:
    """The pages of runs."""

    def __init__(self, service: PipelineService, door: Door, hub: Hub) -> None:
        self._service, self._door, self._hub = service, door, hub

    # --- reading

    def index(self, visit: Visit) -> Page:
        """Runs, the newest first."""
        app, state = visit.query.get("app") or None, visit.query.get("state")
        states: tuple[RunState, ...] | None = tuple(s for s in RUN_STATES if s == state) or None
        found = self._service.list_runs(app, states=states, before=visit.number("before"), limit=PAGE + 1)
        more = found[PAGE - 1].id if len(found) > PAGE else None
        values = {
            "runs": found[:PAGE],
            "apps": self._service.list_apps(),
            "app": app or "",
            "state": state or "",
            "states": RUN_STATES,
            "older": with_query("/runs", app=app, state=state, before=more) if more else "",
        }
        return Page("runs.html", values)

    def run(self, visit: Visit) -> Page:
        """A run."""
        return Page("run.html", self.values(visit.path["run"], visit.who))

    def values(self, run_id: int, who: Identity) -> dict[str, Any]:
        """What the page of a run shows."""
        run = self._service.run(run_id)
        steps = self._service.steps(run_id)
        cases = self._service.tests(run_id)
        opened = _opened(run, steps)
        counts = {name: sum(c.outcome == name for c in cases) for name in ("passed", "failed", "skipped")}
        return {
            "run": run,
            "steps": steps,
            "opened": opened.number if opened else 0,
            "body": self._body(opened) if opened else {},
            "failing": [case for case in cases if case.outcome == "failed"],
            "counts": counts,
            "live": _running(steps) if not run.ended else None,
            "log": self._live_log(run, steps),
            "seconds": _seconds(run),
            "may": {role: who.may(role) for role in ("developer", "approver")},
            **self._decision(run),
        }

    def _decision(self, run: Run) -> dict[str, Any]:
        asked = self._service.approvals(run.id)
        pending = next((entry for entry in asked if entry.state == "pending"), None)
        plan = view_of(pending.plan) if pending else None
        return {"approval": pending, "plan": plan, "decided": [entry for entry in asked if entry.state != "pending"]}

    def _live_log(self, run: Run, steps: list[Step]) -> tuple[str, ...]:
        step = _running(steps)
        if run.ended or step is None:
            return ()
        return self._service.runs.log_tail(run.id, step.number).lines[-LIVE_LINES:]

    def _body(self, step: Step) -> dict[str, Any]:
        """What a step holds: its log's end, its plan, its evidence."""
        page = self._service.runs.log_tail(step.run, step.number, 40)
        plan: PlanView | None = view_of(step.data.get("plan"))
        return {
            "step": step,
            "lines": page.lines[-STEP_LINES:],
            "cut": len(page.lines) > STEP_LINES,
            "plan": plan,
            "plan_text": "" if plan else step.data.get("text", ""),
            "evidence": step.data.get("evidence") or [],
            "host": self._host(step) if step.data.get("evidence") else "",
        }

    def _host(self, step: Step) -> str:
        """The workspace that a step's environment is in; empty where nobody knows any more."""
        try:
            line = self._service.line(self._service.run(step.run).app)
        except HeadwayError:
            return ""
        environment = line.app.environments.get(step.environment or "") if line is not None else None
        return environment.host if environment is not None else ""

    def step(self, visit: Visit) -> Page:
        """One step, by itself or as a part of the run's page."""
        run = self._service.run(visit.path["run"])
        step = self._step(run.id, visit.path["step"])
        return Page("_step.html" if visit.partial else "step.html", {"run": run, **self._body(step)})

    def _step(self, run_id: int, number: int) -> Step:
        found = next((step for step in self._service.steps(run_id) if step.number == number), None)
        if found is None:
            raise HeadwayError("STEP_UNKNOWN", run=run_id, step=number)
        return found

    def log(self, visit: Visit) -> Response:
        """A step's whole log as text."""
        run_id, number = visit.path["run"], visit.path["step"]
        self._step(run_id, number)
        headers = {"Content-Disposition": f'inline; filename="run-{run_id}-step-{number}.txt"'}
        return StreamingResponse(self._all_lines(run_id, number), media_type="text/plain", headers=headers)

    def _all_lines(self, run_id: int, number: int) -> Iterator[str]:
        offset = 0
        while True:
            page = self._service.tail_log(run_id, number, offset)
            if page.next == offset:
                return
            yield "".join(f"{line}\n" for line in page.lines)
            offset = page.next

    # --- what people do

    def cancel(self, visit: Visit) -> Goto:
        """End it."""
        run = self._service.cancel(visit.path["run"], visit.who.name)
        said = "Cancelled." if run.ended else "It ends after the step that it is at."
        return Goto(f"/runs/{run.id}", said)

    def retry(self, visit: Visit) -> Goto:
        """Take it up again."""
        run = self._service.retry(visit.path["run"], visit.who.name, visit.number("from_step"))
        return Goto(f"/runs/{run.id}", "Taken up again.")

    def approve(self, visit: Visit) -> Goto:
        """Accept the plan that the page showed, by its digest."""
        return self._decide(visit, self._service.approve)

    def reject(self, visit: Visit) -> Goto:
        """Refuse it."""
        return self._decide(visit, self._service.reject)

    def _decide(self, visit: Visit, act: Callable[[int, str, str, str], Any]) -> Goto:
        run_id = visit.path["run"]
        decided = act(run_id, visit.form.get("digest", ""), visit.who.name, visit.form.get("comment", "").strip()[:500])
        word = "accepted" if decided.state == "approved" else "rejected"
        return Goto(f"/runs/{run_id}", f"You {word} the plan for {decided.environment}.")

    # --- live

    async def live(self, request: Request) -> Response:
        """A run's page as it changes."""
        session = self._door.sessions.open(request.cookies.get(COOKIE))
        who = await run_in_threadpool(self._door.access.identity, session.token) if session else None
        if session is None or who is None:
            return Response(status_code=401, headers=HEADERS)
        try:
            run = await run_in_threadpool(self._service.run, request.path_params["run"])
        except HeadwayError as error:
            return await self._door.failed(request, error, who, session)
        follower = Follower(self, self._door, run.id, who, self._door.sessions.form_token(session.id))

        def render(changes: set[Change]) -> list[tuple[str, str]]:
            """As long as the visitor may look: a token may be revoked while a page is open."""
            known = self._door.access.identity(session.token)
            return follower.render(changes) if known == who else [("ended", "")]

        body = stream(self._hub, request, render, run.id)
        return StreamingResponse(body, media_type="text/event-stream", headers=LIVE_HEADERS)

    def lines_since(self, run_id: int, step: int, offset: int) -> tuple[tuple[str, ...], int]:
        """What a step printed since, at most as much as a page bears at once, and where to go on."""
        page = self._service.runs.log(run_id, step, offset, PIECES)
        if not page.lines:
            return (), offset
        newest = self._service.runs.log_tail(run_id, step)
        if newest.next > page.next:  # far behind: go to the end
            return (LEFT_OUT, *newest.lines[-LIVE_LINES:]), newest.next
        if len(page.lines) > LIVE_LINES:
            return (LEFT_OUT, *page.lines[-LIVE_LINES:]), page.next
        return page.lines, page.next

    def tail(self, run_id: int, step: int) -> tuple[tuple[str, ...], int]:
        """The end of a step's log, and where to go on."""
        page = self._service.runs.log_tail(run_id, step)
        return page.lines[-LIVE_LINES:], page.next


class Follower:
    """What one open page of a run knows already, and so what it has to be sent."""

    def __init__(self, runs: Runs, door: Door, run_id: int, who: Identity, form_token: str) -> None:
        self._runs, self._door, self._run, self._who, self._form_token = runs, door, run_id, who, form_token
        self._known: set[int] | None = None
        self._log: tuple[int, int] | None = None

    def render(self, changes: set[Change]) -> list[tuple[str, str]]:
        """Messages of what changed; an empty set is for everything."""
        kinds = {kind for kind, _, _ in changes}
        if kinds == {"log"} and self._log is not None and {step for _, _, step in changes} == {self._log[0]}:
            more = self._more(*self._log)
            return [("update", more)] if more else []
        values = self._runs.values(self._run, self._who)
        if values["run"].ended:
            return [("update", self._part("_run_said.html", values)), ("ended", "")]
        parts = []
        if not changes or kinds & {"run", "step", "approval"}:
            parts.append(self._part("_run_head.html", values))
        if not changes or kinds & {"run", "approval"}:
            parts.append(self._part("_run_decision.html", values))
            parts.append(self._part("_run_said.html", values))
        if not changes or "step" in kinds:
            parts += self._steps(values, {step for kind, _, step in changes if kind == "step"})
        parts.append(self._live(values))
        return [("update", "\n".join(part for part in parts if part))]

    def _steps(self, values: dict[str, Any], changed: set[int]) -> list[str]:
        steps: list[Step] = values["steps"]
        if self._known is None:
            self._known = {step.number for step in steps}
            return [self._part("_run_steps.html", values)]
        parts = []
        for step in steps:
            if step.number not in self._known:
                self._known.add(step.number)
                parts.append(self._part("_step_new.html", {**values, "step": step}))
            elif step.number in changed:
                parts.append(self._part("_step_line.html", {**values, "step": step}))
        return parts

    def _live(self, values: dict[str, Any]) -> str:
        step: Step | None = values["live"]
        if step is None:
            new = self._log is not None
            self._log = None
            return self._part("_run_live.html", values) if new else ""
        if self._log is None or self._log[0] != step.number:
            lines, offset = self._runs.tail(self._run, step.number)
            self._log = (step.number, offset)
            return self._part("_run_live.html", {**values, "log": lines})
        return self._more(*self._log)

    def _more(self, step: int, offset: int) -> str:
        """What a step printed since."""
        lines, offset = self._runs.lines_since(self._run, step, offset)
        self._log = (step, offset)
        return self._part("_run_lines.html", {"lines": lines}) if lines else ""

    def _part(self, template: str, values: dict[str, Any]) -> str:
        return self._door.rendering.render(template, {**values, "oob": True, "form_token": self._form_token})


def _running(steps: list[Step]) -> Step | None:
    return steps[-1] if steps and steps[-1].state == "running" else None


def _opened(run: Run, steps: list[Step]) -> Step | None:
    """The step that a visitor wants to see first: the one that ended a run that did not go well."""
    if run.state not in ("failed", "refused"):
        return None
    return next((step for step in reversed(steps) if step.state == "failed"), None)


def _seconds(run: Run) -> float | None:
    if run.started_ms is None:
        return None
    return max(0, (run.ended_ms or now_ms()) - run.started_ms) / 1000
