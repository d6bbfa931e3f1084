"""What people and programs ask of the engine, in one place: pages, the HTTP API and the command line use only this.

Reads come from the database and the applications' stores; what changes something is written first and set off then,
so that a killed server forgets nothing.
"""

import fnmatch
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headway.adapters.clock import Clock, SystemClock
from headway.adapters.gitmirror import Mirror, check_remote
from headway.adapters.stores import open_store
from headway.core.attestation import Verification
from headway.core.errors import HeadwayError
from headway.core.events import ignore
from headway.core.release import Release
from headway.delivery.configuration import application_of
from headway.delivery.ledger import Ledger
from headway.delivery.line import Line
from headway.delivery.releasing import list_releases, load_release
from headway.delivery.standing import standings, status
from headway.delivery.verifying import load_sbom, sbom_bytes, verify_release
from headway.pipeline.apps import AppStore
from headway.pipeline.database import Database
from headway.pipeline.events import Events
from headway.pipeline.model import (
    SUPERSEDABLE,
    App,
    Approval,
    DeploymentRecord,
    EnvironmentView,
    EventRecord,
    LogPage,
    Run,
    RunState,
    Step,
    TestCase,
)
from headway.pipeline.records import Records
from headway.pipeline.runs import RunStore

Dispatch = Callable[[Run], None]
MirrorOf = Callable[[App], Mirror]
NOT_BEGUN: tuple[RunState, ...] = ("waiting",)


@dataclass(frozen=True)
class ReleaseView:
    """A release, and by environment that it stood in whether it stands there now."""

    release: Release
    environments: Mapping[str, bool]


@dataclass(frozen=True)
class ReleaseDetail(ReleaseView):
    """The same with what its signature says, and the libraries of its bill of materials as package URLs."""

    verification: Verification
    components: tuple[str, ...]


