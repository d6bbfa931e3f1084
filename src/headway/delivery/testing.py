"""Run the application's own tests in its clean checkout."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headway.adapters.process import run_command
from headway.core.application import Application, TestStep
from headway.core.errors import HeadwayError
from headway.core.events import Emit, LogLine, Progress, TestsReported
from headway.core.release import TestResult
from headway.delivery import junit
from headway.delivery.builders.scala import run_scala_tests
from headway.delivery.toolchain import Toolchain

AT_ONCE = 2
_NAMED = 3


def run_tests(app: Application, folder: Path, logs: Path, tools: Toolchain, emit: Emit) -> tuple[TestResult, ...]:
    """Run every step, two at a time, each to its end. Raise HeadwayError TESTS_FAILED for the first that failed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(_run, app, step, folder, logs, tools, emit) for step in app.tests]
        return tuple(future.result() for future in running)


def _run(app: Application, step: TestStep, folder: Path, logs: Path, tools: Toolchain, emit: Emit) -> TestResult:
    log = logs / f"test-{step.name}.log"
    if step.artifact is not None:
        settings = next(artifact for artifact in app.artifacts if artifact.name == step.artifact)
        done = run_scala_tests(step, settings, folder, tools, log, emit)
    else:
        done = run_command(
            step.command or "",
            cwd=folder,
            environment=tools.environment(),
            timeout_seconds=step.timeout_minutes * 60,
            log=log,
            on_line=lambda line: emit(LogLine(step.name, line)),
            supervision=tools.supervision,
        )
    report = junit.read(folder, step.junit)
    emit(TestsReported(step.name, report.cases))
    if done.timed_out:
        raise HeadwayError("TESTS_FAILED", step=step.name, reason=f"no end within {step.timeout_minutes} min", log=log)
    if done.status != 0 or report.failed:
        lines = [line for line in done.output.strip().splitlines() if line.strip()]
        reason = "; ".join(report.failures[:_NAMED]) or (lines[-1] if lines else f"status {done.status}")
        raise HeadwayError("TESTS_FAILED", step=step.name, reason=reason, log=log)
    counts = f"{report.passed} passed" + (f", {report.skipped} skipped" if report.skipped else "")
    emit(Progress(f"{step.name}: {counts} in {done.seconds:.1f} s"))
    return TestResult(step.name, report.passed, report.failed, report.skipped, done.seconds)
