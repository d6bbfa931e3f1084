"""What a build may see of the server, and what is left of a build."""

import os
import subprocess
import sys
from pathlib import Path

from headway.adapters.process import end_all_with, run_command
from support.served_workspace import until

SCRIPT = """
import ctypes, os
from headway.adapters.seclusion import seclude

if os.getuid() == 0:  # root sees everything
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as it is for any program that was just started


def readable():
    child = os.fork()
    if child == 0:
        try:
            open(f"/proc/{os.getppid()}/environ").read()
        except PermissionError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


before = readable()
print(before, seclude(), readable())
"""


def test_a_secluded_process_keeps_its_environment_from_programs_of_its_user() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "True True False\n"


def test_what_left_its_process_group_is_ended_by_its_variable(tmp_path: Path) -> None:
    variables = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    pid = tmp_path / "pid"
    run_command(
        f"setsid sh -c 'echo $$ > {pid}; exec sleep 600' &", cwd=tmp_path, environment=variables, timeout_seconds=60
    )
    stray = until(lambda: pid.exists() and pid.read_text().strip())
    assert Path(f"/proc/{stray}").exists()
    assert end_all_with("TMPDIR", f"{tmp_path}/other") == 0
    assert end_all_with("TMPDIR", str(tmp_path)) == 1
    until(lambda: not Path(f"/proc/{stray}").exists())
