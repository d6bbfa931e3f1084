"""A served workspace in a process of its own, as users have it: for what measures, so that client and server do not
share an interpreter. Its drivers run functions, none of which is registered."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.served_workspace import serving


@dataclass(frozen=True)
class Place:
    """Where it is, the administrator's token, the process."""

    url: str
    token: str
    pid: int


@contextmanager
def serving_apart(data: Path) -> Iterator[Place]:
    """Serve a workspace in another process until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.served_process", str(data)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Place(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def main() -> None:
    """Serve until standard input ends."""
    with serving(Path(sys.argv[1])) as served:
        sys.stdout.write(json.dumps({"url": served.url, "token": served.token, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
