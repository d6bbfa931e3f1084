"""What sets runs off, and what does not: webhooks over HTTP, polling, pull requests."""

import hashlib
import hmac
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from headway.cli.main import app as program
from headway.pipeline import hooks
from headway.pipeline.model import App
from headway.workspace.runtime.tasks import TaskRequest
from support.served_ci import Ci, Remote
from support.served_workspace import FunctionDriver, Served, until

SHA = "c" * 40
PUSH = {"ref": "refs/heads/main", "after": SHA, "repository": {"full_name": "team/hooked"}}


@pytest.fixture(scope="module")
def hooked(ci: Ci, tmp_path_factory: pytest.TempPathFactory) -> Remote:
    """A registered application whose commits never come."""
    remote = Remote(tmp_path_factory.mktemp("hooked"), "hooked")
    remote.commit()
    ci.add(remote)
    return remote


def runs_of(ci: Ci, app: str) -> list[dict[str, Any]]:
    """An application's runs."""
    found: list[dict[str, Any]] = ci.ask("GET", "/runs", app=app)["runs"]
    return found


@pytest.mark.parametrize(
    ("body", "changes", "status", "told"),
    [
        (PUSH, {"secret": "wrong"}, 401, "signature is missing or wrong"),
        (PUSH, {"headers": {"X-Hub-Signature-256": ""}}, 401, "signature is missing or wrong"),
        (PUSH, {"headers": {"X-Hub-Signature-256": "sha1=abc"}}, 401, "signature is missing or wrong"),
        (PUSH, {"headers": {"X-GitHub-Delivery": ""}}, 400, "not those of a github webhook"),
        (b"ref=refs%2Fheads%2Fmain", {}, 400, "not JSON"),
        (b"[" * 100_000, {}, 400, "not JSON"),
        (b"[1]", {}, 400, "not a JSON object"),
        ({**PUSH, "after": "0" * 40}, {}, 200, "was deleted"),
        ({**PUSH, "after": "; rm -rf /"}, {}, 200, "names no commit"),
        ({**PUSH, "after": 7, "ref": ["x"], "repository": 3}, {}, 200, "is not a branch"),
        ({**PUSH, "ref": "refs/tags/v1"}, {}, 200, "is not a branch"),
        ({**PUSH, "ref": "refs/heads/\x00\ud800"}, {}, 200, "not delivered from branch"),
        ({**PUSH, "ref": "refs/heads/feature"}, {}, 200, "not delivered from branch feature"),
        ({**PUSH, "ref": "refs/heads/" + "x" * 2000}, {}, 200, "too long a name"),
        ({**PUSH, "repository": {"full_name": "somebody/else"}}, {}, 200, "about another repository"),
    ],
)  # fmt: skip
def test_a_webhook_that_is_not_good_sets_nothing_off(
    ci: Ci, hooked: Remote, body: Any, changes: dict[str, Any], status: int, told: str
) -> None:
    answer = ci.hook("hooked", "push", body, **changes)
    assert answer.status_code == status
    assert told in answer.text
    assert runs_of(ci, "hooked") == []
    if status >= 400:
        refusals = [json.loads(line)["message"] for line in ci.log().splitlines() if "refused" in line]
        assert any(("hooked" in message and told in message) or "signature is wrong" in message for message in refusals)


def test_a_ping_is_answered_and_an_unknown_application_looks_like_a_wrong_signature(ci: Ci, hooked: Remote) -> None:
    ping = {"zen": "x", "repository": {"full_name": "team/hooked"}}
    assert ci.hook("hooked", "ping", ping).json()["message"] == "pong"
    unknown = ci.hook("nobody", "push", PUSH, secret="x")
    wrong = ci.hook("hooked", "push", PUSH, secret="x")
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())
    assert requests.post(f"{ci.url}/hooks/bitbucket/hooked", timeout=10).status_code == 404
    assert requests.get(f"{ci.url}/api/v1/nothing", timeout=10).status_code == 501


def test_a_huge_webhook_is_not_read(ci: Ci, hooked: Remote) -> None:
    answer = ci.hook("hooked", "push", b" " * (6 * 2**20))
    assert answer.status_code == 413


