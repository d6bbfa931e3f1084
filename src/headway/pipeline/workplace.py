"""Where runs work: mirrors of repositories, a folder per run, and what the applications' commands may see and take.

The commands get an environment of their own, in which nothing of the server's stands but what is named here.
"""

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.gitmirror import Mirror, git_variables
from headway.adapters.process import Supervision
from headway.pipeline.model import App
from headway.pipeline.settings import ServerSettings

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

    def mirror(self, app: App) -> Mirror:
        """The mirror of an application's repository."""
        token = self.variables.get(app.credential_env, "") if app.credential_env else ""
        return Mirror(app.repository, self.settings.folder / "mirrors" / f"{app.name}.git", git_variables(), token)

    def of_run(self, run_id: int) -> Path:
        """The folder of a run: there until the run has ended."""
        return self.settings.folder / "work" / f"run-{run_id}"

    def remove(self, run_id: int) -> None:
        """The run has ended."""
        shutil.rmtree(self.of_run(run_id), ignore_errors=True)

    def command_variables(self, app: str, work: Path, commit: str) -> dict[str, str]:
        """The environment of an application's commands. HOME is the application's own, so that its tools' caches last
        from run to run; TMPDIR is the run's."""
        home, scratch = self.settings.folder / "homes" / app, work / "tmp"
        for folder in (home, scratch):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = (*PASSED, *self.settings.build_env)
        kept = {name: self.variables[name] for name in names if name in self.variables}
        return kept | {"HOME": str(home), "TMPDIR": str(scratch), "CI": "true", "HEADWAY_COMMIT": commit}


class Watch:
    """Looks after one run while it works: whether somebody cancelled it, whether it takes too much disk.

    `cancelled` asks the database and says by whom. `stopping` is set when the process ends.
    """

    def __init__(
        self,
        folder: Path,
        settings: ServerSettings,
        cancelled: Callable[[], str],
        stopping: threading.Event,
    ) -> None:
        self._folder, self._settings, self._cancelled = folder, settings, cancelled
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
        count = 0
        while self.reason is None:
            by = self._cancelled()
            if by:
                self.by, self.reason = by, f"cancelled by {by}"
                return
            if count % _SIZE_EVERY == 0:
                self.reason = self._too_much()
            count += 1
            if self._ended.wait(_LOOK_SECONDS):
                return

    def _too_much(self) -> str | None:
        limit = self._settings.work_gib * 2**30
        if size_of(self._folder) > limit:
            return f"its work folder holds more than {self._settings.work_gib:g} GiB"
        self._settings.folder.mkdir(parents=True, exist_ok=True)
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
