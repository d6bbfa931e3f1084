"""Reads what drivers and runs wrote: event logs, as far as they have grown since the last look, and pieces of logs."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headway.workspace.services.monitoring.model import EventLog, added

_LOGS_KEPT = 16
PIECE_BYTES = 1024 * 1024


@dataclass
class _Reading:
    offset: int = 0
    log: EventLog = field(default_factory=EventLog)


class EventLogs:
    """Event logs by file. Those that were read last are kept in memory with how far they were read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: OrderedDict[tuple[int, int], _Reading] = OrderedDict()

    def metrics(self, folders: Sequence[Path], driver_run: str) -> dict[str, int] | None:
        """The figures of a run from the logs in these folders; None where there is no log."""
        files = event_logs(folders)
        return added(self._read(file).of(driver_run) for file in files) if files else None

    def _read(self, path: Path) -> EventLog:
        with self._lock:  # one at a time: each may be large
            try:
                source = path.open("rb")
            except FileNotFoundError:  # renamed this moment, as its driver ends
                source = path.with_name(path.name.removesuffix(".inprogress")).open("rb")
            with source:
                status = path.stat() if path.exists() else path.with_name(path.name.removesuffix(".inprogress")).stat()
                key = (status.st_dev, status.st_ino)  # it is renamed when its driver ends, and moved
                reading = self._readings.pop(key, None)
                if reading is None or reading.offset > status.st_size:
                    reading = _Reading()
                self._readings[key] = reading
                while len(self._readings) > _LOGS_KEPT:
                    self._readings.popitem(last=False)
                source.seek(reading.offset)
                for line in source:
                    if not line.endswith(b"\n"):  # being written
                        break
                    reading.offset += len(line)
                    reading.log.feed(line.decode("utf-8", "replace"))
                return reading.log


def read_logs(folders: Sequence[Path]) -> list[EventLog]:
    """The event logs in folders of drivers that have ended, each read once and not kept."""
    found = []
    for path in event_logs(folders):
        found.append(EventLog())
        with path.open(encoding="utf-8", errors="replace") as source:
            for line in source:
                if line.endswith("\n"):  # the last one of a driver that was killed may be half a line
                    found[-1].feed(line)
    return found


def event_logs(folders: Sequence[Path]) -> list[Path]:
    """The event logs in folders of drivers, in the order of the folders."""
    return [file for folder in folders for file in sorted((folder / "eventlog").glob("*")) if file.is_file()]


def application_of(log: Path) -> str:
    """The application whose event log this is."""
    return log.name.removesuffix(".inprogress")


def piece(path: Path, offset: int, *, growing: bool) -> tuple[str, int, int]:
    """A piece of a log from `offset` (from the end, where it is negative), where to go on, and the log's size.

    While it grows the piece ends with a whole line: what is to be left out of it may be half written.
    """
    try:
        with path.open("rb") as source:
            size = path.stat().st_size
            start = max(0, size + offset) if offset < 0 else min(offset, size)
            source.seek(start)
            found = source.read(PIECE_BYTES)
    except FileNotFoundError:
        return "", 0, 0
    whole = found.rfind(b"\n") + 1
    if (growing or start + len(found) < size) and (whole or len(found) < PIECE_BYTES):
        found = found[:whole]
    return found.decode("utf-8", "replace"), start + len(found), size
