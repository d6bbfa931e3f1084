"""One Python run, in a process forked for it: attach to the driver's session, run the task, tell how it ended."""

import contextlib
import importlib
import importlib.metadata
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from . import dbutils, kernel, notebook, paths, repl, session
from .frames import own_frames

TRACE_LIMIT = 64 * 1024


def main(request: dict[str, Any], output: int, channel: socket.socket | None) -> NoReturn:
    """Run one request; never return. It prints to `output`; what it tells goes to the file `outcome`, and for a context
    to `channel`."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    _be_first_to_go()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    secrets = kernel.Secrets()
    told: dict[str, Any] = {"error": "", "trace": "", "notebook_result": None}
    status = 0
    try:
        told["notebook_result"] = run(request, channel, secrets)
    except SystemExit as asked:
        status = exit_status(asked)
        if status:
            told["error"] = f"SystemExit: {asked.code}"
    except notebook.NotebookExit as ended:
        told["notebook_result"] = secrets.redacted(ended.value)
    except BaseException as thrown:  # noqa: BLE001  (whatever user code raises is how its run ended)
        status = 1
        trace = "".join(traceback.format_exception(type(thrown), thrown, own_frames(thrown)))
        if isinstance(thrown, kernel.CellFailed):
            trace = thrown.trace or str(thrown)
        trace = secrets.redacted(trace)
        sys.stderr.write(trace)
        name = "" if isinstance(thrown, kernel.CellFailed) else f"{type(thrown).__name__}: "
        told["error"] = secrets.redacted((f"{name}{thrown}".strip().splitlines() or [type(thrown).__name__])[0])
        told["trace"] = trace[-TRACE_LIMIT:]
    sys.stdout.flush()
    sys.stderr.flush()
    draft = request["outcome"] + ".draft"
    with paths.plain_open(draft, "w", encoding="utf-8") as target:
        json.dump(told, target)
    os.rename(draft, request["outcome"])
    os._exit(status)


def _be_first_to_go() -> None:
    """Where the machine runs out of memory, the kernel ends this run, not the driver that others share."""
    with contextlib.suppress(OSError), paths.plain_open("/proc/self/oom_score_adj", "w") as score:
        score.write("800")


def exit_status(asked: SystemExit) -> int:
    """The status that Python itself would end with."""
    if asked.code is None:
        return 0
    if isinstance(asked.code, int):
        return asked.code & 0xFF
    sys.stderr.write(f"{asked.code}\n")
    return 1


def run(request: dict[str, Any], channel: socket.socket | None, secrets: kernel.Secrets) -> str | None:
    """Run the task that the request describes; a notebook gives its exit value."""
    sys.path[:0] = [request["packages"], *request["python_path"]]
    importlib.invalidate_caches()
    os.environ.update(request["env"])
    paths.install(request["roots"])
    spark = session.attach(request["port"], request["secret"], [request["packages"], *request["python_path"]])
    utilities = dbutils.DbUtils(spark, request, secrets)
    dbutils.publish(utilities)
    match request["kind"]:
        case "repl":
            assert channel is not None  # noqa: S101  (the zygote makes one for this kind)
            repl.serve(channel, kernel.Kernel(spark, utilities, secrets, request["packages"]))
        case "file":
            sys.argv = [request["path"], *request["parameters"]]
            sys.path.insert(0, os.path.dirname(request["path"]))
            runpy.run_path(request["path"], run_name="__main__")
        case "wheel":
            sys.argv = [request["entry_point"], *request["parameters"]]
            entry = entry_point(request["package_name"], request["entry_point"])
            result = entry()
            if isinstance(result, int) and not isinstance(result, bool) and result:
                raise SystemExit(result)
        case "notebook":
            return notebook.run(request, spark, utilities, secrets)
    return None


def entry_point(package: str, name: str) -> Callable[[], Any]:
    """The function that a wheel task names: an entry point of the distribution, of whatever group, or a function of
    the package itself (`package.name()`), as the Jobs API describes python_wheel_task.entry_point."""
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"no library of this task installs a package named {package}") from None
    for entry in distribution.entry_points:
        if entry.name == name:
            return _callable(entry.load(), f"{package}: {entry.value}")
    module = importlib.import_module(package.replace("-", "_"))
    if not hasattr(module, name):
        known = ", ".join(sorted({entry.name for entry in distribution.entry_points})) or "none"
        raise ImportError(f"{package} has no entry point or function {name}; its entry points: {known}")
    return _callable(getattr(module, name), f"{package}.{name}")


def _callable(found: Any, what: str) -> Callable[[], Any]:
    if not callable(found):
        raise TypeError(f"{what} is not a function")
    return found  # type: ignore[no-any-return]
