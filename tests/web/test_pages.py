"""The main pages in a real browser: log in, watch a run, approve a promotion, roll back, read the report."""

import json
import re
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from support.served_ci import TOML

from .conftest import Open, Site, picture

APPROVED = TOML.replace('prefix = ""', 'prefix = ""\napproval = true')
WATCHED = """
mkdir -p reports
echo "compiling"
while [ ! -e "$HOME/go-on" ]; do sleep 0.05; done
echo "<b>all</b> 3 tests passed"
echo '<testsuite><testcase classname="Scores" name="add" time="0.1"/></testsuite>' > reports/unit.xml
"""
RED = """
mkdir -p reports
echo "running 2 tests"
[ -e "$HOME/go-on" ] && failure="" || failure='<failure message="expected 3, got 4">at line 7</failure>'
echo "<testsuite><testcase classname='Scores' name='sum'>$failure</testcase></testsuite>" > reports/unit.xml
[ -z "$failure" ]
"""


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def faults(page: Page) -> list[str]:
    """What axe-core (WCAG 2.2 A and AA, and its best practices) finds wrong with a page."""
    found = Axe().run(page).response["violations"]
    return [f"{entry['id']}: {node['html']}" for entry in found for node in entry["nodes"]]


def test_a_run_is_watched_approved_and_rolled_back(site: Site, visit: Open, tmp_path: Path) -> None:
    remote = site.application(tmp_path, "scoring", APPROVED)
    first = site.approve(site.run(remote, "score by activity"))
    assert first["state"] == "succeeded"

    board = visit("approver", "/")
    row = board.get_by_role("row", name=re.compile("scoring"))
    expect(row.get_by_role("cell").nth(2)).to_contain_text("1.0.1")
    picture(board, "dashboard")

    # A run while it happens: its steps and its log come by themselves.
    remote.write("test.sh", WATCHED)
    run_id = site.ci.push(remote, remote.commit("score by <script>alert(1)</script>")).json()["run"]
    site.ci.reaches(run_id, lambda run: bool(run["steps"]) and run["steps"][-1]["name"] == "test")
    page = visit("approver", f"/runs/{run_id}")
    expect(page.get_by_role("log")).to_contain_text("compiling")
    expect(board.get_by_role("region", name="Under way")).to_contain_text("scoring")
    picture(page, "run-live")
    assert faults(page) == []
    site.let_go("scoring")
    expect(page.get_by_role("heading", name="Approve for production?")).to_be_visible(timeout=30_000)
    expect(page.locator(".lead")).to_contain_text("<script>alert(1)</script>")
    expect(page.get_by_role("status")).to_have_text(f"Run {run_id}: needs approval")
    expect(board.get_by_role("region", name="Waiting for approval")).to_contain_text("scoring 1.0.2")

    # The plan, field by field, and the promotion.
    plan = page.get_by_role("region", name="Approve for production?")
    expect(plan.locator("ins").first).to_contain_text("1.0.2")
    expect(plan.locator("del").first).to_contain_text("1.0.1")
    picture(page, "approval")
    assert faults(page) == []
    page.get_by_label("Comment").fill("looks right")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("You accepted the plan for production.")).to_be_visible()
    expect(page.locator("#run-head .badge")).to_have_text("succeeded", timeout=30_000)
    expect(page.get_by_text("“looks right”")).to_be_visible()
    page.locator("summary", has_text="gate").first.click()
    expect(page.get_by_role("link", name=re.compile("^job run"))).to_be_visible()
    page.locator("#step-2 summary").click()
    expect(page.get_by_text("<b>all</b> 3 tests passed")).to_be_visible()
    picture(page, "run")

    # Back again.
    page.goto(f"{site.ci.url}/apps/scoring/environments/production")
    expect(page.locator(".version.big")).to_have_text("1.0.2")
    page.get_by_text("Roll back…").click()
    expect(page.get_by_label("To version")).to_have_value("1.0.1")
    picture(page, "rollback")
    page.get_by_role("button", name="Roll production back").click()
    expect(page.locator("#run-head .badge")).to_have_text("succeeded", timeout=30_000)
    page.goto(f"{site.ci.url}/apps/scoring")
    expect(page.get_by_role("listitem").filter(has_text="production").first).to_contain_text("1.0.1")
    picture(page, "application")

    page.goto(f"{site.ci.url}/report?days=30&app=scoring")
    row = page.get_by_role("row", name=re.compile("scoring production"))
    expect(row).to_contain_text("50 % 1 of 2")
    expect(page.get_by_role("img", name="Deployments: scoring, production")).to_be_visible()
    expect(page.get_by_text("saved against always-on")).to_be_visible()
    picture(page, "report")


