"""A context: a run that stays, and executes one command after another."""

import json
import signal
import socket
import sys
import textwrap
import traceback
from typing import Any

from . import kernel, results
from .frames import own_frames
from .notebook import NotebookExit

ROWS = 1000


def serve(channel: socket.socket, cells: kernel.Kernel) -> None:
    """Execute what comes, until the other end is closed. An interrupt ends the present command and nothing else."""
    busy = interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if busy:
            interrupted = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    lines = channel.makefile("rb")
    _send(channel, {"ready": True})
    for number, line in enumerate(iter(lines.readline, b"")):
        command = json.loads(line)
        interrupted = False
        found: dict[str, Any]
        try:
            busy = True
            found = command_result(cells, command, f"<command-{number + 1}>")
            busy = False
        except KeyboardInterrupt:  # it came while the result was made
            found = {"state": "CANCELED"}
        finally:
            busy = False
        if interrupted:
            found["state"] = "CANCELED"
        sys.stdout.flush()
        sys.stderr.flush()
        _send(channel, found)


def _send(channel: socket.socket, told: dict[str, Any]) -> None:
    channel.sendall(json.dumps(told).encode() + b"\n")


def level(text: str) -> str:
    """The text without the indentation of its first line, where that is on all: programs send code as it stands in
    theirs, and IPython takes it so."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return textwrap.dedent(text) if first[:1].isspace() else text


def command_result(cells: kernel.Kernel, command: dict[str, Any], name: str) -> dict[str, Any]:
    """Execute one command; what the API tells of its end."""
    from .notebook import cells as parsed

    language = command["language"].upper()
    try:
        for cell in parsed(command["code"], language):
            text = level(cell.text) if language == "PYTHON" else cell.text
            cells.execute(cell.magic, text, name, cell.line)
        return {"state": "FINISHED", "outputs": cells.take_outputs()}
    except NotebookExit as ended:
        cells.take_outputs()  # the value is the command's result, alone: clients parse it
        return {"state": "FINISHED", "outputs": [results.text(cells.redacted(ended.value))]}
    except kernel.CellFailed as failed:
        return {
            "state": "ERROR",
            "outputs": cells.take_outputs(),
            "summary": str(failed),
            "cause": failed.trace or str(failed),
        }
    except KeyboardInterrupt:
        return {"state": "CANCELED", "outputs": cells.take_outputs()}
    except SystemExit as asked:
        return {"state": "ERROR", "outputs": cells.take_outputs(), "summary": f"SystemExit: {asked.code}", "cause": ""}
    except BaseException as thrown:  # noqa: BLE001  (whatever user code raises is how its command ended)
        summary = f"{type(thrown).__name__}: {thrown}".strip()
        trace = "".join(traceback.format_exception(type(thrown), thrown, own_frames(thrown)))
        sys.stderr.write(trace)
        outputs = cells.take_outputs()
        return {"state": "ERROR", "outputs": outputs, "summary": summary, "cause": trace}
