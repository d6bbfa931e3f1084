"""`dbutils.fs`: the files of the workspace, by every name that they have."""

import os
import shutil
from collections.abc import Mapping
from typing import NamedTuple


class FileInfo(NamedTuple):
    """What `dbutils.fs.ls` tells of a file: `size` in bytes, `modificationTime` in milliseconds since 1970."""

    path: str
    name: str
    size: int
    modificationTime: int

    def isDir(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")

    def isFile(self) -> bool:
        """Whether it is a file."""
        return not self.isDir()


class FileSystem:
    """`dbutils.fs` over `dbfs:/`, `file:/`, `/Volumes` and `/Workspace`."""

    def __init__(self, roots: Mapping[str, str]) -> None:
        self._roots = roots

    def _local(self, path: str) -> str:
        """The local file of a path; a bare path means DBFS, as in Databricks."""
        for scheme in ("file:///", "file:/"):
            if path.startswith(scheme):
                return "/" + path[len(scheme) :]
        for prefix in ("/Volumes", "/Workspace", "/dbfs"):
            if path == prefix or path.startswith(prefix + "/"):
                return self._inside(self._roots[prefix], path[len(prefix) :])
        if path.startswith("dbfs:/"):
            path = path[len("dbfs:") :]
            if path.startswith("/Volumes/"):
                return self._local(path)
        elif ":/" in path:
            raise ValueError(f"dbutils.fs serves dbfs:/, file:/, /Volumes and /Workspace, not {path}")
        return self._inside(self._roots["/dbfs"], path)

    def _inside(self, root: str, path: str) -> str:
        local = os.path.normpath(root + "/" + path)
        if local != root and not local.startswith(root + "/"):
            raise ValueError(f"{path} is outside its root")
        return local

    def ls(self, path: str) -> list[FileInfo]:
        """What a folder holds, by name."""
        local = self._existing(path)
        if not os.path.isdir(local):
            return [self._info(path, local)]
        base = path.rstrip("/") if path.strip("/") not in ("", "dbfs:") else "dbfs:"
        return [self._info(f"{base}/{name}", os.path.join(local, name)) for name in sorted(os.listdir(local))]

    def _info(self, path: str, local: str) -> FileInfo:
        stat = os.stat(local)
        end = "/" if os.path.isdir(local) else ""
        named = path if ":" in path or path.startswith(("/Volumes", "/Workspace")) else "dbfs:" + path
        size = 0 if end else stat.st_size
        return FileInfo(named.rstrip("/") + end, os.path.basename(local) + end, size, int(stat.st_mtime * 1000))

    def _existing(self, path: str) -> str:
        local = self._local(path)
        if not os.path.exists(local):
            raise FileNotFoundError(f"java.io.FileNotFoundException: No such file or directory {path}")
        return local

    def cp(self, source: str, target: str, recurse: bool = False) -> bool:
        """Copy a file, or with `recurse` a folder."""
        origin, place = self._existing(source), self._local(target)
        if os.path.isdir(origin):
            if not recurse:
                raise IsADirectoryError(f"{source} is a directory; pass recurse=True")
            shutil.copytree(origin, place, dirs_exist_ok=True)
            return True
        if os.path.isdir(place):
            place = os.path.join(place, os.path.basename(origin))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        draft = f"{place}.{os.getpid()}.draft"
        shutil.copyfile(origin, draft)
        os.replace(draft, place)
        return True

    def mv(self, source: str, target: str, recurse: bool = False) -> bool:
        """Move a file, or with `recurse` a folder; a file takes the place of one that is there."""
        origin, place = self._existing(source), self._local(target)
        if os.path.isdir(origin) and not recurse:
            raise IsADirectoryError(f"{source} is a directory; pass recurse=True")
        if os.path.isdir(place):
            place = os.path.join(place, os.path.basename(origin))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        try:
            os.replace(origin, place)
        except OSError:  # from one file system to another
            shutil.move(origin, place)
        return True

    def rm(self, path: str, recurse: bool = False) -> bool:
        """Remove it; False where there is nothing."""
        local = self._local(path)
        if not os.path.lexists(local):
            return False
        if os.path.isdir(local) and not os.path.islink(local):
            if os.listdir(local) and not recurse:
                raise OSError(f"{path} is not empty; pass recurse=True")
            shutil.rmtree(local)
        else:
            os.remove(local)
        return True

    def mkdirs(self, path: str) -> bool:
        """Make a folder and those above it."""
        os.makedirs(self._local(path), exist_ok=True)
        return True

    def put(self, path: str, contents: str, overwrite: bool = False) -> bool:
        """Write a text file."""
        local = self._local(path)
        if os.path.exists(local) and not overwrite:
            raise FileExistsError(f"{path} exists; pass overwrite=True")
        os.makedirs(os.path.dirname(local), exist_ok=True)
        with open(local, "w", encoding="utf-8") as target:
            target.write(contents)
        return True

    def append(self, path: str, contents: str) -> bool:
        """Write at the end of a text file."""
        with open(self._existing(path), "a", encoding="utf-8") as target:
            target.write(contents)
        return True

    def mounts(self) -> list[str]:
        """Refused: there is nothing to mount here."""
        raise NotImplementedError(_NO_MOUNTS)

    def mount(self, *_: object, **__: object) -> bool:
        """Refused."""
        raise NotImplementedError(_NO_MOUNTS)

    unmount = refreshMounts = updateMount = mount

    def head(self, path: str, maxBytes: int = 65536) -> str:
        """The first bytes of a file, as text."""
        with open(self._existing(path), "rb") as source:
            return source.read(maxBytes).decode("utf-8", "replace")


_NO_MOUNTS = "this workspace has no mounts: use dbfs:/, /Volumes and /Workspace, or s3a:// paths with Spark"
