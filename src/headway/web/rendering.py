"""Templates and how values look in them. Everything is escaped; no template says otherwise."""

import datetime
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import resources
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader
from jinja2.ext import Extension

from headway import __version__
from headway.core.shapes import text as one_line
from headway.web.words import WORDS, tone

STATIC = {
    "htmx.js": "htmx-2.0.11.min.js",
    "sse.js": "htmx-ext-sse-2.2.4.min.js",
    "app.js": "app.js",
    "style.css": "style.css",
    "icon.svg": "icon.svg",
}


class Rendering:
    """Renders templates. `now_ms` is the clock; `workspace` the host whose jobs and runs have pages here."""

    def __init__(self, now_ms: Callable[[], int], workspace: str = "") -> None:
        self._now = now_ms
        self.files = {name: _static(file) for name, file in STATIC.items()}
        loader = PackageLoader("headway.web", "templates")
        self._jinja = Environment(
            loader=loader,
            autoescape=True,
            undefined=ChainableUndefined,  # what a workspace tells may lack any field
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Roles],
        )
        self._jinja.filters |= {
            "ago": self.ago,
            "when": when,
            "duration": duration,
            "size": size,
            "tone": tone,
            "word": lambda state: WORDS.get(str(state), str(state).replace("_", " ").lower()),
            "line": one_line,
            "pretty": lambda value: json.dumps(value, indent=2, default=str, ensure_ascii=False),
        }
        self._jinja.globals |= {"asset": self.asset, "version": __version__, "page_at": partial(page_at, workspace)}

    def asset(self, name: str) -> str:
        """The address of a file; another one when its content is another, so that it can be kept for ever."""
        return f"/static/{hashlib.sha256(self.files[name]).hexdigest()[:12]}/{name}"

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """A template as text."""
        return self._jinja.get_template(template).render(**values)

    def ago(self, at_ms: int | None) -> str:
        """How long something is past."""
        if not at_ms:
            return "never"
        seconds = max(0, (self._now() - at_ms) // 1000)
        for limit, unit, word in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
            if seconds < limit:
                return "just now" if seconds < 5 else f"{seconds // unit} {word} ago"
        return f"{seconds // 86400} days ago"


def page_at(workspace: str, host: object, path: str, other: str) -> str:
    """Where something of the workspace `host` is shown: at `other` over there where it is another one than our own
    `workspace`, else at `path` here."""
    name = str(host or "").rstrip("/")
    foreign = name != workspace.rstrip("/") and name.startswith(("https://", "http://"))
    return f"{name}{other}" if foreign else path


class _Roles(Extension):
    """Says of every table what its parts are: style sheets that lay rows out as cards hide that from screen readers."""

    _ROLES = (
        (re.compile(r"<table(?=[ >])"), '<table role="table"'),
        (re.compile(r"<(thead|tbody)>"), r'<\1 role="rowgroup">'),
        (re.compile(r"<tr>"), '<tr role="row">'),
        (re.compile(r"<td(?=[ >])"), '<td role="cell"'),
        (re.compile(r'<th scope="col"'), '<th role="columnheader" scope="col"'),
        (re.compile(r'<th scope="row"'), '<th role="rowheader" scope="row"'),
    )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The template's text with them."""
        for pattern, replacement in self._ROLES:
            source = pattern.sub(replacement, source)
        return source


def _static(name: str) -> bytes:
    return (resources.files("headway.web") / "static" / name).read_bytes()


def when(at_ms: int | None) -> str:
    """A moment, in UTC."""
    if not at_ms:
        return ""
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float | None) -> str:
    """A length of time, as short as people say it."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.0f} s" if seconds == round(seconds) else f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours / 24:.1f} days"


def size(count: float) -> str:
    """Bytes."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
