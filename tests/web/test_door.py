"""Who may do what, whose forms count, and what hostile text can do: over plain HTTP."""

import json
import re
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from headway.cli.main import app
from support.served_ci import TOML, Remote

from .conftest import Site, form_token

APPROVED = TOML.replace('prefix = ""', 'prefix = ""\napproval = true')
HOSTILE = "<img src=x onerror=alert(1)>"


def test_nobody_sees_anything_before_logging_in(site: Site) -> None:
    for path in ("/", "/runs", "/workspace/jobs", "/report", "/report.csv", "/apps/x", "/runs/1"):
        answer = requests.get(site.ci.url + path, timeout=30, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login"), path
    assert requests.get(f"{site.ci.url}/live", timeout=30).status_code == 401
    assert requests.get(f"{site.ci.url}/runs/1/live", timeout=30).status_code == 401
    answer = requests.get(f"{site.ci.url}/runs", headers={"HX-Request": "true"}, timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


def test_the_login_leads_back_but_nowhere_else(site: Site) -> None:
    for given, location in (("/runs?app=x", "/runs?app=x"), ("//evil.example/", "/"), ("https://evil.example/", "/")):
        session = requests.Session()
        page = session.get(f"{site.ci.url}/login", params={"next": given}, timeout=30).text
        fields = {"token": site.tokens["viewer"], "form_token": form_token(page), "next": given}
        answer = session.post(f"{site.ci.url}/login", data=fields, timeout=30, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, location)
        cookie = answer.headers["set-cookie"]
        assert "headway_session=" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert site.tokens["viewer"] not in cookie


def test_a_wrong_token_or_a_login_form_from_elsewhere_is_refused(site: Site) -> None:
    session = requests.Session()
    token = form_token(session.get(f"{site.ci.url}/login", timeout=30).text)
    answer = session.post(f"{site.ci.url}/login", data={"token": "wrong", "form_token": token}, timeout=30)
    assert answer.status_code == 401
    assert "does not know this token" in answer.text
    fields = {"token": site.tokens["admin"], "form_token": token}
    answer = requests.post(f"{site.ci.url}/login", data=fields, timeout=30)
    assert answer.status_code == 403
    assert "headway_session" not in answer.cookies


def test_logging_out_ends_every_copy_of_the_cookie(site: Site) -> None:
    session = site.login("viewer")
    copied = dict(session.cookies)
    assert requests.get(f"{site.ci.url}/", cookies=copied, timeout=30, allow_redirects=False).status_code == 200
    site.send(session, "/", "/logout")
    assert requests.get(f"{site.ci.url}/", cookies=copied, timeout=30, allow_redirects=False).status_code == 303


def test_a_form_counts_only_with_the_token_of_its_own_session(site: Site) -> None:
    session, other = site.login("developer"), site.login("developer")
    foreign = form_token(other.get(f"{site.ci.url}/", timeout=30).text)
    before = len(site.ci.ask("GET", "/runs")["runs"])
    for fields in ({}, {"form_token": ""}, {"form_token": foreign}, {"form_token": "é" * 64}):
        answer = session.post(f"{site.ci.url}/apps/none/runs", data={**fields, "ref": "main"}, timeout=30)
        assert answer.status_code == 403, fields
        assert "not of your present session" in answer.text
    good = form_token(session.get(f"{site.ci.url}/", timeout=30).text)
    answer = session.post(
        f"{site.ci.url}/apps/none/runs",
        data={"form_token": good, "ref": "main"},
        headers={"Sec-Fetch-Site": "cross-site"},
        timeout=30,
    )
    assert answer.status_code == 403
    assert len(site.ci.ask("GET", "/runs")["runs"]) == before
    huge = session.post(f"{site.ci.url}/logout", data={"form_token": good, "x": "y" * 70_000}, timeout=30)
    assert huge.status_code == 413


FORMS = {
    "/apps/none/runs": "developer",
    "/runs/999999/cancel": "developer",
    "/runs/999999/retry": "developer",
    "/workspace/jobs/1/start": "developer",
    "/workspace/runs/1/cancel": "developer",
    "/apps/none/environments/stage/rollback": "approver",
    "/runs/999999/approve": "approver",
    "/apps": "admin",
    "/apps/none/remove": "admin",
    "/runs/999999/reject": "approver",
}


@pytest.mark.parametrize("role", ["viewer", "developer", "approver"])
def test_a_role_may_do_what_is_its_own_and_no_more(site: Site, role: str) -> None:
    order = ("viewer", "developer", "approver", "admin")
    session = site.login(role)
    page = session.get(f"{site.ci.url}/", timeout=30).text
    assert f'<span class="role">{role}</span>' in page
    token = form_token(page)
    for action, needed in FORMS.items():
        answer = session.post(f"{site.ci.url}{action}", data={"form_token": token, "ref": "main"}, timeout=60)
        refused = order.index(role) < order.index(needed)
        assert (answer.status_code == 403) is refused, (action, answer.status_code)
        if refused:
            assert f"this needs the role {needed}" in answer.text


def test_a_stale_plan_is_refused_with_the_reason_and_the_fresh_one_taken(site: Site, tmp_path: Path) -> None:
    remote = site.application(tmp_path, "stale", APPROVED)
    run = site.run(remote, "a change")
    page = f"/runs/{run['id']}"
    session = site.login("approver")
    answer = site.send(session, page, f"{page}/approve", digest="0" * 64)
    assert answer.status_code == 409
    assert "waits for another plan" in answer.text
    assert "Read the present plan and decide again." in answer.text
    assert site.ci.run(run["id"])["state"] == "awaiting_approval"
    shown = session.get(site.ci.url + page, timeout=30).text
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', shown)
    assert digest
    assert "Approve for production?" in shown
    answer = site.send(session, page, f"{page}/reject", digest=digest[1], comment=HOSTILE)
    assert answer.status_code == 200
    assert "You rejected the plan for production." in answer.text
    assert HOSTILE not in answer.text
    assert site.ci.run(run["id"])["state"] == "cancelled"
    again = site.send(session, page, f"{page}/approve", digest=digest[1])
    assert (again.status_code, "waits for no approval" in again.text) == (409, True)


def test_hostile_text_is_only_text(site: Site, tmp_path: Path) -> None:
    remote = site.application(tmp_path, "hostile")
    case = f"<testcase classname='C' name='n'><failure message='{HOSTILE.replace('<', '&lt;')}'>x</failure></testcase>"
    remote.write(
        "test.sh",
        f"""mkdir -p reports
        echo '{HOSTILE}'
        echo "<testsuite>{case}</testsuite>" > reports/unit.xml
        exit 1""",
    )
    run = site.run(remote, f"{HOSTILE} {{{{ 7 * 7 }}}}")
    session = site.login("developer")
    for path in ("/", "/runs", "/apps/hostile", f"/runs/{run['id']}", f"/runs/{run['id']}/steps/2"):
        answer = session.get(site.ci.url + path, timeout=30)
        assert HOSTILE not in answer.text, path
        assert "49" not in re.findall(r"onerror=alert\(1\)&gt; (\d+)", answer.text)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (answer.headers["x-frame-options"], answer.headers["cache-control"]) == ("DENY", "no-store")
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in session.get(f"{site.ci.url}/runs/{run['id']}").text
    log = session.get(f"{site.ci.url}/runs/{run['id']}/steps/2/log", timeout=30)
    live = session.get(f"{site.ci.url}/runs/{run['id']}/live", timeout=30)  # it has ended: nothing is waited for
    assert live.headers["content-type"].startswith("text/event-stream")
    assert live.text.endswith("event: ended\ndata: \n\n")
    assert (HOSTILE in log.text, log.headers["content-type"]) == (True, "text/plain; charset=utf-8")
    assert log.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runs/999999", 404),
        ("/runs/999999/live", 404),
        ("/runs/999999/steps/1", 404),
        ("/apps/none", 404),
        ("/apps/none/releases/1.0.1", 404),
        ("/report?app=none", 404),
        ("/report?days=99999999", 200),
        ("/runs?before=x&state=no", 200),
        ("/workspace/jobs/99999", 502),
        ("/nothing/here", 501),
    ],
)
def test_what_is_not_there_has_a_page_that_says_so(site: Site, path: str, status: int) -> None:
    answer = site.login("viewer").get(site.ci.url + path, timeout=30)
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert 'role="alert"' in answer.text or status in (200, 501)


