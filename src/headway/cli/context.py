"""What most commands need: the application of a folder, and its line."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.clock import SystemClock
from headway.adapters.git import Repository
from headway.adapters.interrupts import Interrupts
from headway.adapters.stores import open_store
from headway.core.events import Emit
from headway.core.release import Release
from headway.delivery.configuration import load_application
from headway.delivery.line import Line
from headway.delivery.releasing import last_build, load_release


@dataclass(frozen=True)
class Context:
    """One application, as its folder says now."""

    root: Path
    line: Line

    def release(self, version: str | None) -> Release:
        """A release by version; the last one where none is named. Raise HeadwayError RELEASE_NOT_FOUND."""
        app = self.line.app.name
        found = version or str(last_build(self.line.store, app) or "of any version")
        return load_release(self.line.store, app, found)

    def line_of(self, version: str | None) -> tuple[Line, Release]:
        """A release, and the line as the release's own commit describes it."""
        release = self.release(version)
        return self.line.of(release), release

    def repository(self, commit: str | None) -> tuple[Repository, str]:
        """The repository, and what to release: the named commit, else HEAD of a work tree without changes.

        Raise HeadwayError GIT_….
        """
        repository = Repository.open(self.root)
        if commit is None:
            repository.require_clean()
        return repository, commit or "HEAD"


def load(root: str, emit: Emit, *, without_jobs: bool = False) -> Context:
    """Read the application at `root`; it may be `without_jobs` yet. Raise ConfigurationError with every problem at
    once."""
    folder = Path(root).resolve()
    variables = dict(os.environ)
    app = load_application(folder, variables, without_jobs=without_jobs)
    return Context(folder, Line(app, open_store(app.store), variables, SystemClock(), emit, Interrupts()))


@contextmanager
def work_folder(keep: str | None) -> Iterator[Path]:
    """A folder for checkout, logs and built files: `keep` (made, and kept), else one that is removed at the end —
    unless something went wrong, because the logs are in it."""
    if keep is not None:
        folder = Path(keep).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        yield Path(tempfile.mkdtemp(prefix="run-", dir=folder))
        return
    folder = Path(tempfile.mkdtemp(prefix="headway-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
