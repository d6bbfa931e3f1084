"""Drivers that a killed workspace left behind: ended before the next one starts its own."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Collection
from pathlib import Path


def end_leftovers(folder: Path, adopted: Collection[Path] = ()) -> list[int]:
    """End every driver whose folder lies in `folder`, and remove what it left; return the process ids that were ended.
    Those whose folders are `adopted` live on.

    Only a process whose command line names the driver's own folder is touched: a process id may be another's by now.
    """
    ended = []
    for own in folder.iterdir() if folder.is_dir() else ():
        if own in adopted:
            continue
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            pid = int(json.loads((own / "driver.json").read_text())["pid"])
            if str(own).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                os.killpg(pid, signal.SIGKILL)
                ended.append(pid)
        shutil.rmtree(own, ignore_errors=True)
    return ended
