"""The process that Python runs are forked from: everything slow is imported once, before the first run.

One JSON object a line. In: `{"op": "run", "run", "port", "secret", "log", "outcome", "kind", …}` and
`{"op": "cancel", "run"}`. Out: `{"run", "status"}` when a run has ended. It ends, with every run, when its standard
input does: when the driver's JVM is gone.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import sys
from typing import Any

from . import child


def preload() -> None:
    """Import what nearly every Spark program needs, and keep the collector from touching (copying) those pages."""
    import pyspark.cloudpickle
    import pyspark.ml
    import pyspark.sql.functions
    import pyspark.sql.pandas.types  # noqa: F401

    with contextlib.suppress(ImportError):  # a runtime may be without them
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    gc.collect()
    gc.freeze()


class Zygote:
    """Runs by process id; answers go to `answers`, the standard output this process was started with."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.runs: dict[int, str] = {}

    def handle(self, request: dict[str, Any]) -> None:
        """Do what one line asks."""
        if request["op"] == "run":
            pid = os.fork()
            if pid == 0:
                os.close(self.answers)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                child.main(request)
            self.runs[pid] = request["run"]
        else:
            for pid, run in self.runs.items():
                if run == request["run"]:
                    end(pid)

    def reap(self) -> None:
        """Tell of every run that has ended."""
        while self.runs:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            run = self.runs.pop(pid, None)
            end(pid)  # what the run started and left behind
            if run is not None:
                answer = {"run": run, "status": os.waitstatus_to_exitcode(status)}
                os.write(self.answers, (json.dumps(answer) + "\n").encode())


def end(pid: int) -> None:
    """Kill a run's whole process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Serve until standard input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not look like an answer
    preload()
    zygote = Zygote(answers)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    rest = b""
    while True:
        for key, _ in selector.select():
            if key.fd == woken:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
                zygote.reap()
                continue
            data = os.read(0, 1 << 16)
            if not data:
                for pid in zygote.runs:
                    end(pid)
                sys.exit(0)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                zygote.handle(json.loads(line))


if __name__ == "__main__":
    main()
