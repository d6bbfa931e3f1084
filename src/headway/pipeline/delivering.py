"""The steps from a release to the environments, and the way back."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from headway.adapters.clock import SystemClock
from headway.adapters.gitmirror import Mirror
from headway.core.errors import HeadwayError
from headway.core.ledger import EnvironmentState
from headway.core.release import Release
from headway.core.rendering import summary
from headway.delivery.deploying import Target, bring, deploy_brought, plan_release
from headway.delivery.line import Line, admit, judge
from headway.delivery.releasing import load_release
from headway.delivery.rolling_back import rollback, take_environment_back
from headway.delivery.steps import step
from headway.pipeline.database import now_ms
from headway.pipeline.model import RunState
from headway.pipeline.preview import planned
from headway.pipeline.work import Hands, Stopped, Work
from headway.pipeline.workplace import Watch

HELD: tuple[RunState, ...] = ("awaiting_approval",)
DELIVERED: tuple[RunState, ...] = ("succeeded",)
_WAIT_SECONDS = 2.0


class Delivering:
    """These steps. Each answers something true where the run goes on."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def begin_delivery(self, work: Work) -> list[list[str]]:
        """The steps that are to be done, each with its environment."""
        run = work.run
        started = run.started_ms or now_ms()
        if not self._hands.service.runs.move(
            run.id, ("ready", "delivering"), "delivering", worker=self._hands.worker, started_ms=started
        ):
            raise Stopped
        if run.kind == "rollback":
            return [["rollback", run.environment]]
        self._require_current(work)
        if work.app.supersede and run.branch:
            for older in self._hands.service.runs.supersede(run, HELD):
                self._hands.told(older, work.app)
        line = work.line()
        done = work.memory.get("done", [])
        plan = []
        for name in line.order():
            if name in done:
                continue
            environment = line.app.environments[name]
            names = ["admit"] if environment.after is not None else []
            names += ["bring", *(["approval"] if environment.approval else []), "apply", "gate"]
            plan += [[entry, name] for entry in names]
        return plan

    def _require_on_branch(self, work: Work) -> Mirror | None:
        """A branch may have been force-pushed since: a commit that it lost goes no further by accident. Answers the
        mirror that was looked into, None where somebody asked for this very commit."""
        run = work.run
        if run.trigger not in ("push", "poll") or not run.branch:
            return None
        mirror = self._hands.place.mirror(work.app, work.watch.supervision)
        mirror.fetch()
        if not mirror.contains(run.branch, run.commit):
            reason = f"branch {run.branch} was force-pushed and has no commit {run.commit[:12]} any more"
            self._hands.end(run, work.app, "superseded", None, reason)
            raise Stopped
        return mirror

    def _require_current(self, work: Work) -> None:
        """Nor is a commit deployed whose webhook came late, or again, when a newer one has been delivered; unless
        somebody asks for it."""
        run, mirror = work.run, self._require_on_branch(work)
        if mirror is None or run.attempt > 1:
            return
        delivered = self._hands.service.runs.newest(run.app, states=DELIVERED, branch=run.branch, limit=20)
        newer = next((r for r in delivered if r.kind == "line" and mirror.contains(run.branch, r.commit)), None)
        if newer is not None and newer.commit != run.commit and mirror.is_ancestor(run.commit, newer.commit):
            reason = f"run {newer.id} has delivered {newer.commit[:12]}, which comes after {run.commit[:12]}"
            self._hands.service.runs.change(run.id, superseded_by=newer.id)
            self._hands.end(run, work.app, "superseded", None, reason)
            raise Stopped

    def _release(self, work: Work, line: Line) -> Release:
        return load_release(line.store, line.app.name, work.memory["release"])

    def admit(self, work: Work, name: str) -> bool:
        self._require_on_branch(work)  # the gates before this may have taken an hour
        line = work.line()
        admit(line, self._release(work, line), name)
        return True

    def bring(self, work: Work, name: str) -> bool:
        line = work.line()
        self._patiently(work, lambda: bring(line.target(name), self._release(work, line)))
        return True

    def approval(self, work: Work, name: str) -> bool:
        """A named person accepts the exact plan, or the run waits without holding a place."""
        line = work.line()
        plan = plan_release(line.target(name), self._release(work, line))
        given = self._hands.service.records.approved(work.run.id, name)
        accepted = given is not None and given.digest == plan.digest
        with step(work.emit, "approval", summary(plan), name) as note:
            work.emit(planned(plan))
            if plan.empty and plan.current == plan.version:
                note.outcome, note.detail, accepted = "skipped", "nothing to change", True
            elif given is not None and accepted:
                note.detail = f"{given.decided_by} accepted plan {plan.digest[:12]}"
            else:
                moved = "what was accepted is not the plan any more; " if given is not None else ""
                note.detail = f"{moved}plan {plan.digest[:12]} waits for somebody to accept it"
                self._hands.service.records.ask(work.run, name, plan)
        if not accepted:
            if self._hands.service.runs.move(work.run.id, "delivering", "awaiting_approval"):
                self._hands.told(self._hands.service.runs.get(work.run.id), work.app)
            raise Stopped
        work.memory[f"accepted:{name}"] = plan.digest
        self._hands.service.runs.remember(work.run.id, f"accepted:{name}", plan.digest)
        return True

    def apply(self, work: Work, name: str) -> bool:
        line = work.line()
        release, target = self._release(work, line), line.target(name)
        version, state = str(release.version), target.ledger.state()
        if state.version != version:
            self._hands.service.runs.remember(work.run.id, f"before:{name}", state.version)
        elif f"before:{name}" not in work.memory:
            earlier = state.before()
            self._hands.service.runs.remember(work.run.id, f"before:{name}", earlier.version if earlier else None)
        began = self._hands.service.runs.remember(work.run.id, f"began:{name}:{work.run.attempt}", now_ms(), once=True)
        try:
            self._deploy(work, target, release)
        except HeadwayError as error:
            if error.code in ("APPLY_FAILED", "ROLLBACK_FAILED"):
                self._record(work, name, "failed", version, began)
            raise
        self._record(work, name, "converged", version, began)
        return True

    def _deploy(self, work: Work, target: Target, release: Release) -> None:
        name = target.environment.name
        while True:
            approved = work.memory.get(f"accepted:{name}") if target.environment.approval else None
            try:
                self._patiently(work, partial(deploy_brought, target, release, approved))
            except HeadwayError as error:
                # What was accepted is not the plan any more: either a killed attempt did it, and nothing is left to
                # accept, or somebody has to look again.
                if error.code != "STATE_MOVED" or approved is None:
                    raise
                self.approval(work, name)
                continue
            return

    def gate(self, work: Work, name: str) -> bool:
        target = work.line(_WatchedClock(work.watch)).target(name)
        version, before = work.memory["release"], EnvironmentState(version=work.memory[f"before:{name}"])
        began = work.memory.get(f"began:{name}:{work.run.attempt}", now_ms())
        if target.ledger.state().version != version:
            # A killed attempt took it back already.
            reason = "its gates refused it, and it was taken back"
            raise HeadwayError("GATE_FAILED", gate="run", environment=name, version=version, reason=reason)
        by = self._hands.service.runs.cancelled_by(work.run.id)
        try:
            if by and target.environment.gates:
                raise HeadwayError("STEP_HALTED", what="gate", reason=f"cancelled by {by}")
            judge(target, before, f"{work.run.id}/{work.run.attempt}")
        except HeadwayError as error:
            if error.code == "STEP_HALTED" and not work.watch.stopping.is_set():
                # Cancelled before its gates had their say: what nobody vouches for does not stay.
                take_environment_back(work.line().target(name), before)
            if error.code in ("GATE_FAILED", "STEP_HALTED") and not work.watch.stopping.is_set():
                self._record(work, name, "refused", version, began)
            raise
        verdict = target.ledger.state().verdict
        if verdict is not None and target.environment.gates:
            work.emit.attach({"evidence": [dict(entry) for entry in verdict.evidence]})
        self._hands.service.runs.remember(work.run.id, "done", [*work.memory.get("done", []), name])
        self._hands.told(replace(self._hands.service.runs.get(work.run.id), environment=name), work.app)
        return True

    def _record(self, work: Work, name: str, outcome: str, version: str | None, began: int) -> None:
        committed = self._hands.service.runs.get(work.run.id).committed_ms
        values = {"version": version, "outcome": outcome, "committed_ms": committed}
        self._hands.service.records.deployed(work.run, name, {**values, "started_ms": began, "ended_ms": now_ms()})

    def finish_delivery(self, work: Work) -> bool:
        self._hands.end(work.run, work.app, "succeeded")
        return True

    def rollback(self, work: Work, name: str) -> bool:
        line = self._hands.service.line(work.app.name)
        if line is None:
            raise HeadwayError("NOTHING_DEPLOYED", environment=name)
        line = replace(line, emit=work.emit)
        target = line.target(name)
        began = self._hands.service.runs.remember(work.run.id, f"began:{name}", now_ms(), once=True)
        # What stood there when the run began: "the version before" must mean the same when it is taken up again.
        state = target.ledger.state()
        chosen = work.run.to_version or (state.before().version if state.before() else None)  # type: ignore[union-attr]
        to = self._hands.service.runs.remember(work.run.id, "to", chosen, once=True)
        if to is None or state.version != to:
            state = self._patiently(work, lambda: rollback(target, to))
        self._hands.service.runs.change(work.run.id, version=state.version)
        self._record(work, name, "rollback", state.version, began)
        self._hands.end(work.run, work.app, "succeeded", None, f"{name} stands at {state.version or 'nothing'}")
        return True

    def _patiently(self, work: Work, act: Callable[[], Any]) -> Any:
        """Wait for an environment that somebody else holds, as long as the settings say."""
        waited = 0.0
        while True:
            try:
                return act()
            except HeadwayError as error:
                if error.code != "ENVIRONMENT_LOCKED" or waited >= self._hands.place.settings.lock_wait_minutes * 60:
                    raise
                if work.watch.pause(_WAIT_SECONDS):
                    raise HeadwayError("STEP_HALTED", what="waiting for a lock", reason=work.watch.halted()) from error
                waited += _WAIT_SECONDS


class _WatchedClock(SystemClock):
    """A clock whose sleep ends, with an error, when the run may not go on: for waiting on job runs."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def sleep(self, seconds: float) -> None:
        """Wait. Raise HeadwayError STEP_HALTED."""
        if self._watch.pause(seconds):
            raise HeadwayError("STEP_HALTED", what="waiting for a job run", reason=self._watch.halted())
