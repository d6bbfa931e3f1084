"""One Python run, in a process forked for it: attach to the driver's session, run the task, tell how it ended."""

import importlib
import importlib.metadata
import json
import os
import runpy
import signal
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

from . import dbutils, notebook, paths, session

TRACE_LIMIT = 64 * 1024


def main(request: dict[str, Any]) -> NoReturn:
    """Run one request; never return. What it tells goes to the file `outcome`."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(request["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    told: dict[str, Any] = {"error": "", "trace": "", "notebook_result": None}
    status = 0
    try:
        told["notebook_result"] = run(request)
    except SystemExit as asked:
        status = exit_status(asked)
        if status:
            told["error"] = f"SystemExit: {asked.code}"
    except notebook.NotebookExit as ended:
        told["notebook_result"] = ended.value
    except BaseException as thrown:  # noqa: BLE001  (whatever user code raises is how its run ended)
        status = 1
        trace = "".join(traceback.format_exception(type(thrown), thrown, own_frames(thrown)))
        sys.stderr.write(trace)
        told["error"] = f"{type(thrown).__name__}: {thrown}".strip().splitlines()[0]
        told["trace"] = trace[-TRACE_LIMIT:]
    sys.stdout.flush()
    sys.stderr.flush()
    draft = request["outcome"] + ".draft"
    with paths.plain_open(draft, "w", encoding="utf-8") as target:
        json.dump(told, target)
    os.rename(draft, request["outcome"])
    os._exit(status)


def own_frames(thrown: BaseException) -> types.TracebackType | None:
    """The traceback from the user's first frame on: ours, and the loader's, say nothing to them."""
    here = os.path.dirname(__file__)
    frames = thrown.__traceback__
    while frames is not None:
        name = frames.tb_frame.f_code.co_filename
        if not name.startswith((here, "<frozen")) and os.path.basename(name) != "runpy.py":
            return frames
        frames = frames.tb_next
    return thrown.__traceback__


def exit_status(asked: SystemExit) -> int:
    """The status that Python itself would end with."""
    if asked.code is None:
        return 0
    if isinstance(asked.code, int):
        return asked.code & 0xFF
    sys.stderr.write(f"{asked.code}\n")
    return 1


def run(request: dict[str, Any]) -> str | None:
    """Run the task that the request describes; a notebook gives its exit value."""
    sys.path[:0] = request["python_path"]
    importlib.invalidate_caches()
    os.environ.update(request["env"])
    paths.install(request["roots"])
    spark = session.attach(request["port"], request["secret"], request["python_path"])
    utilities = dbutils.DbUtils(spark, request["context"], request["roots"], request["widgets"], request["scratch"])
    dbutils.publish(utilities)
    match request["kind"]:
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
            return notebook.run(request, spark, utilities)
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
