"""The server's log on standard error: JSON lines or text, without secrets, each line with the run it is about."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_QUIET = ("alembic", "httpx", "urllib3", "databricks", "dbos")
_about: ContextVar[Mapping[str, Any]] = ContextVar("about")
_mask: list[Callable[[str], str]] = []


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """What is logged in this block is about that run."""
    token = _about.set(fields)
    try:
        yield
    finally:
        _about.reset(token)


def mask_with(mask: Callable[[str], str]) -> None:
    """Take secrets out of every line from now on."""
    _mask[:] = [mask]


class _Lines(logging.Formatter):
    """Takes secrets out of what another form made."""

    def shown(self, text: str) -> str:
        """The text without them."""
        return _mask[0](text) if _mask else text


class JsonLines(_Lines):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        said = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            **_about.get({}),
            "message": self.shown(record.getMessage()),
        }
        if record.exc_info:
            said["trace"] = self.shown(self.formatException(record.exc_info))
        return json.dumps(said)


class TextLines(_Lines):
    """One line for people per record, and the traceback after it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return self.shown(super().format(record))


def set_up_logging(kind: str) -> None:
    """Log to standard error: `json` or `text`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if kind == "json" else TextLines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