def test_a_failing_test_is_named_on_the_page_and_a_retry_goes_on(site: Site, visit: Open, tmp_path: Path) -> None:
    remote = site.application(tmp_path, "red")
    remote.write("test.sh", RED)
    run = site.run(remote, "a bad change")
    page = visit("developer", f"/runs/{run['id']}")
    failing = page.get_by_role("region", name="1 failing test")
    expect(failing).to_contain_text("Scores.sum expected 3, got 4")
    expect(failing).to_contain_text("at line 7")
    expect(page.get_by_label("Log of test")).to_contain_text("running 2 tests")
    picture(page, "run-failed")
    site.let_go("red")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator("#run-head .badge")).to_have_text("succeeded", timeout=30_000)
    page.goto(f"{site.ci.url}/apps/red/releases/1.0.1")
    expect(page.get_by_text("signed and verified")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CycloneDX JSON").click()
    assert json.loads(download.value.path().read_text())["bomFormat"] == "CycloneDX"
    picture(page, "release")


def test_the_workspace_is_shown_with_its_task_graph(site: Site, visit: Open) -> None:
    def fail(*_: Any) -> str:
        raise ValueError("there is no <table>")

    site.workspace.fleet.acts["train"] = fail
    client = site.workspace.client
    notebook = {"path": "/nb", "language": "PYTHON", "format": "SOURCE", "content": "cHJpbnQoMSk=", "overwrite": True}
    client.api_client.do("POST", "/api/2.0/workspace/import", body=notebook)
    cluster = {"spark_version": "4.3.x-scala2.13", "node_type_id": "local.small", "num_workers": 0}
    task = {"notebook_task": {"notebook_path": "/nb"}, "new_cluster": cluster}
    before = {"ingest": [], "features": ["ingest"], "history": ["ingest"], "train": ["features", "history"]}
    tasks = [{**task, "task_key": k, "depends_on": [{"task_key": b} for b in keys]} for k, keys in before.items()]
    made: Any = client.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "nightly", "tasks": tasks})
    run_id = client.jobs.run_now(made["job_id"]).run_id
    client.jobs.wait_get_run_job_terminated_or_skipped(run_id)

    page = visit("admin", "/workspace")
    page.get_by_label("Name").fill("nightly")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name=str(made["job_id"]), exact=True).click()
    graph = page.get_by_role("img", name="Tasks and what each of them waits for")
    expect(graph.locator("desc")).to_contain_text("train after features, history")
    picture(page, "job")
    page.get_by_role("link", name=str(run_id), exact=True).click()
    expect(page.locator("svg .bad")).to_contain_text("train")
    page.locator("summary", has_text="train").click()
    said = page.locator(".step-body", has_text="there is no <table>")
    expect(said).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("^cluster ")).last).to_be_visible()
    picture(page, "job-run")
    assert faults(page) == []
    page.get_by_role("link", name="Clusters", exact=True).click()
    expect(page.get_by_role("heading", name="All-purpose clusters")).to_be_visible()
    picture(page, "clusters")
    page.get_by_role("link", name="Libraries", exact=True).click()
    expect(page.get_by_role("heading", name="Workspace libraries")).to_be_visible()


def test_every_page_fits_a_phone_in_the_dark(site: Site, visit: Open, tmp_path: Path) -> None:
    remote = site.application(tmp_path, "pocket", TOML)
    run = site.run(remote, "a-very-long-word-" * 12)
    page = visit("approver", "/", dark=True, phone=True)
    places = {
        "dashboard": "/",
        "application": "/apps/pocket",
        "environment": "/apps/pocket/environments/stage",
        "release": "/apps/pocket/releases/1.0.1",
        "runs": "/runs",
        "run": f"/runs/{run['id']}",
        "jobs": "/workspace/jobs",
        "clusters": "/workspace/clusters",
        "report": "/report",
    }
    for name, path in places.items():
        page.goto(site.ci.url + path)
        picture(page, f"phone-{name}")
        assert fits(page), name
        assert faults(page) == [], name


def test_the_keyboard_reaches_everything_in_order(site: Site, visit: Open) -> None:
    page = visit("viewer", "/")
    assert faults(page) == []
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        expect(page.locator("body").get_by_role(landmark).first).to_be_visible()
    tab = page.get_by_role("link", name="Applications", exact=True)
    expect(tab).to_have_attribute("aria-current", "page")
