"""Servers that are killed, stopped, started twice: nothing lost, nothing done twice."""

import json
import subprocess
import sys
from pathlib import Path

from support.ports import free_port
from support.served_ci import ENDED, Ci, Remote
from support.served_workspace import Served, until

STEPS = [
    "begin-line",
    "checkout-line",
    "test-line",
    "version-line",
    "build-line",
    "hand_over-line",
    "begin_delivery-line",
    "bring-stage",
    "apply-stage",
    "gate-stage",
    "admit-production",
    "bring-production",
    "apply-production",
    "gate-production",
    "finish_delivery-line",
]


def test_a_server_killed_after_each_step_does_everything_once(tmp_path: Path, workspace: Served) -> None:
    kills = tmp_path / "kills"
    kills.mkdir()
    variables = {"HEADWAY_TEST_KILLS": str(kills)}
    port = ("--port", str(free_port()))
    ci = Ci(tmp_path / "ci", workspace, port, variables=variables, module="support.killed_server").start()
    try:
        remote = Remote(tmp_path, "killed")
        ci.add(remote)
        run_id = ci.push(remote, remote.commit()).json()["run"]
        until(lambda: len(list(kills.iterdir())) == len(STEPS), 300)
        until(ci.ready, 60)
        run = ci.ended(run_id)
        assert (run["state"], run["reason"], run["version"]) == ("succeeded", "", "1.0.1")
        assert sorted(path.name for path in kills.iterdir()) == sorted(STEPS)
        assert (ci.times("killed", "tested"), ci.times("killed", "built")) == (1, 1)
        store = ci.folder / "store" / "killed"
        assert json.loads((store / "builds.json").read_text()) == {"last": 1}
        for view in ci.ask("GET", "/apps/killed/environments", drift="true")["environments"]:
            assert view["state"]["version"] == "1.0.1"
            assert len(view["state"]["history"]) == 1
            assert view["drifted"] == []
        outcomes = [(d["environment"], d["outcome"]) for d in ci.ask("GET", "/apps/killed/deployments")["deployments"]]
        assert outcomes == [("stage", "converged"), ("production", "converged")]
        for name, count in (("stage-killed", 1), ("killed", 0), ("killed-deployJar", 1)):
            job = next(iter(workspace.client.jobs.list(name=name)))
            assert len(list(workspace.client.jobs.list_runs(job_id=job.job_id))) == count, name
    finally:
        ci.close()


def test_a_second_server_is_refused_and_a_stopped_one_leaves_its_run_to_the_next(
    tmp_path: Path, workspace: Served
) -> None:
    ci = Ci(tmp_path / "ci", workspace).start()
    try:
        second = subprocess.run(
            [sys.executable, "-m", "headway.cli", "serve", "--no-workspace", "--port=0", f"--data={ci.folder}/server"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 2
        assert "serves on the database" in second.stderr

        remote = Remote(tmp_path, "stopped")
        mark = tmp_path / "first"
        remote.write("test.sh", f"[ -e {mark} ] && exit 0; touch {mark}; echo $$ > {tmp_path}/pid; sleep 600")
        ci.add(remote)
        run_id = ci.push(remote, remote.commit()).json()["run"]
        pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        assert ci.stop() == 0
        until(lambda: not Path(f"/proc/{pid}").exists())
        ci.start()
        run = ci.ended(run_id)
        assert (run["state"], run["reason"]) == ("succeeded", "")
        assert [step["state"] for step in run["steps"] if step["name"] == "test"] == ["failed", "ok"]
        assert run["state"] in ENDED
    finally:
        ci.close()
