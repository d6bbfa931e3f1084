"""The files below `dbfs:/`: plain files of one folder, written atomically."""

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from headway.workspace.errors import ApiError, invalid, missing
from headway.workspace.paths import confined, dbfs_path, normalised
from headway.workspace.services.dbfs.model import IDLE_UPLOAD_SECONDS, MAX_OPEN_UPLOADS, FileStatus

ConfinePath = Callable[[Path, str], Path]


@dataclass
class _Upload:
    target: Path
    draft: Path
    stream: BinaryIO
    owner: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    used: float = field(default_factory=time.monotonic)

    def give_up(self) -> None:
        """Nothing comes of it."""
        with self.lock:
            self.stream.close()
            self.draft.unlink(missing_ok=True)


class DbfsStore:
    """Files of one root. Every path is a client's; every method may raise ApiError."""

    def __init__(self, root: Path, drafts: Path) -> None:
        self._root, self._drafts = root, drafts
        self._uploads: dict[int, _Upload] = {}
        self._last_handle = 0
        self._lock = threading.Lock()
        for folder in (root, drafts):
            folder.mkdir(parents=True, exist_ok=True)

    def local(self, path: str) -> Path:
        """The file behind a path, whether or not it exists."""
        return confined(self._root, dbfs_path(path))

    def status(self, path: str) -> FileStatus:
        """What is there. Raise ApiError RESOURCE_DOES_NOT_EXIST."""
        name = normalised(dbfs_path(path))
        return self._status(name, self._existing(name))

    def _status(self, name: str, local: Path) -> FileStatus:
        stat = local.stat()
        is_dir = local.is_dir()
        return FileStatus(name, is_dir, 0 if is_dir else stat.st_size, int(stat.st_mtime * 1000))

    def _existing(self, path: str) -> Path:
        local = self.local(path)
        if not local.exists():
            raise missing(f"No file or directory exists on path {normalised(dbfs_path(path))}.")
        return local

    def list(self, path: str) -> list[FileStatus]:
        """What a folder holds, by name; a file lists itself."""
        name = normalised(dbfs_path(path))
        local = self._existing(name)
        if not local.is_dir():
            return [self._status(name, local)]
        base = name.rstrip("/")
        found = []
        for entry in sorted(os.listdir(local)):
            try:
                found.append(self._status(f"{base}/{entry}", local / entry))
            except FileNotFoundError:  # it was removed while we listed
                continue
        return found

    def read(self, path: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`."""
        local = self._existing(path)
        if local.is_dir():
            raise invalid(f"{path} is a directory")
        with local.open("rb") as source:
            source.seek(offset)
            return source.read(length)

    @contextmanager
    def writing(self, path: str, overwrite: bool) -> Iterator[BinaryIO]:
        """A file to write, which takes its place when the block ends without an exception."""
        target = self._free(path, overwrite)
        draft = self._drafts / uuid.uuid4().hex
        try:
            with draft.open("xb") as stream:
                yield stream
            self._place(draft, target)
        finally:
            draft.unlink(missing_ok=True)

    def _free(self, path: str, overwrite: bool) -> Path:
        target = self.local(path)
        if target.is_dir():
            raise invalid(f"{path} is a directory")
        if target.exists() and not overwrite:
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"A file or directory already exists at the input path {path}.")
        return target

    def _place(self, draft: Path, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft, target)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise invalid(
                f"A parent of it is a file, or it is a directory: /{target.relative_to(self._root.resolve())}"
            ) from None

    def open_upload(self, path: str, overwrite: bool, owner: str) -> int:
        """Begin a file that comes in blocks; return its handle, which is `owner`'s alone."""
        target = self._free(path, overwrite)
        draft = self._drafts / uuid.uuid4().hex
        with self._lock:
            if len(self._uploads) >= MAX_OPEN_UPLOADS:
                self._forget_idle()
            if len(self._uploads) >= MAX_OPEN_UPLOADS:
                raise ApiError("RESOURCE_EXHAUSTED", f"{MAX_OPEN_UPLOADS} uploads are open: close some", 429)
            self._last_handle += 1
            self._uploads[self._last_handle] = _Upload(target, draft, draft.open("xb"), owner)
            return self._last_handle

    def add_block(self, handle: int, block: bytes, owner: str) -> None:
        """Append to it."""
        upload = self._upload(handle, owner)
        with upload.lock:
            if upload.stream.closed:
                raise _no_stream(handle)
            upload.used = time.monotonic()
            upload.stream.write(block)

    def close_upload(self, handle: int, owner: str) -> None:
        """The file takes its place."""
        upload = self._upload(handle, owner)
        with self._lock:
            if self._uploads.pop(handle, None) is None:
                raise _no_stream(handle)
        with upload.lock:
            upload.stream.close()
        try:
            self._place(upload.draft, upload.target)
        finally:
            upload.draft.unlink(missing_ok=True)

    def close(self) -> None:
        """Give up what was begun and not ended."""
        with self._lock:
            left = list(self._uploads.values())
            self._uploads.clear()
        for upload in left:
            upload.give_up()

    def _forget_idle(self) -> None:
        since = time.monotonic() - IDLE_UPLOAD_SECONDS
        for handle, upload in list(self._uploads.items()):
            if upload.used < since:
                del self._uploads[handle]
                upload.give_up()

    def _upload(self, handle: int, owner: str) -> _Upload:
        with self._lock:
            found = self._uploads.get(handle)
        if found is None or found.owner != owner:
            raise _no_stream(handle)
        return found

    def mkdirs(self, path: str) -> None:
        """Make a folder and those above it."""
        try:
            self.local(path).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"A file exists on path {path}.") from None

    def move(self, source: str, destination: str) -> None:
        """Move a file or folder to a place where nothing is."""
        origin, target = self._existing(source), self.local(destination)
        if origin == self._root.resolve() or target.is_relative_to(origin):
            raise invalid(f"{source} cannot be moved into itself")
        if target.exists():
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"A file or directory already exists at {destination}.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(origin, target)
        except (FileExistsError, NotADirectoryError):
            raise invalid(f"A parent of {destination} is a file") from None
        except FileNotFoundError:
            raise missing(f"No file or directory exists on path {source}.") from None

    def delete(self, path: str, recursive: bool) -> None:
        """Remove it; nothing happens where there is nothing."""
        local = self.local(path)
        if local == self._root.resolve():
            raise invalid("The root cannot be deleted")
        if local.is_dir():
            if any(local.iterdir()) and not recursive:
                raise ApiError("IO_ERROR", f"The directory {path} is not empty; pass recursive=true.")
            shutil.rmtree(local, ignore_errors=True)
        else:
            with contextlib.suppress(NotADirectoryError):  # a parent of it is a file: there is nothing
                local.unlink(missing_ok=True)


def _no_stream(handle: int) -> ApiError:
    return missing(f"No stream with handle {handle} exists.")
