"""Python libraries of runs: each wheel installed once into a folder of its own, which a run puts on its path."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from headway.workspace.runtime.tasks import Runtime


def overlay(package: Path, runtime: Runtime, cache: Path) -> Path:
    """The folder in which `package` (a wheel or an egg) is installed, without its dependencies: those are the
    runtime's. Made once per content. Raise ValueError with pip's words where it cannot be installed."""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    target = cache / "overlays" / runtime.key / digest[:32]
    if target.exists():
        return target
    if not zipfile.is_zipfile(package):
        raise ValueError(f"library {package.name} is not a zip archive")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix="draft-"))
    try:
        if package.suffix == ".egg":
            with zipfile.ZipFile(package) as archive:
                archive.extractall(draft)
        else:
            _install(package, runtime, draft)
        try:
            os.rename(draft, target)
        except OSError:
            if not target.exists():  # else another run was quicker
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _install(wheel: Path, runtime: Runtime, folder: Path) -> None:
    pip = [str(runtime.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    command = [*pip, "--no-deps", "--no-index", "--no-compile", "--target", str(folder), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().removeprefix("ERROR: ")
        raise ValueError(f"library {wheel.name} cannot be installed: {reason}")
