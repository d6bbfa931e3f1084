"""File arrivals: from looks at a place, whether a run is due. Pure.

Source: Databricks REST API, Jobs 2.2, `trigger.file_arrival`: only files that are new or written again count, those
that lie there when the trigger begins do not.
"""

from collections.abc import Mapping
from typing import Any

from headway.workspace.engine.triggers import FileArrival

Files = Mapping[str, Any]


class Arrivals:
    """What was seen at a place. `state` is what an earlier one kept; another place begins anew."""

    def __init__(self, arrival: FileArrival, state: Mapping[str, Any]) -> None:
        self._arrival = arrival
        known = state if state.get("url") == arrival.url else {}
        self._done: Files | None = known.get("files")
        self._last_ms: int | None = known.get("last_ms")
        self._seen: Files = self._done or {}
        self._changed_ms: int | None = None

    def begin(self, files: Files) -> bool:
        """Before the first look: what lies there counts as seen, unless an earlier look is known. Return whether there
        is something to keep."""
        if self._done is not None:
            return False
        self._done = self._seen = dict(files)
        return True

    def look(self, files: Files, now_ms: int) -> bool:
        """Whether a run is due for what has come since the last one."""
        if files != self._seen:
            self._changed_ms = now_ms
            self._seen = dict(files)
        done = self._done or {}
        new = any(done.get(path) != what for path, what in files.items())
        if not new:
            # What only went away is not waited for: a file of that name may come again.
            self._done = dict(files)
            return False
        if self._last_ms is not None and now_ms - self._last_ms < self._arrival.at_least_ms:
            return False
        if self._changed_ms is not None and now_ms - self._changed_ms < self._arrival.quiet_ms:
            return False
        self._done, self._last_ms = dict(files), now_ms
        return True

    def state(self) -> dict[str, Any]:
        """What must be known after a restart."""
        return {"url": self._arrival.url, "files": dict(self._done or {}), "last_ms": self._last_ms}
