"""Runs the `headway` command in processes of their own, forked from one that has imported everything: a start costs
milliseconds, and each is a real process that a real SIGKILL ends."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Deployers:
    """The process that forks them."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "deployer.log"
        tests, source = Path(__file__).parent.parent, Path(__file__).parents[2] / "src"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.deployer"],
            env={**os.environ, "PYTHONPATH": f"{tests}:{source}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that forks deployers has ended"
        return json.loads(line)

    def start(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> int:
        """Start `headway …` in a folder; return its process id. One at a time."""
        assert self._process.stdin is not None
        request = {"arguments": list(arguments), "folder": str(folder), "variables": dict(variables)}
        self._process.stdin.write(json.dumps({**request, "log": str(self._log)}) + "\n")
        self._process.stdin.flush()
        return int(self._read())

    def wait(self) -> int:
        """How it ended: its exit status, or minus the signal that ended it."""
        return int(self._read())

    def told(self) -> str:
        """What it printed."""
        return self._log.read_text()

    def close(self) -> None:
        """End the process that forks them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _run(request: Mapping[str, Any]) -> None:
    """In the forked process: be the command."""
    from headway.cli.main import main

    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, null), (1, log), (2, log)):
        os.dup2(file, number)
    os.environ.update(request["variables"])
    os.chdir(request["folder"])
    sys.argv = ["headway", *request["arguments"]]
    status: Any = 1
    try:
        main()
        status = 0
    except SystemExit as error:
        status = error.code
    except BaseException:  # noqa: BLE001  (this process ends here; its log tells)
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def serve() -> None:
    """Fork a command for each line that comes, until there are none."""
    import gc

    import databricks.sdk
    import databricks.sdk.service.workspace
    import requests

    import headway.cli.main
    import headway.delivery.verifying  # noqa: F401

    assert databricks.sdk
    assert requests
    gc.freeze()
    _say("ready")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        _say(child)
        _, state = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(state))


if __name__ == "__main__":
    serve()