class PipelineService:
    """The facade. `dispatch` sets a run off that the database holds; `variables` hold the workspaces' tokens; `told` is
    called when people changed a run's state, for notifications and commit statuses."""

    def __init__(
        self,
        database: Database,
        dispatch: Dispatch,
        mirror: MirrorOf,
        variables: Mapping[str, str],
        clock: Clock | None = None,
        told: Callable[[Run, App], None] = lambda run, app: None,
    ) -> None:
        self.database = database
        self.events = Events(database)
        self.apps = AppStore(database)
        self.runs = RunStore(database, self.events)
        self.records = Records(database, self.events)
        self._dispatch, self._mirror, self._variables = dispatch, mirror, variables
        self._clock, self._told = clock or SystemClock(), told

    # --- applications

    def list_apps(self) -> list[App]:
        """Every registered application, by name."""
        return self.apps.all()

    def app(self, name: str) -> App:
        """Raise HeadwayError APP_UNKNOWN."""
        return self.apps.get(name)

    def add_app(self, app: App) -> App:
        """Register a repository; it is looked at first. Raise HeadwayError APP_EXISTS, REMOTE_…."""
        repository = check_remote(app.repository)
        checked = replace(app, repository=repository, full_name=app.full_name or full_name_of(repository))
        mirror = self._mirror(checked)
        mirror.heads()
        if not checked.branches:
            checked = replace(checked, branches=(mirror.default_branch() or "main",))
        return self.apps.add(checked)

    def change_app(self, app: App) -> App:
        """Register a repository otherwise: its runs, what is known of it and its webhook's secret stay. Raise
        HeadwayError APP_UNKNOWN, REMOTE_…."""
        present = self.apps.get(app.name)
        repository = check_remote(app.repository)
        changed = replace(app, repository=repository, webhook_salt=present.webhook_salt, created_ms=present.created_ms)
        if repository != present.repository:
            self._mirror(changed).heads()
            changed = replace(changed, problem="")
        return self.apps.replace(changed)

    def remove_app(self, name: str) -> None:
        """Forget a repository; its waiting runs end, its releases and environments stay. Raise HeadwayError."""
        for run in self.runs.newest(name, states=SUPERSEDABLE, limit=1000):
            if self.runs.move(run.id, run.state, "cancelled", reason=f"application {name} was removed"):
                self._tell(run.id)
        self.apps.remove(name)

    def line(self, name: str) -> Line | None:
        """The application's line as its newest run had it; None before the first. Raise HeadwayError."""
        files = self.apps.configuration(name)
        if files is None:
            return None
        app = application_of(files, self._variables)
        return Line(app, open_store(app.store), self._variables, self._clock, ignore)

    def environments(self, name: str, *, drift: bool = False) -> list[EnvironmentView]:
        """The application's environments in the order of the line; empty before the first run.

        Without `drift` only the ledgers are read; with it each workspace is asked too, which takes a call or more.
        Raise HeadwayError APP_UNKNOWN, CONFIGURATION_INVALID, STORE_UNREACHABLE.
        """
        line = self.line(name)
        if line is None:
            return []
        runs = {record.version: record.run for record in self.records.deployments(name)}
        asked = {entry.name: entry for entry in status(line)} if drift else {}
        views = []
        for key in line.order():
            environment = line.app.environments[key]
            state = asked[key].state if key in asked else Ledger(line.store, line.app.name, key).state()
            views.append(
                EnvironmentView(
                    name=key,
                    after=environment.after,
                    host=environment.host,
                    approval=environment.approval,
                    state=state,
                    drifted=asked[key].drifted if key in asked else None,
                    problem=asked[key].problem if key in asked else "",
                    run=runs.get(state.version) if state.version else None,
                )
            )
        return views

    def releases(self, name: str) -> list[ReleaseView]:
        """The application's releases, the newest first; empty before the first run."""
        line = self.line(name)
        if line is None:
            return []
        where = standings(line)
        return [ReleaseView(found, where.get(str(found.version), {})) for found in list_releases(line.store, name)]

    def release(self, name: str, version: str) -> ReleaseDetail:
        """A release with what is known of it. The artifacts' own bytes are not read: `headway verify-release` does.
        Raise HeadwayError RELEASE_NOT_FOUND, CONFIGURATION_INVALID, STORE_UNREACHABLE."""
        line = self.line(name)
        if line is None:
            raise HeadwayError("RELEASE_NOT_FOUND", app=name, version=version)
        found = load_release(line.store, name, version)
        verification = verify_release(line.store, name, version, line.app.signing, artifacts=False)
        where = standings(line).get(version, {})
        return ReleaseDetail(found, where, verification, tuple(load_sbom(line.store, found)))

    def sbom(self, name: str, version: str) -> bytes:
        """A release's bill of materials, CycloneDX JSON. Raise HeadwayError RELEASE_NOT_FOUND and as `release` does."""
        line = self.line(name)
        found = sbom_bytes(line.store, load_release(line.store, name, version)) if line is not None else None
        if found is None:
            raise HeadwayError("RELEASE_NOT_FOUND", app=name, version=version)
        return found

    # --- runs

    def list_runs(
        self,
        app: str | None = None,
        *,
        states: Collection[RunState] | None = None,
        branch: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Runs, the newest first; `before` is the id of the last one of the former page."""
        return self.runs.newest(app, states=states, branch=branch, before=before, limit=limit)

    def run(self, run_id: int) -> Run:
        """Raise HeadwayError RUN_UNKNOWN."""
        return self.runs.get(run_id)

    def steps(self, run_id: int) -> list[Step]:
        """A run's steps, in order, of all attempts."""
        return self.runs.steps(run_id)

    def tail_log(self, run_id: int, step: int, offset: int = 0) -> LogPage:
        """A step's log from `offset` on (0, or a former page's `next`). Raise HeadwayError STEP_UNKNOWN."""
        return self.runs.log(run_id, step, offset)

    def tests(self, run_id: int) -> list[TestCase]:
        """The cases of a run's JUnit XML, those that failed first."""
        return self.runs.tests(run_id)

    def follow(self, after: int, run_id: int | None = None, seconds: float = 15) -> list[EventRecord]:
        """What happened after event `after` (see `last_event`), of one run or of all: waits until there is something,
        at most `seconds`. For server-sent events: call it again and again in a thread, `seq` being the event's id."""
        return self.events.wait(after, run_id, seconds)

    def last_event(self) -> int:
        """The newest event's `seq`: where following begins."""
        return self.events.last()

    def deployments(
        self, app: str | None = None, environment: str | None = None, *, since_ms: int = 0
    ) -> list[DeploymentRecord]:
        """Deployments that ended since then, the oldest first: for the report."""
        return self.records.deployments(app, environment, since_ms=since_ms)

    # --- what people do

    def trigger(self, name: str, reference: str, by: str) -> Run:
        """Take the commit that a branch, tag or hash names through the line. Raise HeadwayError."""
        app = self.apps.get(name)
        mirror = self._mirror(app)
        commit = mirror.commit(reference)
        values = {
            "app": name,
            "kind": "line",
            "commit": commit.sha,
            "branch": reference if reference in mirror.heads() else "",
            "message": commit.subject,
            "author": commit.author,
            "committed_ms": commit.committed_ms,
            "trigger": "manual",
            "triggered_by": by,
        }
        run = self.runs.get(self.database.run(lambda c: self.runs.add(c, values)))
        return self.set_off(app, run)

    def set_off(self, app: App, run: Run) -> Run:
        """Supersede what waits on the same branch, where the application wants that, and give the run its place."""
        self.events.told()
        if app.supersede and run.branch:
            for older in self.runs.supersede(run, NOT_BEGUN):
                self._tell(older.id)
        self._tell(run.id)
        self._dispatch(run)
        return run

    def _tell(self, run_id: int) -> None:
        run = self.runs.get(run_id)
        try:
            app = self.apps.get(run.app)
        except HeadwayError:
            return
        self._told(run, app)

    def rollback(self, name: str, environment: str, to: str | None, by: str) -> Run:
        """Bring an environment back to version `to`, or to what stood there before: a run of its own, in order with
        the application's others. Raise HeadwayError APP_UNKNOWN, ENVIRONMENT_UNKNOWN."""
        self.apps.get(name)
        line = self.line(name)
        known = line.app.environments if line else {}
        if environment not in known:
            raise HeadwayError("ENVIRONMENT_UNKNOWN", name=environment, known=", ".join(known) or "none")
        values = {
            "app": name,
            "kind": "rollback",
            "commit": "",
            "branch": "",
            "message": f"roll {environment} back to {to or 'what stood there before'}",
            "trigger": "manual",
            "triggered_by": by,
            "environment": environment,
            "to_version": to or "",
            "state": "ready",
        }
        run = self.runs.get(self.database.run(lambda c: self.runs.add(c, values)))
        self.events.told()
        self._dispatch(run)
        return run

    def plan_for_approval(self, run_id: int) -> Approval | None:
        """The plan that a run waits for somebody to accept; None where it waits for nobody."""
        waiting = self.records.approvals(run_id, state="pending")
        return waiting[0] if waiting else None

    def approvals(self, run_id: int | None = None) -> list[Approval]:
        """Approvals, decided and not, the newest first."""
        return self.records.approvals(run_id)

    def approve(self, run_id: int, digest: str, by: str, comment: str = "") -> Approval:
        """Accept exactly the plan of that digest; the run goes on. Raise HeadwayError APPROVAL_…."""
        run = self.runs.get(run_id)
        decided = self.records.decide(run, digest, "approved", by, comment)
        self.settle(run)
        return decided

    def settle(self, run: Run) -> None:
        """A run whose plan was decided goes on, or ends. Also for one whose server was killed in between."""
        given = self.records.approvals(run.id)
        if not given or given[0].state not in ("approved", "rejected"):
            return
        if given[0].state == "approved":
            if self.runs.move(run.id, "awaiting_approval", "ready", attempt=run.attempt + 1):
                self._dispatch(self.runs.get(run.id))
            return
        by, comment = given[0].decided_by, given[0].comment
        reason = f"{by} rejected the plan for {given[0].environment}" + (f": {comment}" if comment else "")
        if self.runs.move(run.id, "awaiting_approval", "cancelled", reason=reason):
            self._tell(run.id)

    def reject(self, run_id: int, digest: str, by: str, comment: str = "") -> Approval:
        """Refuse the plan of that digest; the run ends, nothing more is deployed. Raise HeadwayError APPROVAL_…."""
        run = self.runs.get(run_id)
        decided = self.records.decide(run, digest, "rejected", by, comment)
        self.settle(run)
        return decided

    def cancel(self, run_id: int, by: str) -> Run:
        """End a run: at once where it waits or runs a command; after the step where it deploys, so that nothing is
        left mixed. Raise HeadwayError RUN_STATE where it has ended."""
        run = self.runs.get(run_id)
        if run.ended:
            raise HeadwayError("RUN_STATE", run=run_id, state=run.state, action="cancelled")
        if self.runs.move(run_id, SUPERSEDABLE, "cancelled", reason=f"cancelled by {by}"):
            self._tell(run_id)
        else:
            self.runs.change(run_id, cancel_requested=by)
        return self.runs.get(run_id)

    def retry(self, run_id: int, by: str, from_step: int | None = None) -> Run:
        """Take an ended run up again from the step that ended it, or from an earlier `from_step` (its number): what
        was done before that step stays done. Raise HeadwayError RUN_STATE, STEP_UNKNOWN."""
        run = self.runs.get(run_id)
        if run.state not in ("failed", "refused", "cancelled"):
            raise HeadwayError("RUN_STATE", run=run_id, state=run.state, action="retried")
        memory = self.runs.memory(run_id)
        if from_step is not None:
            steps = {step.number: step for step in self.runs.steps(run_id)}
            if from_step not in steps:
                raise HeadwayError("STEP_UNKNOWN", run=run_id, step=from_step)
            memory = forget_from(memory, steps[from_step])
        built = "release" in memory or run.kind == "rollback"
        to: RunState = "ready" if built else "waiting"
        fresh = {"reason": "", "error_code": "", "hint": "", "cancel_requested": "", "ended_ms": None}
        taken: dict[str, Any] = {"memory": memory, "attempt": run.attempt + 1, "triggered_by": by, **fresh}
        if not self.runs.move(run_id, run.state, to, **taken):
            raise HeadwayError("RUN_STATE", run=run_id, state=self.runs.get(run_id).state, action="retried")
        again = self.runs.get(run_id)
        self._dispatch(again)
        return again


def forget_from(memory: Mapping[str, object], step: Step) -> dict[str, object]:
    """What a run still knows when it is taken up at `step`: everything done before it."""
    if step.name in ("checkout", "test"):
        return {}
    if step.name in ("version", "build", "store"):
        return {key: value for key, value in memory.items() if key == "tests"}
    done = [str(name) for name in _sequence(memory.get("done"))]
    environment = step.environment or ""
    if environment in done:
        done = done[: done.index(environment)]
    return {**memory, "done": done}


def _sequence(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def wanted_branch(app: App, branch: str) -> bool:
    """Whether pushes to `branch` are for this application."""
    return any(fnmatch.fnmatchcase(branch, pattern) for pattern in app.branches)


def full_name_of(repository: str) -> str:
    """`owner/name` as providers say it, from a URL of theirs; empty where that is none."""
    path = repository.partition("://")[2].partition("/")[2] if "://" in repository else repository.partition(":")[2]
    if repository.startswith("file:"):
        return ""
    return path.strip("/").removesuffix(".git")
