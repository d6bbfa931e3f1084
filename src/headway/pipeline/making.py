"""The steps from a commit to a release, and those that only check a commit which is not to be deployed."""

import shutil
from dataclasses import asdict, replace

from headway.adapters.clock import SystemClock
from headway.adapters.git import Commit
from headway.adapters.gitmirror import Mirror, RemoteCommit
from headway.core.errors import HeadwayError
from headway.core.release import TestResult, Version
from headway.core.rendering import summary
from headway.delivery.configuration import application_of, read_files
from headway.delivery.deploying import plan_release
from headway.delivery.making import Checkout, make_release, number_release, test_checkout
from headway.delivery.releasing import clear_unfinished, find_release
from headway.delivery.steps import step
from headway.delivery.toolchain import Toolchain, installed_toolchain
from headway.pipeline.database import now_ms
from headway.pipeline.model import App, Run, RunState
from headway.pipeline.preview import planned, preview_release
from headway.pipeline.work import Hands, Stopped, Work

BUILT: tuple[RunState, ...] = ("ready",)
# What follows the checkout: the line, or for what is not to be deployed the check.
FOLLOWING: dict[str, tuple[str, ...]] = {
    "line": ("test", "version", "build", "hand_over"),
    "check": ("test", "preview", "finish"),
}


