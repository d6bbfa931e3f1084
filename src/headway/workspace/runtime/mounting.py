"""Starts a program to which `/dbfs`, `/Volumes` and `/Workspace` are folders of the machine, whatever opens them.

Run as a program by itself (standard library only): `mounting.py SCRATCH NAME=FOLDER… -- COMMAND…`. It takes a mount
namespace of its own (and a user namespace where it is not root), in which a new root has all that `/` has and the named
folders beside it, and becomes the command. Nothing outside sees any of it, and nothing is left when the command ends.

Where the machine does not allow that (no namespaces, no Linux), the command runs all the same, without
`HEADWAY_FILES=mounted` in its environment: then Python's own functions map the paths, and only they.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18


class _System:
    """The system calls that Python lacks."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        self._check(self._libc.unshare(flags), "unshare")

    def mount(self, source: str, target: str, kind: str, flags: int) -> None:
        done = self._libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None)
        self._check(done, f"mount {target}")

    def _check(self, done: int, what: str) -> None:
        if done != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")


def enter(scratch: str, folders: Mapping[str, str]) -> None:
    """Go to the new root. `folders` by their names in it (`dbfs`). Raise OSError, AttributeError where it cannot be."""
    system = _System()
    user, group, here = os.getuid(), os.getgid(), os.getcwd()
    system.unshare(_NEW_MOUNTS if user == 0 else _NEW_MOUNTS | _NEW_USER)
    if user != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    system.mount("none", "/", "", _RECURSIVE | _PRIVATE)
    os.makedirs(scratch, exist_ok=True)
    system.mount("headway", scratch, "tmpfs", 0)
    for entry in os.scandir("/"):
        if entry.name in folders:
            continue
        target = os.path.join(scratch, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_dir():
            os.mkdir(target)
            system.mount(entry.path, target, "", _BIND | _RECURSIVE)
        elif entry.is_file():
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
            system.mount(entry.path, target, "", _BIND)
    for name, folder in folders.items():
        target = os.path.join(scratch, name)
        os.mkdir(target)
        system.mount(folder, target, "", _BIND | _RECURSIVE)
    os.chroot(scratch)
    os.chdir(here)


def _write(path: str, text: str) -> None:
    with open(path, "w") as target:
        target.write(text)


def main(arguments: list[str]) -> None:
    """Become the command."""
    end = arguments.index("--")
    scratch, folders = arguments[0], dict(pair.split("=", 1) for pair in arguments[1:end])
    command = arguments[end + 1 :]
    process = os.fork()
    if process == 0:  # what fails half-way must leave nothing behind: it is tried in another process first
        try:
            enter(scratch, folders)
        except (OSError, AttributeError) as error:
            sys.stderr.write(f"headway: /dbfs, /Volumes and /Workspace are not mounted here: {error}\n")
            os._exit(1)
        os._exit(0)
    if os.waitpid(process, 0)[1] == 0:
        enter(scratch, folders)
        os.environ["HEADWAY_FILES"] = "mounted"
    os.execv(command[0], command)  # noqa: S606  (a program is what is started)


if __name__ == "__main__":
    main(sys.argv[1:])
