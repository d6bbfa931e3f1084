"""Runs side by side and one after the other; people's decisions; commands that do harm; what is told of all that."""

import json
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from headway.workspace.runtime.tasks import TaskRequest
from support.inbox import Inbox
from support.served_ci import Ci, Remote
from support.served_workspace import FunctionDriver, Served, until

APPROVED = 'prefix = ""\napproval = true'


def gone(pid: str) -> bool:
    """Whether a process is no more."""
    return not Path(f"/proc/{pid}").exists()


def begun(run: dict[str, Any], name: str) -> bool:
    """Whether a run is at a step."""
    return any(step["name"] == name and step["state"] == "running" for step in run["steps"])


def test_waiting_runs_are_superseded_and_a_deploying_one_is_not(ci: Ci, workspace: Served, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "busy")
    ci.add(remote)
    hold, go = tmp_path / "hold", tmp_path / "go"
    os.mkfifo(go)

    def slow(driver: FunctionDriver, request: TaskRequest, canceled: Any) -> None:
        if hold.exists():
            hold.unlink()
            go.read_text()

    workspace.fleet.acts["busy"] = slow
    hold.touch()
    deploying = ci.push(remote, remote.commit("one")).json()["run"]
    ci.reaches(deploying, lambda run: begun(run, "gate"))
    until(lambda: not hold.exists())
    built = ci.push(remote, remote.commit("two")).json()["run"]
    ci.reaches(built, lambda run: run["state"] == "ready")
    newest = ci.push(remote, remote.commit("three")).json()["run"]
    ci.reaches(newest, lambda run: run["state"] == "ready")
    assert ci.run(deploying)["state"] == "delivering"
    go.write_text("on")
    ended = [ci.ended(number) for number in (deploying, built, newest)]
    assert [run["state"] for run in ended] == ["succeeded", "superseded", "succeeded"]
    assert ended[1]["superseded_by"] == newest
    stood = [(d["run"], d["environment"]) for d in ci.ask("GET", "/apps/busy/deployments")["deployments"]]
    assert stood == [(run, place) for run in (deploying, newest) for place in ("stage", "production")]


def test_an_approval_is_bound_to_the_plan_and_outlives_a_change(
    ci: Ci, workspace: Served, inbox: Inbox, tmp_path: Path
) -> None:
    remote = Remote(tmp_path, "careful")
    toml = (remote.clone / "headway.toml").read_text()
    remote.write("headway.toml", toml.replace('prefix = ""', APPROVED))
    ci.add(remote)
    run_id = ci.push(remote, remote.commit("one")).json()["run"]
    held = ci.reaches(run_id, lambda run: run["state"] == "awaiting_approval")
    asked = held["approval"]
    assert (asked["environment"], asked["version"]) == ("production", "1.0.1")
    assert "+ score" in asked["text"]
    assert "careful" not in {job.settings.name for job in workspace.client.jobs.list() if job.settings}
    refused = ci.raw("POST", f"/runs/{run_id}/approve", digest="0" * 64)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "APPROVAL_OUTDATED")
    news = until(
        lambda: [r for r in inbox.of("/slack") if "waits for an approval to go to production" in r.data["text"]]
    )
    assert f"https://ci.example.org/runs/{run_id}" in news[-1].data["text"]

    ci.ask("POST", f"/runs/{run_id}/approve", digest=asked["digest"], comment="looks good")
    ended = ci.ended(run_id)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2), ended["reason"]
    told = [step for step in ended["steps"] if step["name"] == "approval"]
    assert [step["state"] for step in told] == ["ok", "ok"]
    assert told[1]["detail"].startswith("admin accepted plan")
    assert [step["name"] for step in ended["steps"]].count("test") == 1

    # Somebody changes production by hand after the approval was asked for: what is accepted is not the plan any more.
    second = ci.push(remote, remote.commit("two")).json()["run"]
    first_plan = ci.reaches(second, lambda run: run["state"] == "awaiting_approval")["approval"]
    job = next(iter(workspace.client.jobs.list(name="careful")))
    workspace.client.api_client.do(
        "POST", "/api/2.2/jobs/update", body={"job_id": job.job_id, "new_settings": {"max_concurrent_runs": 7}}
    )
    ci.ask("POST", f"/runs/{second}/approve", digest=first_plan["digest"])
    again = ci.reaches(
        second, lambda run: run["state"] == "awaiting_approval" and run["approval"]["digest"] != first_plan["digest"]
    )
    assert "max_concurrent_runs" in again["approval"]["text"]
    ci.ask("POST", f"/runs/{second}/reject", digest=again["approval"]["digest"], comment="who did that?")
    assert ci.run(second)["reason"] == "admin rejected the plan for production: who did that?"
    versions = {v["name"]: v["state"]["version"] for v in ci.ask("GET", "/apps/careful/environments")["environments"]}
    assert versions == {"stage": "1.0.2", "production": "1.0.1"}


