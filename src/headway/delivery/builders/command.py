"""Any build tool: a command that leaves one file."""

import shutil
import zipfile
from pathlib import Path

from headway.adapters.process import run_command
from headway.core.application import ArtifactSettings
from headway.core.errors import HeadwayError
from headway.core.events import Emit, LogLine
from headway.delivery.builders.archive import SOURCE_DATE_EPOCH, normalise_jar, normalise_wheel
from headway.delivery.builders.selection import the_only
from headway.delivery.toolchain import Toolchain

TIMEOUT_SECONDS = 3600


def build_by_command(
    settings: ArtifactSettings, version: str, folder: Path, out: Path, tools: Toolchain, log: Path, emit: Emit
) -> Path:
    """Run the command at the root and take the one file that matches `output`. Raise HeadwayError BUILD_…

    A JAR is named `<name>-<version>.jar`; a wheel keeps the name that its own rules give it. Both are written anew
    without the time and place of the build, so that the same content is the same bytes whatever tool made it.
    """
    done = run_command(
        settings.command or "",
        cwd=folder,
        environment={"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH, **tools.environment(version)},
        timeout_seconds=TIMEOUT_SECONDS,
        log=log,
        on_line=lambda line: emit(LogLine(settings.name, line)),
        supervision=tools.supervision,
    )
    if done.status != 0:
        lines = done.output.strip().splitlines()
        reason = "it took too long" if done.timed_out else lines[-1] if lines else f"status {done.status}"
        raise HeadwayError("BUILD_FAILED", artifact=settings.name, reason=reason, log=log)
    pattern = settings.output or ""
    built = the_only(folder.glob(pattern), settings.name, pattern)
    target = out / (f"{settings.name}-{version}.jar" if settings.kind == "jar" else built.name)
    normalise = normalise_jar if settings.kind == "jar" else normalise_wheel
    try:
        normalise(built, target)
    except zipfile.BadZipFile:
        shutil.copyfile(built, target)  # told as ARTIFACT_NOT_A_ZIP, with its name
    return target