def test_a_replayed_webhook_and_a_second_one_of_the_same_commit_run_nothing_twice(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "replayed")
    ci.add(remote)
    commit = remote.commit()
    first = ci.push(remote, commit, delivery="one")
    assert ci.push(remote, commit, delivery="one").json() == {
        "message": "this delivery came before; nothing is done twice",
        "run": None,
    }
    assert ci.push(remote, commit, delivery="two").json()["run"] == first.json()["run"]
    assert len(runs_of(ci, "replayed")) == 1
    found = ci.ask("GET", "/apps/replayed/deliveries")["deliveries"]
    assert sorted((entry["delivery"], entry["run"]) for entry in found) == [
        ("one", first.json()["run"]),
        ("two", first.json()["run"]),
    ]


def test_gitlab_and_gitea_are_believed_by_their_own_proofs() -> None:
    key = b"the server's key"
    app = App("a", "https://git.example.org/team/a.git", webhook_salt="s")
    secret, body = hooks.secret_of(key, app), b"{}"
    assert hooks.secret_of(key, App("a", "", webhook_salt="t")) != secret
    assert hooks.genuine("gitlab", secret, {"x-gitlab-token": secret}, body)
    assert not hooks.genuine("gitlab", secret, {"x-gitlab-token": secret + "x"}, body)
    assert not hooks.genuine("gitlab", secret, {}, body)
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert hooks.genuine("gitea", secret, {"x-gitea-signature": signature}, body)
    assert not hooks.genuine("gitea", secret, {"x-gitea-signature": signature}, body + b" ")

    pushed = {
        "ref": "refs/heads/main",
        "after": SHA,
        "user_username": "ann",
        "project": {"git_http_url": "https://git.example.org/team/a.git"},
        "commits": [{"id": "d" * 40, "message": "old"}, {"id": SHA, "message": "new\nmore", "author": {"name": "A"}}],
    }
    assert hooks.read("gitlab", "Push Hook", pushed) == hooks.Push("main", SHA, "new", "A", "ann")
    assert hooks.about(app, "gitlab", pushed)
    assert not hooks.about(app, "gitlab", {"project": {"git_http_url": "https://git.example.org/team/b.git"}})
    request = {
        "user": {"username": "bob"},
        "object_attributes": {
            "action": "open",
            "iid": 7,
            "last_commit": {"id": SHA},
            "target_branch": "main",
            "title": "t",
            "source_project_id": 1,
            "target_project_id": 2,
        },
    }
    assert hooks.read("gitlab", "Merge Request Hook", request) == hooks.PullRequest(7, "main", SHA, "t", "bob", True)
    for number in (0, -1, True, 2**31, "7", None):
        odd = {**request, "object_attributes": {**request["object_attributes"], "iid": number}}  # type: ignore[dict-item]
        assert hooks.read("gitlab", "Merge Request Hook", odd) == hooks.Nothing("it names no commit")
    found = hooks.envelope("gitlab", {"x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "u"}, body)
    assert found == hooks.Envelope("gitlab", "Push Hook", "u")


def test_polling_finds_what_no_webhook_told(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "polled")
    first = remote.commit("one")
    ci.add(remote, provider="git", full_name="", poll_seconds=0.2)
    found = until(lambda: runs_of(ci, "polled"), 60)
    assert [(run["commit"], run["trigger"]) for run in found] == [(first, "poll")]
    second = remote.commit("two")
    remote.commit("not for us", branch="feature", push=True)
    until(lambda: len(runs_of(ci, "polled")) == 2, 60)
    assert [run["commit"] for run in runs_of(ci, "polled")] == [second, first]
    assert ci.ended(runs_of(ci, "polled")[0]["id"])["state"] == "succeeded"


def test_a_repository_that_vanishes_is_told_of_and_deploys_nothing(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "vanished")
    remote.commit("one")
    ci.add(remote, poll_seconds=0.2)
    ci.ended(until(lambda: runs_of(ci, "vanished"), 60)[0]["id"])
    commit = remote.commit("two", push=False)
    remote.bare.rename(tmp_path / "elsewhere")
    app = until(
        lambda: next((a for a in ci.ask("GET", "/apps")["apps"] if a["name"] == "vanished" and a["problem"]), None)
    )
    assert "vanished cannot be polled" in ci.log()
    assert "is gone, or not ours to read" in app["problem"]
    run = ci.ended(ci.push(remote, commit).json()["run"])
    assert (run["state"], run["error_code"]) == ("failed", "REMOTE_GONE")
    (tmp_path / "elsewhere").rename(remote.bare)
    until(lambda: not ci.ask("GET", "/apps/vanished")["problem"], 60)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ext::sh -c touch% /tmp/x", "expected https"),
        ("https://user:password@git.example.org/x", "holds a password"),
        ("--upload-pack=touch /tmp/x", "expected https"),
        ("file:///nowhere/at/all.git", "gone, or not ours"),
    ],
)
def test_a_remote_that_cannot_be_is_not_registered(ci: Ci, url: str, why: str) -> None:
    answer = ci.raw("POST", "/apps", name="bad", repository=url)
    assert answer.status_code >= 400
    assert why in answer.json()["error"]["message"]
    assert "password@" not in answer.text


