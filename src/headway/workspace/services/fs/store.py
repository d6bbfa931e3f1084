"""Files of volumes: plain files, written atomically."""

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from headway.workspace.errors import ApiError, invalid, missing
from headway.workspace.paths import confined
from headway.workspace.services.fs.model import parts


class VolumeFiles:
    """Files below `/Volumes`. A volume's own folder may be a link into one of `roots` (an external volume); nothing in
    it may lead out of it. Every method may raise ApiError."""

    def __init__(self, root: Path, roots: Sequence[Path], drafts: Path) -> None:
        self._root, self._drafts = root, drafts
        self._roots = [root, *roots]

    def local(self, path: str) -> Path:
        """The file behind a path, whether or not it exists."""
        catalog, schema, volume, rest = parts(path)
        folder = confined(self._root, f"/{catalog}/{schema}") / volume
        if volume in (".", "..") or not folder.is_dir():
            raise missing(f"Volume '{catalog}.{schema}.{volume}' does not exist.")
        real = folder.resolve()
        if not any(real.is_relative_to(root.resolve()) for root in self._roots):
            raise invalid(f"Volume '{catalog}.{schema}.{volume}' leads outside the workspace")
        return confined(real, rest)

    def file(self, path: str) -> Path:
        """A file that exists."""
        local = self.local(path)
        if not local.is_file():
            raise ApiError("NOT_FOUND", f"The file {path} does not exist.", 404)
        return local

    def directory(self, path: str) -> Path:
        """A directory that exists."""
        local = self.local(path)
        if not local.is_dir():
            raise ApiError("NOT_FOUND", f"The directory {path} does not exist.", 404)
        return local

    def write(self, path: str, content: BinaryIO, overwrite: bool) -> None:
        """Keep a file; the folders above it are made."""
        local = self.local(path)
        if local.is_dir():
            raise ApiError("ALREADY_EXISTS", f"{path} is a directory.", 409)
        draft = self._drafts / uuid.uuid4().hex
        try:
            with draft.open("xb") as target:
                shutil.copyfileobj(content, target, 1 << 20)
            local.parent.mkdir(parents=True, exist_ok=True)
            if overwrite:
                os.replace(draft, local)
            else:
                os.link(draft, local)  # fails where something is there, also when two come at once
        except FileExistsError:
            raise ApiError("ALREADY_EXISTS", f"{path} already exists.", 409) from None
        except (NotADirectoryError, IsADirectoryError):
            raise ApiError("ALREADY_EXISTS", f"{path} or a parent of it is something else.", 409) from None
        finally:
            draft.unlink(missing_ok=True)

    def delete(self, path: str) -> None:
        """Remove a file."""
        self.file(path).unlink(missing_ok=True)

    def make(self, path: str) -> None:
        """Make a directory and those above it."""
        try:
            self.local(path).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ApiError("ALREADY_EXISTS", f"{path} or a parent of it is a file.", 409) from None

    def remove(self, path: str) -> None:
        """Remove an empty directory."""
        local = self.directory(path)
        if parts(path)[3] == "/":
            raise invalid(f"{path} is a volume: it is removed through the catalog")
        try:
            local.rmdir()
        except OSError:
            raise ApiError("DIRECTORY_NOT_EMPTY", f"The directory {path} is not empty.") from None

    def list(self, path: str) -> list[tuple[str, bool, int, int]]:
        """Name, whether it is a directory, size and time of change (milliseconds since 1970), by name."""
        found = []
        with os.scandir(self.directory(path)) as entries:
            for entry in entries:
                try:
                    stat, is_dir = entry.stat(), entry.is_dir()
                except OSError:  # gone meanwhile, or a link to nothing
                    continue
                found.append((entry.name, is_dir, 0 if is_dir else stat.st_size, int(stat.st_mtime * 1000)))
        return sorted(found)
