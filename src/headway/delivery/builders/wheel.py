"""Python wheels, by the project's own build backend."""

import email.parser
import sys
import zipfile
from pathlib import Path

from headway.adapters.process import run_command
from headway.core.application import ArtifactSettings
from headway.core.errors import HeadwayError
from headway.core.events import Emit, LogLine
from headway.delivery.builders.archive import SOURCE_DATE_EPOCH, normalise_wheel
from headway.delivery.builders.selection import the_only
from headway.delivery.toolchain import Toolchain

TIMEOUT_SECONDS = 900


def build_wheel(
    settings: ArtifactSettings, version: str, folder: Path, out: Path, tools: Toolchain, log: Path, emit: Emit
) -> Path:
    """The wheel of the project at `settings.path`, in `out`. Raise HeadwayError BUILD_…

    The backend is that of this Python (no isolation: nothing is fetched). HEADWAY_VERSION tells it the version.
    """
    project = folder / (settings.path or ".")
    scratch = out / f"{settings.name}.wheel"
    scratch.mkdir()
    environment = {**tools.environment(version), "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(scratch), str(project)]
    done = run_command(
        command,
        cwd=folder,
        environment=environment,
        timeout_seconds=TIMEOUT_SECONDS,
        log=log,
        on_line=lambda line: emit(LogLine(settings.name, line)),
        supervision=tools.supervision,
    )
    if done.status != 0:
        lines = [line for line in done.output.strip().splitlines() if line.strip()]
        reason = "it took too long" if done.timed_out else lines[-1] if lines else f"status {done.status}"
        raise HeadwayError("BUILD_FAILED", artifact=settings.name, reason=reason, log=log)
    built = the_only(scratch.glob("*.whl"), settings.name, "*.whl")
    found = _version(built)
    if found != version:
        reason = (
            f"the wheel says that it is version {found}, not {version}: let the project take its version from the "
            "environment variable HEADWAY_VERSION (a dynamic version in pyproject.toml)"
        )
        raise HeadwayError("BUILD_FAILED", artifact=settings.name, reason=reason, log=log)
    target = out / built.name
    normalise_wheel(built, target)
    return target


def _version(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.parser.Parser().parsestr(archive.read(name).decode("utf-8"))
    return str(metadata["Version"])
