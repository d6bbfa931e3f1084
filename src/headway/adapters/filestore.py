"""A store in a local folder (or one that several machines mount)."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.adapters.objectstore import ObjectInfo, ObjectNotFound, PreconditionFailed
from headway.core.errors import HeadwayError

_OWN = ".headway"


class FileStore:
    """Objects are plain files; their tag is the SHA-256 of the content. Conditional writes hold a lock."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own = root / _OWN

    @property
    def url(self) -> str:
        """`file:///…`."""
        return self._root.as_uri()

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not key or any(part in ("", ".", "..", _OWN) for part in parts) or "\0" in key:
            raise ValueError(f"not a key: {key!r}")
        return self._root.joinpath(*parts)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError) as error:
            raise ObjectNotFound(str(error)) from error
        except OSError as error:
            raise HeadwayError("STORE_UNREACHABLE", url=self.url, reason=error.strerror or str(error)) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            lock = (self._own / "lock").open("w")
        except OSError as error:
            raise HeadwayError("STORE_UNREACHABLE", url=self.url, reason=error.strerror or str(error)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def get(self, key: str) -> tuple[bytes, str]:
        """The content and its tag. Raise ObjectNotFound."""
        with self._errors():
            data = self._path(key).read_bytes()
        return data, hashlib.sha256(data).hexdigest()

    def head(self, key: str) -> ObjectInfo | None:
        """What is there, or None."""
        path = self._path(key)
        if not path.is_file():
            return None
        return ObjectInfo(key, path.stat().st_size, _digest(path))

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_tag: str | None = None) -> str:
        """Write atomically; return the new tag. Raise PreconditionFailed."""
        self._write(key, lambda draft: draft.write_bytes(data), if_absent, if_tag)
        return hashlib.sha256(data).hexdigest()

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        """The same for a file."""
        self._write(key, lambda draft: shutil.copyfile(path, draft), if_absent, None)
        return _digest(self._path(key))

    def _write(self, key: str, fill: Callable[[Path], object], if_absent: bool, if_tag: str | None) -> None:
        target = self._path(key)
        with self._locked():
            if if_absent and target.exists():
                raise PreconditionFailed(f"{key} exists")
            if if_tag is not None and (not target.is_file() or _digest(target) != if_tag):
                raise PreconditionFailed(f"{key} has changed")
            draft = self._own / uuid.uuid4().hex
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                fill(draft)
                _sync(draft)
                os.replace(draft, target)
                _sync(target.parent)
            except OSError as error:
                raise HeadwayError("STORE_UNREACHABLE", url=self.url, reason=error.strerror or str(error)) from error
            finally:
                draft.unlink(missing_ok=True)

    def download(self, key: str, path: Path) -> None:
        """Write the object to `path`, atomically. Raise ObjectNotFound."""
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        with self._errors():
            try:
                shutil.copyfile(self._path(key), draft)
                os.replace(draft, path)
            finally:
                draft.unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in the order of keys."""
        folder = self._root.joinpath(*prefix.split("/")[:-1]) if "/" in prefix else self._root
        found: list[str] = []
        for base, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name != _OWN]
            found.extend(Path(base, name).relative_to(self._root).as_posix() for name in files)
        for key in sorted(key for key in found if key.startswith(prefix)):
            with contextlib.suppress(FileNotFoundError):
                path = self._path(key)
                yield ObjectInfo(key, path.stat().st_size, _digest(path))

    def delete(self, key: str) -> None:
        """Remove it; nothing happens where there is none."""
        with self._locked():
            self._path(key).unlink(missing_ok=True)

    @contextmanager
    def share(self, key: str, *, expires_seconds: int) -> Iterator[str]:
        """A signed URL, served on loopback while the context is open. Raise ObjectNotFound."""
        path = self._path(key)
        if not path.is_file():
            raise ObjectNotFound(key)
        from headway.adapters.shareserver import ShareServer  # an HTTP server is not what most commands need

        server = ShareServer()
        try:
            yield server.share(key, path, expires_seconds)
        finally:
            server.close()


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Make what was written to a file or folder survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