def test_a_refused_release_is_taken_back_told_of_and_retried(
    ci: Ci, workspace: Served, inbox: Inbox, tmp_path: Path
) -> None:
    remote = Remote(tmp_path, "unfit")
    ci.add(remote, status_token_env="STATUS_TOKEN", api_base=f"{inbox.url}/github")
    assert ci.ended(ci.push(remote, remote.commit("one")).json()["run"])["state"] == "succeeded"

    def fail(driver: FunctionDriver, request: TaskRequest, canceled: Any) -> None:
        raise ValueError("no scores for today")

    workspace.fleet.acts["unfit"] = fail
    inbox.answers["/github"] = [500]
    commit = remote.commit("two")
    run = ci.ended(ci.push(remote, commit).json()["run"])
    assert (run["state"], run["error_code"]) == ("refused", "GATE_FAILED")
    assert "no scores for today" in run["reason"]
    views = {v["name"]: v["state"]["version"] for v in ci.ask("GET", "/apps/unfit/environments")["environments"]}
    assert views == {"stage": "1.0.1", "production": "1.0.1"}
    outcomes = [
        (d["version"], d["environment"], d["outcome"]) for d in ci.ask("GET", "/apps/unfit/deployments")["deployments"]
    ]
    assert outcomes[2:] == [("1.0.2", "stage", "converged"), ("1.0.2", "stage", "refused")]

    del workspace.fleet.acts["unfit"]
    ci.ask("POST", f"/runs/{run['id']}/retry")
    again = ci.ended(run["id"])
    assert (again["state"], again["version"], again["attempt"]) == ("succeeded", "1.0.2", 2), again["reason"]
    assert ci.times("unfit", "built") == 2  # one for each commit

    path = f"/github/repos/team/unfit/statuses/{commit}"
    until(lambda: "success" in [request.data["state"] for request in inbox.of(path)])
    statuses = [request.data["state"] for request in inbox.of(path)]
    assert (statuses[0], statuses[-1]) == ("pending", "success")
    assert "failure" in statuses
    said = inbox.of(path)[-1]
    assert said.data["target_url"] == f"https://ci.example.org/runs/{run['id']}"
    assert said.headers["authorization"] == "Bearer a-token-for-statuses"
    texts = until(lambda: [r.data["text"] for r in inbox.of("/slack") if r.data["text"].startswith("unfit 1.0.2")])
    assert any("was refused and taken back" in text for text in texts)
    until(lambda: any("unfit 1.0.2 stands in production" in mail for mail in inbox.mails))
    failures = [r for r in inbox.of("/slack") if f"/runs/{run['id']}" in r.data["text"] and "refused" in r.data["text"]]
    assert len(failures) == 1

    back = ci.ask("POST", "/apps/unfit/rollback", environment="production")
    rolled = ci.ended(back["id"])
    assert (rolled["state"], rolled["version"]) == ("succeeded", "1.0.1"), rolled["reason"]


def test_a_run_cancelled_in_its_gate_takes_its_release_back(ci: Ci, workspace: Served, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "doubtful")
    ci.add(remote)
    assert ci.ended(ci.push(remote, remote.commit("good")).json()["run"])["state"] == "succeeded"
    hold = tmp_path / "hold"

    def slow(driver: FunctionDriver, request: TaskRequest, canceled: Any) -> None:
        hold.touch()
        canceled.wait()

    workspace.fleet.acts["doubtful"] = slow
    run_id = ci.push(remote, remote.commit("doubtful")).json()["run"]
    until(hold.exists, 60)
    ci.ask("POST", f"/runs/{run_id}/cancel")
    run = ci.ended(run_id)
    assert (run["state"], run["reason"]) == ("cancelled", "cancelled by admin")
    views = {v["name"]: v["state"]["version"] for v in ci.ask("GET", "/apps/doubtful/environments")["environments"]}
    assert views == {"stage": "1.0.1", "production": "1.0.1"}
    outcomes = [(d["version"], d["outcome"]) for d in ci.ask("GET", "/apps/doubtful/deployments")["deployments"]]
    assert outcomes[2:] == [("1.0.2", "converged"), ("1.0.2", "refused")]


def test_programs_that_follow_the_events_keep_no_call_waiting(ci: Ci) -> None:
    headers = {"Authorization": f"Bearer {(ci.folder / 'server' / 'admin-token').read_text()}"}
    with ExitStack() as stack:
        for _ in range(60):  # more than there are threads for calls
            url = f"{ci.url}/api/v1/events?after=999999999"
            stack.enter_context(requests.get(url, headers=headers, stream=True, timeout=20))
        for _ in range(5):
            assert requests.get(f"{ci.url}/readyz", timeout=2).status_code == 200


