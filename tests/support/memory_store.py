"""A store in memory, with the contract of the real ones: for properties over many generated fleets."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.adapters.objectstore import ObjectInfo, ObjectNotFound, PreconditionFailed


class MemoryStore:
    """`before` is called before each call, with its name and key. Stores made `beside` one share its content."""

    def __init__(self, before: Callable[[str, str], None] = lambda *_: None) -> None:
        self.content: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._before = before

    def beside(self, before: Callable[[str, str], None]) -> "MemoryStore":
        """The same content, seen by somebody else."""
        other = MemoryStore(before)
        other.content, other._lock = self.content, self._lock
        return other

    @property
    def url(self) -> str:
        """It."""
        return "memory://store"

    def get(self, key: str) -> tuple[bytes, str]:
        """The content and its tag. Raise ObjectNotFound."""
        self._before("get", key)
        with self._lock:
            if key not in self.content:
                raise ObjectNotFound(key)
            return self.content[key], _tag(self.content[key])

    def head(self, key: str) -> ObjectInfo | None:
        """What is there, or None."""
        self._before("head", key)
        with self._lock:
            found = self.content.get(key)
            return None if found is None else ObjectInfo(key, len(found), _tag(found))

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_tag: str | None = None) -> str:
        """Write, on a condition."""
        self._before("put", key)
        with self._lock:
            there = self.content.get(key)
            if if_absent and there is not None:
                raise PreconditionFailed(f"{key} exists")
            if if_tag is not None and (there is None or _tag(there) != if_tag):
                raise PreconditionFailed(f"{key} has changed")
            self.content[key] = data
            return _tag(data)

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        """The same for a file."""
        return self.put(key, path.read_bytes(), if_absent=if_absent)

    def download(self, key: str, path: Path) -> None:
        """Write the object to `path`."""
        path.write_bytes(self.get(key)[0])

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`."""
        for key in sorted(self.content):
            if key.startswith(prefix):
                yield ObjectInfo(key, len(self.content[key]), _tag(self.content[key]))

    def delete(self, key: str) -> None:
        """Remove it."""
        self._before("delete", key)
        self.content.pop(key, None)

    @contextmanager
    def share(self, key: str, *, expires_seconds: int) -> Iterator[str]:
        """Nothing in memory has a URL."""
        raise ObjectNotFound(f"{key} for {expires_seconds} s")
        yield ""


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
