"""Where runs work: mirrors of repositories, a folder per run, and what the applications' commands may see and take.

The commands get an environment of their own, in which nothing of the server's stands but what is named here.
"""

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.gitmirror import Mirror, git_variables
from headway.adapters.process import Supervision, end_all_with
from headway.core.configuration import Files, env_names
from headway.core.errors import HeadwayError
from headway.delivery.toolchain import without_secrets
from headway.pipeline.model import App, Run
from headway.pipeline.settings import ServerSettings

logger = logging.getLogger(__name__)
# What a command needs to find its tools and the network. None of these is a secret of ours.
PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
_LOOK_SECONDS = 0.5
_SIZE_EVERY = 4


@dataclass(frozen=True)
class Workplace:
    """The folders below the server's data folder, and the environment that the server itself was started with."""

    settings: ServerSettings
    variables: Mapping[str, str]

    def public(self, known: Files | None) -> dict[str, str]:
        """What a fork's configuration may read of the server's environment: what the branch's own configuration `known`
        reads too, and does not look like a secret."""
        names = {*PASSED, *(env_names(known) if known else ())}
        return without_secrets({name: self.variables[name] for name in names if name in self.variables})

    def mirror(self, app: App, supervision: Supervision | None = None) -> Mirror:
        """The mirror of an application's repository."""
        token = self.variables.get(app.credential_env, "") if app.credential_env else ""
        folder = self.settings.folder / "mirrors" / f"{app.name}.git"
        return Mirror(app.repository, folder, git_variables(), token, supervision)

    def of_run(self, run_id: int) -> Path:
        """The folder of a run: there until the run has ended."""
        return self.settings.folder / "work" / f"run-{run_id}"

    def remove(self, run_id: int) -> None:
        """The run has ended."""
        shutil.rmtree(self.of_run(run_id), ignore_errors=True)

    def end_strays(self, run_id: int) -> None:
        """End what the run's commands left behind: TMPDIR tells whose it is."""
        count = end_all_with("TMPDIR", str(self.of_run(run_id) / "tmp"))
        if count:
            logger.warning("%d processes that run %s left behind were ended", count, run_id)

    def clean(self, working: Callable[[int], bool]) -> None:
        """Remove the folders of runs that do not work any more, and end what is left of them."""
        for folder in (self.settings.folder / "work").glob("run-*"):
            number = folder.name.removeprefix("run-")
            if number.isdigit() and not working(int(number)):
                self.end_strays(int(number))
                self.remove(int(number))

    def command_variables(self, run: Run, work: Path) -> dict[str, str]:
        """The environment of a run's commands. HOME is the application's own, so that its tools' caches last from run
        to run; TMPDIR is the run's. A fork's run gets neither that HOME, which later runs would trust, nor `build_env`.
        """
        home = self.settings.folder / "homes" / run.app if run.trusted else work / "home"
        scratch = work / "tmp"
        for folder in (home, scratch):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = (*PASSED, *self.settings.build_env) if run.trusted else PASSED
        kept = {name: self.variables[name] for name in names if name in self.variables}
        return kept | {"HOME": str(home), "TMPDIR": str(scratch), "CI": "true", "HEADWAY_COMMIT": run.commit}


class Watch:
    """Looks after one run while it works: whether somebody cancelled it, whether it takes too much disk or time.
    `folder` is the one that grows meanwhile, None where none does.

    `cancelled` asks the database and says by whom; it must not wait for one that is away, for the limits hold then too.
    `stopping` is set when the process ends.
    """

    def __init__(
        self,
        folder: Path | None,
        settings: ServerSettings,
        cancelled: Callable[[], str],
        stopping: threading.Event,
        most_seconds: float = float("inf"),
    ) -> None:
        self._folder, self._settings, self._cancelled = folder, settings, cancelled
        self._most, self._began = most_seconds, time.monotonic()
        self.stopping = stopping
        self.reason: str | None = None
        self.by = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def supervision(self) -> Supervision:
        """For the commands of this run."""
        return Supervision(self.halted, self._settings.output_mib * 2**20)

    def halted(self) -> str | None:
        """Why the run may not go on; None where it may."""
        return "the server stops" if self.stopping.is_set() else self.reason

    def pause(self, seconds: float) -> bool:
        """Wait; True where the run may not go on."""
        deadline = threading.Event()
        waited = 0.0
        while waited < seconds and self.halted() is None:
            part = min(0.1, seconds - waited)
            deadline.wait(part)
            waited += part
        return self.halted() is not None

    def _look(self) -> None:
        if self._folder is None and self._ended.wait(_LOOK_SECONDS):
            return  # most steps are over by then
        count = 0
        while self.reason is None:
            self.reason = self._too_much(measure=count % _SIZE_EVERY == 0)
            try:
                by = self._cancelled()
            except HeadwayError:  # the database is away: it may be back when this looks again
                by = ""
            if by:
                self.by, self.reason = by, f"cancelled by {by}"
                return
            count += 1
            if self._ended.wait(_LOOK_SECONDS):
                return

    def _too_much(self, *, measure: bool) -> str | None:
        """What is too much; the folder is measured only now and then."""
        if time.monotonic() - self._began > self._most:
            return f"this step takes more than {self._most / 3600:g} h"
        if measure and self._folder is not None and size_of(self._folder) > self._settings.work_gib * 2**30:
            return f"its work folder holds more than {self._settings.work_gib:g} GiB"
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._settings.folder).free < self._settings.free_mib * 2**20:
                return f"less than {self._settings.free_mib} MiB of disk are free"
        return None


def size_of(folder: Path) -> int:
    """What the files below `folder` take, in bytes; links are not followed, what vanishes counts as nothing."""
    total, folders = 0, [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(Path(entry.path))
                        else:
                            total += entry.stat(follow_symlinks=False).st_blocks * 512
                    except OSError:
                        continue
        except OSError:
            continue
    return total