def pull_request(commit: str, number: int, *, fork: bool, name: str) -> dict[str, Any]:
    """What GitHub sends for a pull request."""
    ours = {"full_name": f"team/{name}"}
    return {
        "action": "opened",
        "number": number,
        "repository": ours,
        "pull_request": {
            "title": "a better score",
            "user": {"login": "eve"},
            "head": {"sha": commit, "repo": {"full_name": f"eve/{name}"} if fork else ours},
            "base": {"ref": "main", "repo": ours},
        },
    }


def test_a_pull_request_is_tested_and_planned_and_never_deployed(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "pulled")
    ci.add(remote, pull_requests="same-repository")
    run = ci.ended(ci.push(remote, remote.commit("one")).json()["run"])
    assert run["state"] == "succeeded"
    commit = remote.commit("two", push=False)
    remote.git("push", "--quiet", "origin", "HEAD:refs/pull/7/head")

    checked = ci.ended(
        ci.hook("pulled", "pull_request", pull_request(commit, 7, fork=False, name="pulled")).json()["run"]
    )
    assert (checked["state"], checked["kind"], checked["version"]) == ("succeeded", "pull_request", None)
    steps = [(step["name"], step["environment"]) for step in checked["steps"]]
    assert steps == [("checkout", None), ("test", None), ("build", None), ("plan", "stage"), ("plan", "production")]
    assert "1.0.2" in checked["steps"][3]["data"]["text"]
    assert [entry["version"] for entry in ci.ask("GET", "/apps/pulled/releases")["releases"]] == ["1.0.1"]
    assert {view["state"]["version"] for view in ci.ask("GET", "/apps/pulled/environments")["environments"]} == {
        "1.0.1"
    }

    ignored = ci.hook("pulled", "pull_request", pull_request("d" * 40, 8, fork=True, name="pulled")).json()
    assert ignored == {"message": "pull request 8 comes from a fork, and pulled runs none of those", "run": None}


def test_a_fork_gets_no_secret(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "forked")
    ci.add(remote, pull_requests="all")
    ci.ended(ci.push(remote, remote.commit("one")).json()["run"])
    remote.write("test.sh", "env; echo hooks: $1; echo bad > $HOME/poison")
    toml = (remote.clone / "headway.toml").read_text()
    toml = toml.replace('prefix = ""', 'prefix = "${env.DEPLOY_TOKEN:-none}"')
    remote.write("headway.toml", toml.replace("sh test.sh", "sh test.sh ${env.SLACK:-unknown}"))
    commit = remote.commit("two", push=False)
    remote.git("push", "--quiet", "origin", "HEAD:refs/pull/9/head")
    run = ci.ended(ci.hook("forked", "pull_request", pull_request(commit, 9, fork=True, name="forked")).json()["run"])
    assert (run["state"], run["trusted"]) == ("succeeded", False), run["reason"]
    assert [(step["name"], step["state"]) for step in run["steps"]][-1] == ("plan", "skipped")
    log = ci.text(run["id"], 2)
    assert "hooks: unknown" in log
    assert "ALLOWED" not in log
    assert "TOKEN" not in log
    assert not (ci.folder / "server" / "homes" / "forked" / "poison").exists()
    assert "a-secret-of-the-server" not in json.dumps(run)


