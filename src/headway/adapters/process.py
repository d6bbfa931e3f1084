"""Run other programs: limits, output as it comes, the whole process group ended together."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.core.errors import HeadwayError

TAIL_BYTES = 64 * 1024
LINE_BYTES = 64 * 1024
_LOOK_SECONDS = 0.2
_SWEEPS = 5


@dataclass(frozen=True)
class Finished:
    """How a program ended. `output` is what it printed (standard output and error), at most its last 64 KiB.
    `status` is the exit status, negative for a signal; `timed_out` says that we ended it."""

    status: int
    output: str
    seconds: float
    timed_out: bool = False


@dataclass(frozen=True)
class Supervision:
    """Who may end a command before its time. `halted` is asked several times a second and says why, or None;
    `output_bytes` is what one command may print at most."""

    halted: Callable[[], str | None] = lambda: None
    output_bytes: int | None = None


def run_command(
    command: Sequence[str] | str,
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    supervision: Supervision | None = None,
) -> Finished:
    """Run an argument list, or a line of shell, to its end.

    What it prints goes to `log` and, line by line, to `on_line` (a line of more than 64 KiB in pieces). The whole
    process group is killed when the time is over, when `supervision` ends it, and when an exception (Ctrl-C) comes from
    elsewhere. Raise FileNotFoundError where there is no such program, HeadwayError STEP_HALTED where it was ended.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=None if environment is None else dict(environment),
        shell=isinstance(command, str),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = None if timeout_seconds is None else began + timeout_seconds
    collected = bytearray()
    printed = 0
    timed_out = False
    try:
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(log.open("ab")) if log is not None else None
            rest = b""
            for chunk in _chunks(process, deadline, supervision):
                if chunk is None:
                    timed_out = True
                    break
                printed += len(chunk)
                if supervision is not None and supervision.output_bytes is not None:
                    _require_less(printed, supervision.output_bytes, command)
                if sink is not None:
                    sink.write(chunk)
                    sink.flush()
                collected += chunk
                del collected[: max(0, len(collected) - TAIL_BYTES)]
                if on_line is not None:
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > LINE_BYTES:
                        lines, rest = [*lines, rest], b""
                    for line in lines:
                        on_line(line.decode("utf-8", "replace"))
            if rest and on_line is not None:
                on_line(rest.decode("utf-8", "replace"))
        if not timed_out:
            process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return Finished(process.returncode, collected.decode("utf-8", "replace"), time.monotonic() - began, timed_out)


def _require_less(printed: int, limit: int, command: Sequence[str] | str) -> None:
    if printed > limit:
        reason = f"it printed more than {limit / 2**20:.0f} MiB"
        raise HeadwayError("STEP_HALTED", what=_shown(command), reason=reason)


def _shown(command: Sequence[str] | str) -> str:
    return (command if isinstance(command, str) else Path(command[0]).name)[:80]


def _chunks(
    process: "subprocess.Popen[bytes]", deadline: float | None, supervision: Supervision | None
) -> Iterator[bytes | None]:
    """What the process prints, as it comes; None when the deadline has passed. It ends with the process, though
    something that it left behind (a daemon) still holds its output."""
    assert process.stdout is not None  # noqa: S101  (it was asked for)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            wait = None if deadline is None else deadline - time.monotonic()
            if wait is not None and wait <= 0:
                yield None
                return
            if supervision is not None:
                reason = supervision.halted()
                if reason is not None:
                    what = _shown(process.args if isinstance(process.args, str) else list(process.args))  # type: ignore[arg-type]
                    raise HeadwayError("STEP_HALTED", what=what, reason=reason)
            wait = _LOOK_SECONDS if wait is None else min(wait, _LOOK_SECONDS)
            ended = process.poll() is not None  # asked before the look: what it printed at its end is there by then
            if selector.select(wait):
                data = os.read(process.stdout.fileno(), 1 << 16)
                if not data:
                    return
                yield data
            elif ended:
                return


def end_all_with(variable: str, value: str) -> int:
    """Kill every process of this user that was started with that environment variable, and what it had started: those
    that left their process group (daemons) too. Return how many. Nothing is done where there is no /proc."""
    wanted = f"{variable}={value}".encode()
    ended: set[int] = set()
    for _ in range(_SWEEPS):
        found = [pid for pid in _processes() if wanted in _environment(pid)]
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended.add(pid)
        if not found:
            break
    return len(ended)


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return []


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
