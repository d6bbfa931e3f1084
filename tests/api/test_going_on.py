"""A deployer in a process of its own: interrupted by Ctrl-C, applying a saved plan, resumed from elsewhere by S3."""

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from chaos.sweep import Sweep, sweeping

DEPLOY = ("deploy", "stage", "--version", "1.0.2")


@pytest.fixture(scope="module")
def sweep() -> Iterator[Sweep]:
    """A fleet whose store is a folder."""
    with sweeping() as found:
        yield found


def second_write(sweep: Sweep) -> int:
    """The number of a deploy's second call that changes something."""
    sweep.fleet.stand_at(1)
    plan = sweep.proxy.arm()
    assert sweep.headway(*DEPLOY) == 0, sweep.deployers.told()
    return [number for number, call in enumerate(plan.calls, 1) if not call.startswith("GET")][1]


@pytest.mark.parametrize(
    ("going_on", "version"), [(("resume", "stage"), 2), (("resume", "stage", "--back"), 1), (DEPLOY, 2)]
)
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(sweep: Sweep, going_on: tuple[str, ...], version: int) -> None:
    at = second_write(sweep)
    sweep.fleet.stand_at(1)
    plan = sweep.proxy.arm("interrupt", at)
    assert sweep.headway(*DEPLOY) == 130
    told = sweep.deployers.told()
    assert plan.hit
    assert "stopping once the calls under way have ended" in told
    assert "`headway resume stage` goes on; `headway resume stage --back` takes all of it back" in told
    assert "Traceback" not in told
    target, _ = sweep.fleet.target(2)
    (left,) = target.ledger.unfinished()
    statuses = [step.status for step in left.steps]
    assert "done" in statuses, "what was under way has ended, and is known to have"
    assert "planned" in statuses, "nothing further was begun"
    assert "begun" not in statuses
    assert target.ledger.holder(target.clock) is None, "the lock was given back"
    sweep.proxy.arm()
    assert sweep.headway(*going_on) == 0, sweep.deployers.told()
    assert sweep.fleet.where(1, 2) == f"1.0.{version}"


def test_a_deploy_that_changes_nothing_writes_nothing_to_the_server(sweep: Sweep) -> None:
    sweep.fleet.stand_at(2)
    target, _ = sweep.fleet.target(2)
    serial = target.ledger.state().serial
    plan = sweep.proxy.arm()
    assert sweep.headway(*DEPLOY) == 0, sweep.deployers.told()
    assert plan.calls
    assert [call for call in plan.calls if not call.startswith("GET")] == []
    assert target.ledger.state().serial == serial