HARM = {
    "prints": ("yes", "it printed more than 1 MiB"),
    "fills": (
        "mkdir -p x && head -c 80000000 /dev/zero > x/y && sleep 600",
        "its work folder holds more than 0.05 GiB",
    ),
    "endless": ("echo begun; sleep 600", "no end within"),
}


@pytest.mark.parametrize("name", list(HARM))
def test_a_command_that_does_harm_is_ended_with_its_children(ci: Ci, tmp_path: Path, name: str) -> None:
    command, why = HARM[name]
    remote = Remote(tmp_path, name)
    toml = (remote.clone / "headway.toml").read_text()
    if name == "endless":
        remote.write("headway.toml", toml.replace("junit = [", "timeout_minutes = 0.02\njunit = ["))
    remote.write("test.sh", f"echo $$ > {tmp_path}/pid; {command}")
    ci.add(remote)
    run = ci.ended(ci.push(remote, remote.commit()).json()["run"])
    assert run["state"] == "failed"
    assert why in run["reason"]
    pid = (tmp_path / "pid").read_text().strip()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert ci.ask("GET", f"/apps/{name}/releases")["releases"] == []


def test_a_cancelled_run_ends_its_command_at_once(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "cancelled")
    stray = f"setsid sh -c 'echo $$ > {tmp_path}/stray; exec sleep 600' &"
    remote.write("test.sh", f"{stray} sleep 600 & echo $! > {tmp_path}/pid; wait")
    ci.add(remote)
    run_id = ci.push(remote, remote.commit()).json()["run"]
    until(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("pid", "stray")))
    ci.ask("POST", f"/runs/{run_id}/cancel")
    run = ci.ended(run_id, 20)
    assert (run["state"], run["reason"]) == ("cancelled", "cancelled by admin")
    for name in ("pid", "stray"):
        child = (tmp_path / name).read_text().strip()
        until(partial(gone, child))
    assert [step["state"] for step in run["steps"]] == ["ok", "failed"]


def test_commands_do_not_see_the_servers_secrets_and_logs_do_not_show_them(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "curious")
    own = "echo token: $(cat $HOME/../../admin-token)"
    remote.write("test.sh", f"env; {own}; echo leaked: a-secret-of-the-server; exit 1")
    ci.add(remote)
    run = ci.ended(ci.push(remote, remote.commit()).json()["run"])
    log = ci.text(run["id"], 2)
    assert "leaked: ***" in log
    assert "token: ***" in log
    assert "DEPLOY_TOKEN" not in log
    assert "HEADWAY_STAGE_TOKEN" not in log
    assert "ALLOWED=seen" in log
    assert "HOME=" in log
    assert os.environ.get("HOME", "/root") + "\n" not in log
    assert run["reason"].endswith("leaked: ***")
    assert "a-secret-of-the-server" not in ci.log()
    lines = [json.loads(line) for line in ci.log().splitlines() if line.startswith("{")]
    assert any(line.get("run") == run["id"] and line.get("app") == "curious" for line in lines)


def test_wrong_configuration_and_a_foreign_name_are_told_with_file_and_line(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "wrong")
    toml = (remote.clone / "headway.toml").read_text()
    remote.write("headway.toml", toml.replace('version = "1.0"', 'version = "one"'))
    ci.add(remote)
    run = ci.ended(ci.push(remote, remote.commit()).json()["run"])
    assert (run["state"], run["error_code"]) == ("failed", "CONFIGURATION_INVALID")
    assert "headway.toml:4" in run["reason"]
    remote.write("headway.toml", toml.replace('name = "wrong"', 'name = "whole"'))
    foreign = ci.ended(ci.push(remote, remote.commit()).json()["run"])
    assert foreign["error_code"] == "APP_NAME_DIFFERS"


def test_roles_health_metrics_and_events(ci: Ci, workspace: Served) -> None:
    assert ci.raw("GET", "/runs", token="wrong").status_code == 401
    me = ci.ask("GET", "/me", token=workspace.token)
    assert me == {"name": "admin@headway.local", "role": "admin"}
    assert requests.get(f"{ci.url}/healthz", timeout=10).text == "ok\n"
    metrics = requests.get(f"{ci.url}/metrics", timeout=10).text
    assert 'headway_runs{state="succeeded"}' in metrics
    assert "headway_workers 1.0" in metrics
    token = (ci.folder / "server" / "admin-token").read_text()
    headers = {"Authorization": f"Bearer {token}"}
    with requests.get(f"{ci.url}/api/v1/events?after=0", headers=headers, stream=True, timeout=20) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert next(lines).startswith("id: ")
        assert next(lines).startswith("event: run")
