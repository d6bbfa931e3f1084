"""Init scripts: what they find, what they may leave for Spark, how they run.

A script runs by bash on the driver's machine, as the workspace's own user, with the cluster's environment variables and
those that Databricks gives it (`DB_CLUSTER_ID`, `DB_IS_DRIVER` …). `python` and `pip` are the cluster's. It finds
`/dbfs`, `/Volumes`, `/Workspace` and, of this driver only, `/databricks`:

    /databricks/python     the runtime's Python; what pip installs goes to a folder of this driver, not into it
    /databricks/jars       what lies here when the scripts have ended is at the end of the driver's class path
    /databricks/scripts    the scripts, as they ran

Where the machine mounts nothing (`mounting`), `/databricks` is only what `DATABRICKS_ROOT` in the environment says.
Source: Databricks documentation, "What are init scripts?", "Init script environment variables".
"""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from headway.workspace.runtime import launch
from headway.workspace.runtime.adopted import end_group
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec, InitScript

MOST_SECONDS = 600
_TOLD = 1500


def run_all(spec: DriverSpec, inherited: Mapping[str, str], seconds: float = MOST_SECONDS) -> None:
    """Run them, one after the other. Raise DriverFailed INIT_SCRIPT_FAILURE or GLOBAL_INIT_SCRIPT_FAILURE where one
    does not end with 0 in time: then those after it are not run.

    What they print lies in the driver's `logs/init_scripts`.
    """
    if not spec.init_scripts:
        return
    root = launch.databricks_root(spec)
    for name in ("jars", "scripts", "site"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "python").symlink_to(Path(spec.runtime.python).parent.parent)
    (spec.folder / "logs" / "init_scripts").mkdir(parents=True, exist_ok=True)
    environment = {
        **launch.environment(spec, inherited),
        "DB_IS_DRIVER": "TRUE",
        "DB_DRIVER_IP": "127.0.0.1",
        "DB_CONTAINER_IP": "127.0.0.1",
        "DB_CLUSTER_ID": spec.cluster_id,
        **spec.script_env,
        "DATABRICKS_ROOT": str(root),
        "PIP_TARGET": str(root / "site"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    environment["PATH"] = os.pathsep.join([str(Path(spec.runtime.python).parent), environment.get("PATH", os.defpath)])
    deadline = time.monotonic() + seconds
    for number, script in enumerate(spec.init_scripts):
        _run(spec, script, number, environment, deadline)


def _run(spec: DriverSpec, script: InitScript, number: int, environment: Mapping[str, str], deadline: float) -> None:
    plain = re.sub(r"[^\w.-]", "_", script.name)[-100:]
    path = launch.databricks_root(spec) / "scripts" / f"{number:02}_{plain}"
    path.write_bytes(script.text)
    logs = spec.folder / "logs" / "init_scripts"
    out, err = (logs / f"{number:02}_{plain}.{stream}.log" for stream in ("stdout", "stderr"))
    with out.open("wb") as printed, err.open("wb") as complained:
        process = subprocess.Popen(
            launch.with_files(spec, ["/bin/bash", str(path)]),
            env=dict(environment),
            cwd=spec.folder / "tmp",
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=complained,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=max(0.0, deadline - time.monotonic()))
            why = f"ended with {status}"
        except subprocess.TimeoutExpired:
            status, why = -1, "did not end in time"
        except BaseException:
            end_group(process)
            raise
    if status == 0:
        return
    end_group(process)
    kind = "GLOBAL_INIT_SCRIPT_FAILURE" if script.everywhere else "INIT_SCRIPT_FAILURE"
    told = " ".join((out.read_text(errors="replace") + err.read_text(errors="replace"))[-_TOLD:].split())
    raise DriverFailed(kind, f"Init script {script.name} {why}: {told}".rstrip(": "))


def outcome(scripts: tuple[InitScript, ...], failed: bool) -> dict[str, object]:
    """`init_scripts` of the event that tells of their end: all succeeded, or one of them `failed`."""
    status = "UNKNOWN" if failed else "SUCCEEDED"
    return {
        "reported_for_node": "driver",
        "global": [{"name": one.name, "status": status} for one in scripts if one.everywhere],
        "cluster": [{**one.source, "status": status} for one in scripts if not one.everywhere],
    }
