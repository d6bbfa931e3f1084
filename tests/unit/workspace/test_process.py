"""The workspace's process: alone on its folder."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

from headway.workspace.settings import WorkspaceSettings


def test_a_folder_is_served_by_one_process_only(tmp_path: Path) -> None:
    """Also where the first is still starting, and whoever started it was killed: nothing tells of it yet."""
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(WorkspaceSettings(data=tmp_path, port=0).to_json()))
    with (tmp_path / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "headway.workspace", str(settings)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert f"a workspace runs on {tmp_path} already" in done.stderr
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["server.lock", "settings.json"]
