"""Commits through the whole line of a real server: webhooks over HTTP, real git, real commands, the real API."""

from pathlib import Path
from typing import Any

from support.served_ci import Ci, Remote
from support.served_workspace import Served


def names(run: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    """The run's steps."""
    return [(step["name"], step["environment"], step["state"]) for step in run["steps"]]


WHOLE = [
    ("checkout", None, "ok"),
    ("test", None, "ok"),
    ("version", None, "ok"),
    ("build", None, "ok"),
    ("store", None, "ok"),
    ("verify", "stage", "ok"),
    ("compatibility", "stage", "ok"),
    ("publish", "stage", "ok"),
    ("copy", "stage", "ok"),
    ("plan", "stage", "ok"),
    ("apply", "stage", "ok"),
    ("gate", "stage", "ok"),
    ("promote", "production", "ok"),
    ("verify", "production", "ok"),
    ("compatibility", "production", "ok"),
    ("publish", "production", "ok"),
    ("copy", "production", "skipped"),
    ("plan", "production", "ok"),
    ("apply", "production", "ok"),
]


def test_a_push_reaches_production(ci: Ci, workspace: Served, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "whole")
    commit = remote.commit("the first change")
    ci.add(remote)
    answer = ci.push(remote, commit)
    assert answer.status_code == 202, answer.text
    run = ci.ended(answer.json()["run"])
    assert (run["state"], run["reason"], run["version"]) == ("succeeded", "", "1.0.1"), run["reason"]
    assert names(run) == WHOLE
    assert (run["message"], run["author"], run["triggered_by"]) == ("the first change", "Ann", "ann")
    assert [case["name"] for case in run["tests"]] == ["add"]
    gate = next(step for step in run["steps"] if step["name"] == "gate")
    assert [entry["result"] for entry in gate["data"]["evidence"]] == ["SUCCESS"]
    plan = next(step for step in run["steps"] if step["name"] == "plan")
    assert plan["data"]["plan"]["steps"][0]["action"] == "create"
    assert {job.settings.name for job in workspace.client.jobs.list() if job.settings} >= {"whole", "stage-whole"}

    views = {view["name"]: view for view in ci.ask("GET", "/apps/whole/environments", drift="true")["environments"]}
    assert views["production"]["state"]["version"] == "1.0.1"
    assert (views["production"]["drifted"], views["production"]["run"]) == ([], run["id"])
    assert [entry["version"] for entry in ci.ask("GET", "/apps/whole/releases")["releases"]] == ["1.0.1"]
    outcomes = [(d["environment"], d["outcome"]) for d in ci.ask("GET", "/apps/whole/deployments")["deployments"]]
    assert outcomes == [("stage", "converged"), ("production", "converged")]
    assert not list((ci.folder / "server" / "work").glob(f"run-{run['id']}"))

    again = ci.ask("POST", "/apps/whole/runs", ref="main")
    repeated = ci.ended(again["id"])
    assert (repeated["state"], repeated["version"]) == ("succeeded", "1.0.1")
    assert ("build", None, "skipped") in names(repeated)
    assert ci.times("whole", "built") == 1


def test_a_red_test_is_named_and_stops_the_line(ci: Ci, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "red")
    remote.write(
        "test.sh",
        """mkdir -p reports
        echo '<testsuite><testcase classname="Scores" name="sum">
        <failure message="expected 3, got 4">at line 7</failure></testcase></testsuite>' > reports/unit.xml
        exit 1""",
    )
    commit = remote.commit()
    ci.add(remote)
    run = ci.ended(ci.push(remote, commit).json()["run"])
    assert (run["state"], run["error_code"], run["version"]) == ("failed", "TESTS_FAILED", None)
    assert "Scores.sum: expected 3, got 4" in run["reason"]
    failed = run["tests"][0]
    assert (failed["class_name"], failed["name"], failed["text"]) == ("Scores", "sum", "at line 7")
    assert ci.ask("GET", "/apps/red/releases")["releases"] == []
