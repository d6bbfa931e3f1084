"""Environments of other people's clients: each in a virtual environment of its own, made once per pinned list.

The workspace's own environment holds one generation of the SDK; a client is only itself with what it asks for.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from headway.adapters.spark import default_cache

# What each client is: pinned, because a test against "the newest" would change under our feet.
CLIENTS: Mapping[str, tuple[str, ...]] = {
    "sdk-0.60": ("databricks-sdk==0.60.0",),
    "sdk-0.117": ("databricks-sdk==0.117.0",),
    "sdk-newest": ("databricks-sdk==0.162.0",),
    "cli-legacy": ("databricks-cli==0.18.0", "setuptools<81"),  # it imports pkg_resources, gone in setuptools 81
    "mlflow": ("mlflow-skinny==3.17.2",),
    "airflow": ("apache-airflow==3.3.2", "apache-airflow-providers-databricks==7.23.0"),
    "minilake": ("minilake==1.9.0",),
}


def environment(client: str) -> Path:
    """The `bin` folder of a client's environment, made if it is not there yet. Raise CalledProcessError."""
    wanted = CLIENTS[client]
    digest = hashlib.sha256("\0".join([sys.version, *wanted]).encode()).hexdigest()[:12]
    folder = default_cache() / "clients" / f"{client}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamp = folder / "installed"
    with (folder.parent / f"{client}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            venv.create(folder, with_pip=True, symlinks=True, clear=True)
            pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *wanted]
            subprocess.run(pip, check=True)
            stamp.touch()
    return folder / "bin"


def run(client: str, command: list[str], variables: Mapping[str, str], cwd: Path) -> str:
    """What a command of a client's environment prints. Its home is `cwd`, so that nobody's own settings are read.

    Raise AssertionError with all that it said where it fails.
    """
    bin_folder = environment(client)
    kept = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
    path = f"{bin_folder}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(bin_folder / command[0]), *command[1:]],
        env={**kept, "PATH": path, "HOME": str(cwd), "no_proxy": "*", **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