def test_drift_is_found_when_somebody_asks_and_shown_afterwards(site: Site, tmp_path: Path) -> None:
    run = site.run(site.application(tmp_path, "drifting"), "a change")
    assert run["state"] == "succeeded"
    views = site.ci.ask("GET", "/apps/drifting/environments")["environments"]
    client = site.workspace.client
    job_id = next(view["state"]["jobs"]["score"] for view in views if view["name"] == "production")
    client.api_client.do(
        "POST", "/api/2.2/jobs/update", body={"job_id": job_id, "new_settings": {"timeout_seconds": 77}}
    )
    session = site.login("viewer")
    answer = site.send(session, "/apps/drifting", "/apps/drifting/drift")
    assert "1 jobs were changed by hand." in answer.text
    assert "Changed by hand: score" in answer.text
    assert "1 changed by hand" in session.get(f"{site.ci.url}/", timeout=30).text
    metrics = requests.get(f"{site.ci.url}/metrics", timeout=30).text
    assert 'headway_drifted_jobs{app="drifting",environment="production"} 1.0' in metrics


def test_the_report_for_programs(site: Site, tmp_path: Path) -> None:
    site.run(site.application(tmp_path, "told"), "a change")
    session = site.login("viewer")
    page = session.get(f"{site.ci.url}/report.json?app=told", timeout=60).json()
    assert [(place["environment"], place["stood"]) for place in page["delivery"]] == [("production", 1), ("stage", 1)]
    assert page["clusters"]["currency"] == "EUR"
    text = session.get(f"{site.ci.url}/report.csv?app=told", timeout=60)
    assert text.headers["content-type"].startswith("text/csv")
    assert text.text.startswith("app,environment,cluster,start,end,figure,value,unit\ntold,production,")

    def headway(*options: str) -> str:
        found = CliRunner().invoke(app, ["report", "--data", str(site.ci.folder / "server"), *options])
        assert found.exit_code == 0, found.output
        return found.stdout

    told = json.loads(headway("--app", "told", "--json"))["report"]
    assert told["delivery"][0]["stood"] == 1
    assert headway("--app", "told", "--csv").startswith("app,environment,cluster,")
    assert "told" in headway()


