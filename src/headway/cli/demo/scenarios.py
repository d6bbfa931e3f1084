"""The five scenarios of the demo, run on the real line and checked by reading the workspace back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headway.adapters.clock import SystemClock
from headway.adapters.git import Repository
from headway.adapters.stores import open_store
from headway.cli.demo import readback
from headway.cli.demo.data import upload_folder
from headway.cli.demo.repository import DemoRepository
from headway.core.errors import HeadwayError
from headway.core.events import Emit, Event, Progress, StepFinished
from headway.core.release import Release
from headway.delivery.configuration import load_application
from headway.delivery.line import Line, run_line
from headway.delivery.releasing import last_build
from headway.delivery.rolling_back import rollback
from headway.delivery.watching import watch

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

ENVIRONMENTS = ("stage", "production")
SEEDS = {"stage": 11, "production": 23}
TRAINING_LEARNERS, LIVE_LEARNERS = 60, 30


@dataclass(frozen=True)
class Check:
    """One claim of the demo, and whether reading the workspace back bears it out."""

    claim: str
    holds: bool
    detail: str = ""


@dataclass
class Scenario:
    """What one scenario did. `spark_seconds` is the wall time of the runs that the line itself started; `jobs` are
    the artifact paths of each job by environment, as read back at its end."""

    name: str
    title: str
    commit: str = ""
    subject: str = ""
    version: str | None = None
    outcome: str = ""
    reason: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    steps: list[StepFinished] = field(default_factory=list)
    seconds: float = 0.0
    spark_seconds: float = 0.0
    checks: list[Check] = field(default_factory=list)

    def check(self, claim: str, holds: bool, detail: str = "") -> None:
        """Note a claim."""
        self.checks.append(Check(claim, holds, detail))


class Demo:
    """A workspace, a store, a repository, and the scenarios that are run on them, in order."""

    def __init__(
        self,
        folder: Path,
        repository: DemoRepository,
        generator: ModuleType,
        client: WorkspaceClient,
        variables: Mapping[str, str],
        emit: Emit,
    ) -> None:
        self.folder, self.repository, self.client, self._emit = folder, repository, client, emit
        self._generator = generator
        self._variables = variables
        self._day = 0
        self._truth: dict[str, Any] = {}
        self._events: list[StepFinished] = []
        self.scenarios: list[Scenario] = []
        app = load_application(repository.folder, variables)
        self.line = Line(app, open_store(app.store), variables, SystemClock(), self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self._events.append(event)
        self._emit(event)

    # data

    def new_day(self) -> None:
        """Learners were active for another day: new statements arrive in both environments."""
        self._day += 1
        for environment in ENVIRONMENTS:
            local = self.folder / "data" / environment / f"day-{self._day}"
            truth = self._generator.generate(local, learners=LIVE_LEARNERS, seed=SEEDS[environment], day=self._day)
            upload_folder(self.client, local / "statements", f"{self._root(environment)}/live/statements")
            known = self._truth.get(environment)
            self._truth[environment] = truth if known is None else known.plus(truth)

    def label_training_sets(self) -> None:
        """Raters have labelled the sessions that the model learns from."""
        for environment in ENVIRONMENTS:
            local = self.folder / "data" / environment / "training"
            self._generator.generate(
                local, learners=TRAINING_LEARNERS, seed=100 + SEEDS[environment], labelled_fraction=1.0
            )
            for part in ("statements", "labels"):
                upload_folder(self.client, local / part, f"{self._root(environment)}/training/{part}")

    def _root(self, environment: str) -> str:
        return str(self.line.app.environments[environment].values["root"])

    # running

    def run(self, name: str, title: str, act: Callable[[Scenario], None]) -> Scenario:
        """Run one scenario and note what came of it."""
        scenario = Scenario(name, title)
        self._events.clear()
        began = time.monotonic()
        act(scenario)
        scenario.seconds = time.monotonic() - began
        scenario.steps = list(self._events)
        scenario.jobs = readback.artifact_paths(self.client, ENVIRONMENTS)
        self.scenarios.append(scenario)
        return scenario

    def _run_commit(self, scenario: Scenario, commit: str) -> tuple[Release | None, HeadwayError | None]:
        repository = Repository.open(self.repository.folder)
        found = repository.resolve(commit)
        scenario.commit, scenario.subject = found.sha, found.subject
        work = self.folder / "work" / scenario.name
        work.mkdir(parents=True)
        _, newest = readback.run_seconds(self.client, 0)
        try:
            release = run_line(self.line, repository, self.repository.folder, commit, work)
        except HeadwayError as error:
            scenario.reason = error.message
            return None, error
        finally:
            scenario.spark_seconds, _ = readback.run_seconds(self.client, newest)
        scenario.version, scenario.outcome = str(release.version), "production"
        scenario.digests = {artifact.file_name: artifact.sha256 for artifact in release.artifacts.values()}
        return release, None

    def delivered(self, scenario: Scenario, commit: str) -> Release | None:
        """A commit that must reach production: every job points to it, and the bytes are those that were built."""
        release, error = self._run_commit(scenario, commit)
        if release is None:
            scenario.outcome = f"stopped: {error.code if error else ''}"
            scenario.check("the commit reaches production", False, scenario.reason)
            return None
        problems = readback.pointing_elsewhere(self.client, ENVIRONMENTS, str(release.version))
        scenario.check(f"every job of both environments points to {release.version}", not problems, "; ".join(problems))
        wrong = readback.wrong_bytes(self.client, self.line.app, release)
        scenario.check("the workspace holds the very bytes that were built", not wrong, "; ".join(wrong))
        return release

    def production_scores(self, scenario: Scenario) -> float:
        """Run production's jobs as their schedule would, and hold what they wrote against the truth."""
        jobs = readback.job_ids(self.client, "production")
        connection = self.line.target("production").connection
        for key in ("train", "scoring"):
            self._emit(Progress(f"production runs {key}"))
            run = watch(connection, self.client.jobs.run_now(jobs[key]).run_id, SystemClock(), 600)
            scenario.check(f"production's {key} runs to SUCCESS", run.good, run.message)
            if not run.good:
                return 0.0
        return min(self._agreement(scenario, environment) for environment in ENVIRONMENTS)

    def _agreement(self, scenario: Scenario, environment: str) -> float:
        root, truth = self._root(environment), self._truth[environment]
        scratch = self.folder / "readback" / scenario.name / environment
        problems = self._generator.count_problems(truth, readback.counts(self.client, root, scratch))
        claim = f"{environment}: every line is accepted, refused or a duplicate, as the truth says"
        scenario.check(claim, not problems, "; ".join(problems))
        found = self._generator.agreement(truth, readback.scores(self.client, root, scratch))
        scenario.check(f"{environment}: every session has a score", found.missing == 0, f"{found.missing} have none")
        self._emit(
            Progress(
                f"{environment}: {found.exact:.0%} of {found.sessions} scores are the true level, "
                f"{found.adjacent:.0%} within one"
            )
        )
        return float(found.exact)

    def stopped(self, scenario: Scenario, commit: str, code: str, outcome: str) -> None:
        """A commit that must be stopped with `code`, and leave both environments as they were."""
        before = readback.settings(self.client)
        _, error = self._run_commit(scenario, commit)
        scenario.outcome = outcome if error is not None and error.code == code else "not stopped as it should be"
        scenario.check(f"it is stopped ({code})", error is not None and error.code == code, scenario.reason)
        after = readback.settings(self.client)
        for environment in ENVIRONMENTS:
            same = before[environment] == after[environment]
            scenario.check(f"the jobs of {environment} are as they were", same)

    def untouched_store(self, scenario: Scenario, before: Any) -> None:
        """Nothing in the store changed."""
        scenario.check("nothing in the store changed", before == self.store_content())

    def store_content(self) -> list[tuple[str, str]]:
        """Every object of the store and its tag."""
        return [(entry.key, entry.tag) for entry in self.line.store.list("") if not entry.key.endswith("lock.json")]

    def rolled_back(self, scenario: Scenario, expected: Mapping[str, Any], version: str) -> None:
        """Production taken back by hand: its settings are again those of `version`."""
        stage = readback.settings(self.client)["stage"]
        state = rollback(self.line.target("production"))
        scenario.version = state.version
        scenario.outcome = "rolled back"
        scenario.reason = f"back to {state.version}, as one unit"
        scenario.check(f"production stands at {version} again", state.version == version, str(state.version))
        now = readback.settings(self.client)
        scenario.check("its jobs have exactly the settings of then", now["production"] == expected)
        scenario.check("stage is as it was", now["stage"] == stage)
        newest = str(last_build(self.line.store, self.line.app.name))
        scenario.check("lastBuild still names the newest build", newest != version, newest)
