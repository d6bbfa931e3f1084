"""From a commit to a stored release: checkout, test, version, build, sign, store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.clock import Clock, stamp
from headway.adapters.git import Commit, Repository
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application
from headway.core.errors import HeadwayError
from headway.core.events import Emit
from headway.core.release import Release, TestResult, Version
from headway.delivery.building import build_all
from headway.delivery.configuration import application_of, read_files
from headway.delivery.releasing import artifact_of, claim_version, store_release, take_version
from headway.delivery.steps import step
from headway.delivery.testing import run_tests
from headway.delivery.toolchain import Toolchain


@dataclass(frozen=True)
class Checkout:
    """The files of a commit in a folder of their own, and the application that they describe."""

    folder: Path
    commit: Commit
    app: Application
    repository: Repository | None = None


def check_out(
    repository: Repository, root: Path, commit: Commit, work: Path, variables: Mapping[str, str], emit: Emit
) -> Checkout:
    """Export `commit` below `work`. `root` is the application's folder, in the repository's work tree;
    `variables` stand for `${env.…}`.

    Raise ConfigurationError where the commit's own configuration cannot be used.
    """
    with step(emit, "checkout", commit.sha[:12]) as note:
        folder = work / "checkout"
        repository.export(commit.sha, folder)
        inside = folder / root.resolve().relative_to(repository.root.resolve())
        app = application_of(read_files(inside), variables)
        note.detail = commit.subject
        return Checkout(inside, commit, app, repository)


def make_release(
    checkout: Checkout,
    store: ObjectStore,
    work: Path,
    tools: Toolchain,
    clock: Clock,
    emit: Emit,
    *,
    tests: tuple[TestResult, ...] | None = None,
    version: Version | None = None,
) -> Release:
    """Test, take a version, build once, sign, store. Raise HeadwayError; a red test leaves everything as it was.

    `tests` and `version` are what a caller that was interrupted has already.
    """
    from headway.delivery.attesting import key_for, origin_of, sign_release  # slow to import, and of use here only
    from headway.delivery.sbom import make_sbom

    app, commit, began = checkout.app, checkout.commit, stamp(clock.now())
    key = key_for(store, app.signing)
    logs = work / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    if tests is None:
        tests = test_checkout(checkout, logs, tools, emit)
    if version is None:
        version = number_release(store, app, None, emit)
    with step(emit, "build", ", ".join(artifact.name for artifact in app.artifacts)) as note:
        built = build_all(app, checkout.folder, str(version), work / "dist", logs, tools, emit)
        note.detail = ", ".join(f"{file.path.name} ({file.size / 1024:.0f} KiB)" for file in built.values())
    with step(emit, "store", f"{store.url}/{app.name}/releases/{version}") as note:
        release = Release(
            app=app.name,
            version=version,
            commit=commit.sha,
            branch=commit.branch,
            subject=commit.subject,
            author=commit.author,
            created_at=stamp(clock.now()),
            spark=tools.spark,
            scala=tools.scala,
            spark_version_key=tools.spark_version_key,
            artifacts={name: artifact_of(file, app.name, version) for name, file in built.items()},
            tests=tests,
            signed=True,
        )
        configuration = read_files(checkout.folder)
        sbom = make_sbom(app, release, built, checkout.folder, tools)
        origin = origin_of(checkout.repository, tools, began, clock)
        documents = sign_release(store, key, release, configuration, sbom, origin)
        store_release(store, release, built, configuration, documents)
        note.detail = f"release {version}, signed"
    return release


def test_checkout(checkout: Checkout, logs: Path, tools: Toolchain, emit: Emit) -> tuple[TestResult, ...]:
    """Run the application's tests. Raise HeadwayError TESTS_FAILED."""
    app = checkout.app
    logs.mkdir(parents=True, exist_ok=True)
    with step(emit, "test", ", ".join(test.name for test in app.tests) or "no tests") as note:
        tests = run_tests(app, checkout.folder, logs, tools, emit)
        note.detail = f"{sum(result.passed for result in tests)} tests passed"
    return tests


test_checkout.__test__ = False  # type: ignore[attr-defined]  # not a pytest function


def number_release(store: ObjectStore, app: Application, commit: str | None, emit: Emit) -> Version:
    """Take the next version; with `commit` the one that this commit took before, if it did."""
    with step(emit, "version", f"{app.version[0]}.{app.version[1]}.…") as note:
        version = take_version(store, app) if commit is None else claim_version(store, app, commit)
        note.detail = str(version)
    return version


def require_branch(app: Application, commit: Commit) -> None:
    """Raise HeadwayError WRONG_BRANCH where the repository is on another branch than the one that is delivered."""
    if commit.branch and commit.branch != app.branch:
        raise HeadwayError("WRONG_BRANCH", branch=commit.branch, expected=app.branch)
