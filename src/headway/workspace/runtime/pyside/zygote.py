"""The process that Python runs are forked from: everything slow is imported once, before the first run.

One JSON object a line. In: `{"op": "run", "run", "port", "secret", "log", "outcome", "kind", …}`,
`{"op": "cancel", "run"}` and, for a run of kind `repl`, `{"op": "command", "run", …}` and `{"op": "interrupt", "run"}`.
Out: `{"run", "reply": {…}}` when a command has ended, `{"run", "status", "reason"}` when a run has. It ends, with every
run, when its standard input does: when the driver's JVM is gone.

What a run prints passes through here, so that no run fills the disk; what it starts is ended with it, also what made
itself a session of its own (a run is the reaper of its orphans while it lives, the zygote after that).
"""

import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
from typing import Any

from . import child
from .watching import ProcessTree, RunLog, resident_mb

WATCH_SECONDS = 0.5
MAX_PROCESSES = 2000
_PR_SET_CHILD_SUBREAPER = 36
_PIPE_BYTES = 1 << 20


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


def become_reaper() -> None:
    """Orphaned descendants of this process become its children (Linux; elsewhere nothing happens)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Fork:
    """A forked run, as the zygote sees it."""

    def __init__(self, pid: int, request: dict[str, Any], output: int, channel: socket.socket | None) -> None:
        self.pid, self.run = pid, str(request["run"])
        self.output, self.channel = output, channel
        self.memory_mb = int(request.get("memory_mb") or 0)
        self.log = RunLog(request["log"])
        self.reason = ""
        self.rest = b""


class Zygote:
    """Runs by process id; answers go to `answers`, the standard output this process was started with."""

    def __init__(self, answers: int, selector: selectors.BaseSelector) -> None:
        self.answers, self.selector = answers, selector
        self.forks: dict[int, Fork] = {}
        self.processes = ProcessTree()

    def handle(self, request: dict[str, Any]) -> None:
        """Do what one line asks."""
        if request["op"] == "run":
            self.start(request)
            return
        fork = next((fork for fork in self.forks.values() if fork.run == request["run"]), None)
        if fork is None:
            return
        match request["op"]:
            case "cancel":
                end(fork.pid)
            case "interrupt":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(fork.pid, signal.SIGINT)
            case "command" if fork.channel is not None:
                with contextlib.suppress(OSError):
                    fork.channel.sendall((json.dumps(request) + "\n").encode())

    def start(self, request: dict[str, Any]) -> None:
        """Fork a run."""
        output, write = os.pipe()
        ours, theirs = socket.socketpair() if request["kind"] == "repl" else (None, None)
        with contextlib.suppress(OSError, ImportError, AttributeError):
            import fcntl

            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        pid = os.fork()
        if pid == 0:
            self._forget_in_child()
            os.close(output)
            if ours is not None:
                ours.close()
            child.main(request, write, theirs)
        os.close(write)
        if theirs is not None:
            theirs.close()
        os.set_blocking(output, False)
        fork = Fork(pid, request, output, ours)
        self.forks[pid] = fork
        self.selector.register(output, selectors.EVENT_READ, lambda: self.pump(fork))
        if ours is not None:
            self.selector.register(ours, selectors.EVENT_READ, lambda: self.hear(fork))

    def _forget_in_child(self) -> None:
        """A run keeps nothing of the zygote's or of other runs': an open end would keep them from being seen to end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self.answers)
        for other in self.forks.values():
            other.log.close()
        for key in list(self.selector.get_map().values()):
            if key.fd != 0:
                os.close(key.fd)
        become_reaper()

    def pump(self, fork: Fork) -> bool:
        """What a run printed, into its log; False where there is nothing (more) for now."""
        try:
            data = os.read(fork.output, _PIPE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            fork.log.write(data)
            return True
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(fork.output)
        return False

    def hear(self, fork: Fork) -> None:
        """What a context tells: one line for each command that has ended, after all that it printed."""
        assert fork.channel is not None  # noqa: S101  (only contexts are listened to)
        try:
            data = fork.channel.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(fork.channel)
            return
        *lines, fork.rest = (fork.rest + data).split(b"\n")
        for line in lines:
            while self.pump(fork):
                pass
            self.answer({"run": fork.run, "reply": json.loads(line)})

    def answer(self, told: dict[str, Any]) -> None:
        """Tell the JVM."""
        view = memoryview((json.dumps(told) + "\n").encode())
        while view:
            view = view[os.write(self.answers, view) :]

    def reap(self) -> None:
        """Tell of every run that has ended, and end what it started and left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            fork = self.forks.pop(pid, None)
            if fork is None:
                continue  # an orphan of a run that has ended
            end(pid)
            self.end_orphans()
            while self.pump(fork):
                pass
            for end_of in (fork.output, fork.channel):
                if end_of is not None:
                    with contextlib.suppress(KeyError, ValueError):
                        self.selector.unregister(end_of)
            os.close(fork.output)
            if fork.channel is not None:
                fork.channel.close()
            fork.log.close()
            self.answer({"run": fork.run, "status": os.waitstatus_to_exitcode(status), "reason": fork.reason})

    def end_orphans(self) -> None:
        """Kill every child that is no run: the zygote has no others than the orphans of runs that have ended."""
        for _ in range(100):  # what a killed one started comes up in the next round
            orphans = [pid for pid in self.processes.children(os.getpid()) if pid not in self.forks]
            if not orphans:
                return
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            for pid in orphans:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def watch(self) -> None:
        """End a run that takes more memory, or starts more processes, than it may: only that run dies."""
        for fork in list(self.forks.values()):
            tree = self.processes.descendants(fork.pid)
            used = resident_mb([fork.pid, *tree], fork.memory_mb) if fork.memory_mb else 0
            if used > fork.memory_mb:
                fork.reason = (
                    f"the Python process used {used} MB of memory; "
                    f"its cluster gives it {fork.memory_mb} MB (out of memory)"
                )
            elif len(tree) > MAX_PROCESSES:
                fork.reason = f"the run started more than {MAX_PROCESSES} processes"
            else:
                continue
            end(fork.pid)


def end(pid: int) -> None:
    """Kill a run's whole process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)  # before it made itself a group


def main() -> None:
    """Serve until standard input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not look like an answer
    preload()
    become_reaper()
    selector = selectors.DefaultSelector()
    zygote = Zygote(answers, selector)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    rest = b""

    def asked() -> None:
        nonlocal rest
        data = os.read(0, 1 << 16)
        if not data:
            for pid in zygote.forks:
                end(pid)
            zygote.forks.clear()
            zygote.end_orphans()
            sys.exit(0)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            zygote.handle(json.loads(line))

    def ended() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 4096)
        zygote.reap()

    selector.register(0, selectors.EVENT_READ, asked)
    selector.register(woken, selectors.EVENT_READ, ended)
    while True:
        ready = selector.select(WATCH_SECONDS if zygote.forks else None)
        for key, _ in ready:
            if key.fileobj in (0, woken) or key.fd in selector.get_map():
                key.data()
        zygote.watch()


if __name__ == "__main__":
    main()