class Making:
    """These steps. Each answers something true where the run goes on."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def begin(self, work: Work) -> bool:
        started = work.run.started_ms or now_ms()
        if not self._hands.service.runs.move(
            work.run.id, ("waiting", "making"), "making", worker=self._hands.worker, started_ms=started
        ):
            raise Stopped
        self._hands.told(self._hands.service.runs.get(work.run.id), work.app)
        return True

    def checkout(self, work: Work) -> str:
        run, emit = work.run, work.emit
        with step(emit, "checkout", run.commit[:12]) as note:
            shutil.rmtree(work.folder, ignore_errors=True)
            mirror = self._hands.place.mirror(work.app, work.watch.supervision)
            found = self._found(work, mirror)
            mirror.export(found.sha, work.folder / "checkout")
            files = read_files(work.folder / "checkout" / work.app.folder)
            application = application_of(files, work.variables)
            if application.name != work.app.name:
                raise HeadwayError("APP_NAME_DIFFERS", name=application.name, registered=work.app.name)
            note.detail = found.subject
        self._hands.service.apps.set_problem(work.app.name, "")
        texts = {"toml": files.toml, "jobs": dict(files.jobs)}
        self._hands.service.runs.remember(run.id, "configuration", texts)
        self._hands.service.runs.change(
            run.id, message=self._hands.mask(found.subject), author=found.author[:512], committed_ms=found.committed_ms
        )
        if not self._is_delivered(run, mirror, application.branch):
            self._hands.service.runs.remember(run.id, "delivered_branch", application.branch)
            return "check"
        self._hands.service.apps.keep_configuration(work.app.name, files)
        return "line"

    def _found(self, work: Work, mirror: Mirror) -> RemoteCommit:
        """The run's commit. Where its repository is not to be had, its application says so too."""
        try:
            return mirror.commit(work.run.commit, pull=_pull_ref(work.app, work.run))
        except HeadwayError as error:
            if error.code.startswith("REMOTE_"):
                self._hands.service.apps.set_problem(work.app.name, error.message)
            raise

    @staticmethod
    def _is_delivered(run: Run, mirror: Mirror, branch: str) -> bool:
        """Whether the run's commit may go to the environments: it is of the branch that `headway.toml` names. A tag or
        a hash that somebody named is too where that branch has it."""
        if run.kind == "pull_request":
            return False
        if run.branch:
            return run.branch == branch
        mirror.fetch()
        return mirror.contains(branch, run.commit)

    def _checked_out(self, work: Work, marker: str) -> tuple[Checkout, Toolchain]:
        """The commit's files as they were checked out; fresh ones where a killed attempt of this step used them, or
        this machine has none."""
        used, folder = work.folder / f"{marker}.begun", work.folder / "checkout"
        if used.exists() or not folder.exists():
            shutil.rmtree(work.folder, ignore_errors=True)
            mirror = self._hands.place.mirror(work.app, work.watch.supervision)
            mirror.export(self._found(work, mirror).sha, folder)
        used.touch()
        run = self._hands.service.runs.get(work.run.id)
        commit = Commit(run.commit, run.message, run.author, "", run.branch)
        tools = replace(
            installed_toolchain(),
            variables=self._hands.place.command_variables(run, work.folder),
            supervision=work.watch.supervision,
        )
        return Checkout(folder / work.app.folder, commit, work.application()), tools

    def test(self, work: Work) -> bool:
        if "tests" not in work.memory:
            checkout, tools = self._checked_out(work, "test")
            results = test_checkout(checkout, work.folder / "logs", tools, work.emit)
            self._hands.service.runs.remember(work.run.id, "tests", [asdict(result) for result in results])
        return True

    def version(self, work: Work) -> bool:
        if "version" not in work.memory:
            line = work.line()
            version = number_release(line.store, line.app, work.run.commit, work.emit)
            self._hands.service.runs.remember(work.run.id, "version", str(version))
            self._hands.service.runs.change(work.run.id, version=str(version))
        return True

    def build(self, work: Work) -> bool:
        line = work.line()
        version = Version.parse(work.memory["version"])
        found = find_release(line.store, line.app.name, version)
        if found is None:
            checkout, tools = self._checked_out(work, "build")
            shutil.rmtree(work.folder / "dist", ignore_errors=True)
            clear_unfinished(line.store, line.app.name, version)
            tests = tuple(TestResult(**result) for result in work.memory["tests"])
            make_release(
                checkout, line.store, work.folder, tools, SystemClock(), work.emit, tests=tests, version=version
            )
        elif found.commit != work.run.commit:
            raise HeadwayError("VERSION_EXISTS", version=version, app=line.app.name)
        else:
            work.skip("build", f"{version} was built from this commit")
        self._hands.service.runs.remember(work.run.id, "release", str(version))
        return True

    def hand_over(self, work: Work) -> bool:
        """Made. A run of the branch that is delivered goes on to the environments; what waited there for its turn is
        superseded by it now, not before: this commit is known to be good."""
        run = work.run
        if self._hands.service.runs.move(run.id, "making", "ready"):
            if work.app.supersede and run.branch:
                for older in self._hands.service.runs.supersede(run, BUILT):
                    self._hands.told(older, work.app)
            self._hands.dispatch(self._hands.service.runs.get(run.id))
        return True

    # pull requests

    def preview(self, work: Work) -> bool:
        """Build without keeping it, and plan each environment. An untrusted fork gets neither: a plan needs a token."""
        if not work.run.trusted:
            work.skip("plan", "a fork's pull request is tested only: it gets no secrets")
            return True
        checkout, tools = self._checked_out(work, "preview")
        line = work.line()
        release = preview_release(checkout, line.store, work.folder, tools, work.emit)
        for name in line.order():
            with step(work.emit, "plan", f"what {release.version} would change", name) as note:
                plan = plan_release(line.target(name), release)
                work.emit(planned(plan))
                note.detail = summary(plan)
        return True

    def finish(self, work: Work) -> bool:
        reason = ""
        if work.run.kind == "line":
            delivered, asked = work.memory.get("delivered_branch", ""), work.run.branch or work.run.commit[:12]
            reason = f"only checked: {delivered} is the branch that is delivered, and {asked} is not of it"
        self._hands.end(work.run, work.app, "succeeded", None, reason)
        return True


def _pull_ref(app: App, run: Run) -> str | None:
    """Where a provider keeps the head of a pull request."""
    if run.pull_request is None:
        return None
    return f"refs/{'merge-requests' if app.provider == 'gitlab' else 'pull'}/{run.pull_request}/head"