def test_a_branch_force_pushed_meanwhile_is_not_deployed(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "forced")
    remote.commit("base")
    ci.add(remote)
    gate = tmp_path / "go"
    remote.write("test.sh", f"while [ ! -e {gate} ]; do sleep 0.05; done")
    commit = remote.commit("regretted")
    run = ci.push(remote, commit).json()["run"]
    ci.reaches(run, lambda found: any(step["name"] == "test" for step in found["steps"]))
    remote.git("reset", "--quiet", "--hard", "HEAD~1")
    remote.commit("another history")
    gate.touch()
    ended = ci.ended(run)
    assert ended["state"] == "superseded"
    assert "was force-pushed" in ended["reason"]
    assert ci.ask("GET", "/apps/forced/deployments")["deployments"] == []

    gone = ci.ended(ci.push(remote, "e" * 40).json()["run"])
    assert (gone["state"], gone["error_code"]) == ("failed", "COMMIT_GONE")


def test_a_branch_force_pushed_while_its_gate_runs_goes_no_further(ci: Ci, workspace: Served, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "regretted")
    remote.commit("base")
    ci.add(remote)
    hold, go = tmp_path / "hold", tmp_path / "go"
    os.mkfifo(go)

    def slow(driver: FunctionDriver, request: TaskRequest, canceled: Any) -> None:
        hold.touch()
        go.read_text()

    workspace.fleet.acts["regretted"] = slow
    run = ci.push(remote, remote.commit("a mistake")).json()["run"]
    until(hold.exists, 60)
    remote.git("reset", "--quiet", "--hard", "HEAD~1")
    remote.commit("another history")
    go.write_text("on")
    ended = ci.ended(run)
    assert (ended["state"], "was force-pushed" in ended["reason"]) == ("superseded", True)
    stood = [entry["environment"] for entry in ci.ask("GET", "/apps/regretted/deployments")["deployments"]]
    assert stood == ["stage"]
    assert "regretted" not in {job.settings.name for job in workspace.client.jobs.list() if job.settings}


def test_a_registration_is_changed_and_keeps_its_secret_and_runs(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "changed")
    remote.commit("one")
    ci.add(remote)
    secret = ci.ask("GET", "/apps/changed/webhook")["secret"]
    data = ("--data", str(ci.folder / "server"))
    done = CliRunner().invoke(
        program, ["app", "set", "changed", "--poll", "0.2", "--branch", "main", "--branch", "x/*", *data]
    )
    assert done.exit_code == 0, done.output
    assert ci.ended(until(lambda: runs_of(ci, "changed"), 60)[0]["id"])["state"] == "succeeded"
    changed = ci.ask("PATCH", "/apps/changed", poll_seconds=0, pull_requests="off")
    assert (changed["branches"], changed["pull_requests"], changed["poll_seconds"]) == (["main", "x/*"], "off", 0)
    assert ci.ask("GET", "/apps/changed/webhook")["secret"] == secret
    assert len(ci.ask("GET", "/apps/changed/environments")["environments"]) == 2
    for fields in ({"name": "other"}, {"colour": "red"}, {"poll_seconds": -1}, {"repository": "ext::sh"}):
        assert ci.raw("PATCH", "/apps/changed", **fields).status_code == 400, fields
    gone = ci.raw("PATCH", "/apps/changed", repository="file:///nowhere/at/all.git")
    assert "gone, or not ours" in gone.json()["error"]["message"]
    assert ci.ask("GET", "/apps/changed")["repository"] == remote.url
    assert ci.raw("PATCH", "/apps/nobody", poll_seconds=1).status_code == 404