def test_a_saved_plan_is_applied_exactly_or_refused_with_what_moved(sweep: Sweep, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    save = ("plan", "stage", "--version", "1.0.2", "--save", str(file))
    sweep.fleet.stand_at(1)
    assert sweep.headway(*save) == 0, sweep.deployers.told()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    target, _ = sweep.fleet.target(1)
    alpha = target.ledger.state().jobs["alpha"]

    # somebody changes a job by hand: refused, nothing is written
    sweep.fleet.served.client.api_client.do(
        "POST", "/api/2.2/jobs/update", body={"job_id": alpha, "new_settings": {"max_concurrent_runs": 7}}
    )
    plan = sweep.proxy.arm()
    assert sweep.headway("deploy", "stage", "--plan", str(file)) == 3
    assert "alpha: max_concurrent_runs was None, is 7" in sweep.deployers.told()
    assert [call for call in plan.calls if not call.startswith("GET")] == []

    # somebody made one of the jobs that it creates: refused as well
    sweep.fleet.stand_at(1)
    assert sweep.headway(*save) == 0
    do = sweep.fleet.served.client.api_client.do
    made: Any = do("GET", "/api/2.2/jobs/get", query={"job_id": alpha})
    tags = {**made["settings"]["tags"], "headway_job": "new-one"}
    copy = {**made["settings"], "name": "stage-new-one", "tags": tags}
    copied: Any = do("POST", "/api/2.2/jobs/create", body=copy)
    plan = sweep.proxy.arm()
    assert sweep.headway("deploy", "stage", "--plan", str(file)) == 3
    assert "new-one: planned was create, permissions, now it would be reset" in sweep.deployers.told()
    assert [call for call in plan.calls if not call.startswith("GET")] == []
    do("POST", "/api/2.2/jobs/delete", body={"job_id": copied["job_id"]})

    # somebody deploys: the state has another number
    sweep.fleet.stand_at(2)
    sweep.fleet.stand_at(1)
    plan = sweep.proxy.arm()
    assert sweep.headway("deploy", "stage", "--plan", str(file)) == 3
    assert "its state is number" in sweep.deployers.told()
    assert [call for call in plan.calls if not call.startswith("GET")] == []

    # a plan that somebody edited is none
    assert sweep.headway(*save) == 0
    whole = file.read_text()
    edited = json.loads(whole)
    edited["steps"] = edited["steps"][1:]
    file.write_text(json.dumps(edited))
    assert sweep.headway("deploy", "stage", "--plan", str(file)) == 2
    assert "it was changed after it was made" in sweep.deployers.told()

    # and nothing moved: exactly these steps
    file.write_text(whole)
    assert sweep.headway("deploy", "stage", "--plan", str(file)) == 0, sweep.deployers.told()
    assert sweep.fleet.where(2) == "1.0.2"
    target, _ = sweep.fleet.target(2)
    planned = [(step["action"], step["key"]) for step in json.loads(whole)["steps"]]
    assert [(step.action, step.key) for step in target.ledger.deployments(1)[0].steps] == planned


def test_what_was_killed_here_is_resumed_from_another_folder_by_s3_alone(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = second_write(sweep)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ):
            monkeypatch.setenv(name, value)
        boto3.Session().client("s3", region_name="us-east-1").create_bucket(Bucket="ledger")
        with sweeping("s3://ledger/team") as clouded:
            clouded.fleet.stand_at(1)
            clouded.proxy.arm("kill after", at)
            assert clouded.headway(*DEPLOY) == -9
            clouded.proxy.arm()
            shutil.copytree(clouded.fleet.folder / "app", tmp_path / "another-machine")
            shutil.rmtree(clouded.fleet.folder / "app")
            # On another machine nobody can know that the process has ended: its lease must, or somebody says so.
            lock = "fleet/envs/stage/lock.json"
            lease = json.loads(clouded.fleet.store.get(lock)[0])
            clouded.fleet.store.put(lock, json.dumps({**lease, "process": "elsewhere/1/1"}).encode())
            elsewhere = tmp_path / "another-machine"
            assert clouded.headway("resume", "stage", folder=elsewhere) == 3
            assert "headway lock break" in clouded.deployers.told()
            assert clouded.headway("lock", "break", "stage", "--yes", folder=elsewhere) == 0
            assert clouded.headway("resume", "stage", folder=elsewhere) == 0, clouded.deployers.told()
            assert clouded.fleet.where(2) == "1.0.2"
            # The same without a word from anybody, once the lease of who was killed is over.
            clouded.proxy.arm("kill before", 3)
            assert clouded.headway("rollback", "stage", "--to", "1.0.1", folder=elsewhere) == -9
            clouded.proxy.arm()
            lease = json.loads(clouded.fleet.store.get(lock)[0])
            over = {**lease, "process": "elsewhere/1/1", "until": "2026-01-01T00:00:00Z"}
            clouded.fleet.store.put(lock, json.dumps(over).encode())
            assert clouded.headway("resume", "stage", folder=elsewhere) == 0, clouded.deployers.told()
            assert clouded.fleet.where(1, 2) in ("1.0.1", "1.0.2")
            assert json.loads(clouded.fleet.store.get(lock)[0])["released"] is True
    finally:
        server.stop()
