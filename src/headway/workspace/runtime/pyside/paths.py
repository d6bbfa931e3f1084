"""`/dbfs/…`, `/Volumes/…` and `/Workspace/…` as local paths of a run.

Where the machine allows it they are mounted (`runtime/mounting.py`), and there is nothing to do here. Elsewhere the
functions of Python through which files are opened map the three prefixes to the folders behind them; what opens files
by itself (Arrow, programs that a run starts) sees only real paths then.
"""

import builtins
import functools
import io
import os
import os.path
from collections.abc import Callable, Mapping
from typing import Any

plain_open = builtins.open

_ONE_PATH = {
    *("stat", "lstat", "listdir", "scandir", "walk", "access", "readlink", "open", "truncate", "chmod", "utime"),
    *("mkdir", "makedirs", "remove", "unlink", "rmdir", "removedirs", "chdir"),
}
_TWO_PATHS = {"rename", "replace", "link", "symlink"}


def mapped(path: Any, roots: Mapping[str, str]) -> Any:
    """The local path that `path` means; `path` itself where it is below none of the prefixes."""
    if isinstance(path, int):
        return path
    text = os.fspath(path)
    if isinstance(text, bytes):
        return path
    for prefix, root in roots.items():
        if text == prefix or text.startswith(prefix + "/"):
            return root + text[len(prefix) :]
    return path


def install(roots: Mapping[str, str]) -> None:
    """Map paths in this process from now on, unless they are mounted. `roots` gives the folder of each prefix."""
    if os.environ.get("HEADWAY_FILES") == "mounted":
        return
    for name in _ONE_PATH:
        setattr(os, name, _wrapped(getattr(os, name), 1, roots))
    for name in _TWO_PATHS:
        setattr(os, name, _wrapped(getattr(os, name), 2, roots))
    os.path.exists = _wrapped(os.path.exists, 1, roots)
    os.path.isfile = _wrapped(os.path.isfile, 1, roots)
    os.path.isdir = _wrapped(os.path.isdir, 1, roots)
    opened = _wrapped(plain_open, 1, roots)
    builtins.open = opened
    io.open = opened


def _wrapped(function: Callable[..., Any], count: int, roots: Mapping[str, str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        first = tuple(mapped(argument, roots) for argument in arguments[:count])
        for key in ("path", "file", "src", "dst", "top"):
            if key in named:
                named[key] = mapped(named[key], roots)
        return function(*first, *arguments[count:], **named)

    return call