def test_an_admin_registers_and_removes_a_repository(site: Site, tmp_path: Path) -> None:
    remote = Remote(tmp_path, "mine")
    remote.commit("the beginning")
    session = site.login("admin")
    fields = {"name": "mine", "provider": "github", "full_name": "team/mine", "branches": "main, release/*"}
    refused = site.send(session, "/", "/apps", **fields, repository="ext::sh -c date")
    assert refused.status_code == 400
    answer = site.send(session, "/", "/apps", **fields, repository=remote.url)
    assert "mine is registered." in answer.text
    secret = site.ci.ask("GET", "/apps/mine/webhook")["secret"]
    assert secret in answer.text
    assert f"{site.ci.url}/hooks/github/mine" in answer.text
    assert secret not in site.login("approver").get(f"{site.ci.url}/apps/mine", timeout=30).text
    (made,) = [entry for entry in site.ci.ask("GET", "/apps")["apps"] if entry["name"] == "mine"]
    assert (made["branches"], made["poll_seconds"]) == (["main", "release/*"], 0)
    assert site.send(session, "/apps/mine", "/apps/mine/remove", name="yours").status_code == 400
    assert "mine was removed." in site.send(session, "/apps/mine", "/apps/mine/remove", name="mine").text
    assert "mine" not in [entry["name"] for entry in site.ci.ask("GET", "/apps")["apps"]]