def test_a_repository_that_only_webhooks_tell_of_says_that_it_is_gone(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "moved")
    ci.add(remote)
    commit = remote.commit()
    remote.bare.rename(tmp_path / "elsewhere")
    run = ci.ended(ci.push(remote, commit).json()["run"])
    assert (run["state"], run["error_code"]) == ("failed", "REMOTE_GONE")
    assert "is gone, or not ours to read" in ci.ask("GET", "/apps/moved")["problem"]
    (tmp_path / "elsewhere").rename(remote.bare)
    ci.ask("POST", f"/runs/{run['id']}/retry")
    assert ci.ended(run["id"])["state"] == "succeeded"
    assert ci.ask("GET", "/apps/moved")["problem"] == ""


def test_an_older_commit_whose_webhook_comes_late_is_not_deployed_over_a_newer_one(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "late")
    ci.add(remote)
    older, newer = remote.commit("one"), remote.commit("two")
    delivered = ci.ended(ci.push(remote, newer).json()["run"])
    assert delivered["state"] == "succeeded", delivered["reason"]
    late = ci.ended(ci.push(remote, older).json()["run"])
    assert (late["state"], late["superseded_by"]) == ("superseded", delivered["id"])
    assert "comes after" in late["reason"]
    assert {d["run"] for d in ci.ask("GET", "/apps/late/deployments")["deployments"]} == {delivered["id"]}

    # The same commit, asked for by name, is somebody's decision. One that the branch does not have is only checked.
    remote.git("checkout", "--quiet", "-b", "feature")
    elsewhere = remote.commit("unreviewed", branch="feature")
    checked = ci.ended(ci.ask("POST", "/apps/late/runs", ref=elsewhere)["id"])
    assert checked["state"] == "succeeded"
    assert "only checked: main is the branch that is delivered" in checked["reason"]
    assert [step["name"] for step in checked["steps"]].count("apply") == 0
    back = ci.ended(ci.ask("POST", "/apps/late/runs", ref=older)["id"])
    assert back["state"] == "succeeded", back["reason"]
    views = {v["name"]: v["state"]["version"] for v in ci.ask("GET", "/apps/late/environments")["environments"]}
    assert views == {"stage": "1.0.2", "production": "1.0.2"}


@pytest.mark.parametrize("provider", ["gitlab", "gitea"])
def test_webhooks_of_gitlab_and_gitea_come_over_http(ci: Ci, tmp_path: Path, provider: str) -> None:
    remote = Remote(tmp_path, provider)
    remote.commit()
    ci.add(remote, provider=provider)
    secret = ci.ask("GET", f"/apps/{provider}/webhook")["secret"]
    project = {"path_with_namespace": f"team/{provider}", "full_name": f"team/{provider}"}
    body = json.dumps({"ref": "refs/heads/feature", "after": SHA, "project": project, "repository": project}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "gitlab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret, "X-Gitlab-Event-UUID": "one"},
        "gitea": {"X-Gitea-Event": "push", "X-Gitea-Signature": signature, "X-Gitea-Delivery": "one"},
    }[provider]
    url = f"{ci.url}/hooks/{provider}/{provider}"
    told = [requests.post(url, data=body, headers=headers, timeout=30).json()["message"] for _ in range(2)]
    assert told == [
        f"{provider} is not delivered from branch feature",
        "this delivery came before; nothing is done twice",
    ]
    proof = {"gitlab": "X-Gitlab-Token", "gitea": "X-Gitea-Signature"}[provider]
    assert requests.post(url, data=body, headers={**headers, proof: "0" * 64}, timeout=30).status_code == 401


def test_git_is_asked_for_nothing_that_could_be_an_option(ci: Ci, hooked: Remote) -> None:
    for reference in ("--output=/tmp/x", "-x", "no such", "main^{tree}"):
        answer = ci.raw("POST", "/apps/hooked/runs", ref=reference)
        assert answer.status_code >= 400, reference
    assert subprocess.run(["test", "-e", "/tmp/x"], check=False).returncode == 1
