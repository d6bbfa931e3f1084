"""The whole line for one commit: release, then environment by environment, gates between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from headway.adapters.clock import Clock
from headway.adapters.databricks import connect
from headway.adapters.git import Repository
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application
from headway.core.errors import HeadwayError
from headway.core.events import Emit
from headway.core.ledger import EnvironmentState
from headway.core.release import Release, TestResult
from headway.delivery.configuration import application_of
from headway.delivery.deploying import Target, deploy
from headway.delivery.gates import require_verified, verify
from headway.delivery.ledger import Ledger, held
from headway.delivery.making import check_out, make_release, test_checkout
from headway.delivery.releasing import load_configuration
from headway.delivery.rolling_back import take_environment_back
from headway.delivery.steps import step
from headway.delivery.target import NeverStopping, Stopping
from headway.delivery.toolchain import installed_toolchain


@dataclass(frozen=True)
class Tested:
    """A commit, and what its tests said: all of them passed."""

    commit: str
    results: tuple[TestResult, ...]


@dataclass(frozen=True)
class Line:
    """An application's line: its store, and what its steps need from outside. `variables` hold the tokens."""

    app: Application
    store: ObjectStore
    variables: Mapping[str, str]
    clock: Clock
    emit: Emit
    stopping: Stopping = field(default_factory=NeverStopping)

    def target(self, name: str) -> Target:
        """An environment, connected. Raise HeadwayError ENVIRONMENT_UNKNOWN, TOKEN_MISSING."""
        environment = self.app.environments.get(name)
        if environment is None:
            raise HeadwayError("ENVIRONMENT_UNKNOWN", name=name, known=", ".join(self.app.environments) or "none")
        connection = connect(environment, self.variables)
        ledger = Ledger(self.store, self.app.name, name)
        return Target(
            self.app, environment, connection, ledger, self.store, self.clock, self.emit, self.stopping, self.target
        )

    def of(self, release: Release) -> "Line":
        """The same line with the configuration of a release's commit, which is verified first with the keys that this
        line's own configuration trusts. Raise HeadwayError RELEASE_NOT_GENUINE."""
        from headway.delivery.verifying import require_genuine  # slow to import

        require_genuine(self.store, release, self.app.signing, artifacts=False)
        return replace(self, app=application_of(load_configuration(self.store, release), self.variables))

    def order(self) -> list[str]:
        """The environments in the order in which a release goes through them."""
        environments = self.app.environments

        def depth(name: str) -> int:
            after = environments[name].after
            return 0 if after is None else 1 + depth(after)

        return sorted(environments, key=depth)


def test_commit(line: Line, repository: Repository, root: Path, reference: str, work: Path) -> Tested:
    """Run a commit's tests in a clean checkout; nothing is stored. Raise HeadwayError TESTS_FAILED."""
    commit = repository.resolve(reference)
    checkout = check_out(repository, root, commit, work, line.variables, line.emit)
    return Tested(commit.sha, test_checkout(checkout, work / "logs", installed_toolchain(), line.emit))


test_commit.__test__ = False  # type: ignore[attr-defined]  # not a pytest function


def release_commit(
    line: Line, repository: Repository, root: Path, reference: str, work: Path, tested: Tested | None = None
) -> Release:
    """Make a release of a commit. One at a time per application. `tested` are its tests, where they ran before.

    Raise HeadwayError; TESTED_ANOTHER where they were another commit's.
    """
    commit = repository.resolve(reference)
    if tested is not None and tested.commit != commit.sha:
        reason = f"it tells of those of {tested.commit[:12]}"
        raise HeadwayError("TESTED_ANOTHER", path="the tests' record", commit=commit.sha[:12], reason=reason)
    tests = None if tested is None else tested.results
    with held(line.store, f"{line.app.name}/lock.json", f"the line of {line.app.name}", line.clock):
        checkout = check_out(repository, root, commit, work, line.variables, line.emit)
        tools = installed_toolchain()
        return make_release(checkout, line.store, work, tools, line.clock, line.emit, tests=tests)


def run_line(line: Line, repository: Repository, root: Path, reference: str, work: Path) -> Release:
    """Take a commit through the whole line. A release that a gate refuses is taken back from that environment.

    One run at a time per application. Raise HeadwayError: what stopped it.
    """
    commit = repository.resolve(reference)
    with held(line.store, f"{line.app.name}/lock.json", f"the line of {line.app.name}", line.clock):
        checkout = check_out(repository, root, commit, work, line.variables, line.emit)
        release = make_release(checkout, line.store, work, installed_toolchain(), line.clock, line.emit)
        here = replace(line, app=checkout.app)
        for name in here.order():
            if here.app.environments[name].after is None:
                rehearse(here, release, name)
            else:
                promote(here, release, name)
    return release


def rehearse(line: Line, release: Release, name: str) -> None:
    """Deploy a release to an environment and run its gates; take it back where they refuse it."""
    target = line.target(name)
    before = target.ledger.state()
    deploy(target, release)
    judge(target, before)


def judge(target: Target, before: EnvironmentState, run: str = "") -> None:
    """Run the environment's gates on what stands there, if it has any; bring back what stood `before` where they refuse
    it. `run` makes the gates' job runs findable again for a caller that was killed meanwhile."""
    if not target.environment.gates:
        return
    try:
        verify(target, run)
    except HeadwayError as error:
        if error.code == "GATE_FAILED":
            take_environment_back(target, before)
        raise


def promote(line: Line, release: Release, name: str) -> None:
    """Deploy a release, the very bytes that passed, to the environment that comes after another one.

    Raise HeadwayError NOT_VERIFIED where they did not pass there.
    """
    admit(line, release, name)
    rehearse(line, release, name)


def admit(line: Line, release: Release, name: str) -> None:
    """Raise HeadwayError NOT_VERIFIED where these very bytes did not pass the environment before `name`."""
    after = line.app.environments[name].after if name in line.app.environments else None
    digests = {artifact.name: artifact.sha256 for artifact in release.artifacts.values()}
    with step(line.emit, "promote", str(release.version), name) as note:
        if after is not None:
            require_verified(line.target(after), str(release.version), digests)
            note.detail = f"{after} passed for these digests"
