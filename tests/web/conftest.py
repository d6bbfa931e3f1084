"""What the tests of pages share: a server with its workspace, people with roles, a browser.

The applications are those of `support.served_ci`; a test of theirs waits for a file, so that a browser can watch.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk.service.iam import ComplexValue
from playwright.sync_api import Browser, BrowserContext, Page

from support.browser import browsing
from support.served_ci import TOML, Ci, Remote, copy_files
from support.served_workspace import FunctionFleet, Served, as_user, serving

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PRICES = """
currency = "EUR"
default = 0.2
[nodes]
"local.small" = 0.5
"""
ENDS = ("succeeded", "failed", "refused", "superseded", "cancelled")


@dataclass
class Site:
    """The server, and tokens of people: `viewer`, `developer`, `approver`, `admin`."""

    ci: Ci
    workspace: Served
    tokens: dict[str, str]

    def login(self, role: str) -> requests.Session:
        """Somebody who has logged in, without a browser."""
        session = requests.Session()
        form = session.get(f"{self.ci.url}/login", timeout=30).text
        fields = {"token": self.tokens[role], "form_token": form_token(form), "next": "/"}
        answer = session.post(f"{self.ci.url}/login", data=fields, timeout=30, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
        return session

    def send(self, session: requests.Session, page: str, action: str, **fields: str) -> requests.Response:
        """Fill in a form of `page`."""
        token = form_token(session.get(f"{self.ci.url}{page}", timeout=30).text)
        return session.post(f"{self.ci.url}{action}", data={"form_token": token, **fields}, timeout=60)

    def application(self, folder: Path, name: str, toml: str = TOML) -> Remote:
        """A registered application."""
        remote = Remote(folder, name)
        remote.write("headway.toml", toml.format(name=name))
        remote.commit("the beginning")
        self.ci.add(remote)
        return remote

    def run(self, remote: Remote, message: str) -> dict[str, Any]:
        """A commit, taken through the line as far as it comes by itself."""
        run_id = self.ci.push(remote, remote.commit(message)).json()["run"]
        return self.ci.reaches(run_id, lambda run: run["state"] in (*ENDS, "awaiting_approval"))

    def approve(self, run: dict[str, Any]) -> dict[str, Any]:
        """Accept what a run waits for, and wait for its end."""
        digest = self.ci.run(run["id"])["approval"]["digest"]
        self.ci.ask("POST", f"/runs/{run['id']}/approve", digest=digest)
        return self.ci.ended(run["id"])

    def let_go(self, name: str) -> None:
        """What a watched test waits for."""
        (self.ci.folder / "server" / "homes" / name / "go-on").touch()


def form_token(page: str) -> str:
    """The token in a page's first form."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for the session: an application or more for each test."""
    fleet = FunctionFleet(acts={"deployJar": copy_files})
    with serving(tmp_path_factory.mktemp("workspace"), fleet, allow=("127.0.0.1",)) as workspace:
        folder = tmp_path_factory.mktemp("web")
        (folder / "prices.toml").write_text(PRICES)
        tokens = {}
        for role in ("viewer", "developer", "approver"):
            client = as_user(workspace, f"{role}@example.org")
            tokens[role] = str(client.config.token)
            if role != "viewer":
                members = [ComplexValue(value=client.current_user.me().id)]
                workspace.client.groups.create(display_name=f"{role}s", members=members)
        options = (
            *("--default-role", "viewer", "--developer-groups", "developers", "--approver-groups", "approvers"),
            *("--prices", str(folder / "prices.toml"), "--log-format", "text"),
        )
        ci = Ci(folder, workspace, options, {"HEADWAY_WORKSPACE_TOKEN": workspace.token}).start()
        tokens["admin"] = (folder / "server" / "admin-token").read_text().strip()
        try:
            yield Site(ci, workspace, tokens)
        finally:
            ci.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for the session."""
    with browsing() as found:
        yield found


Open = Callable[..., Page]


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Open]:
    """Opens a page as somebody who logged in with the form. A script error, or what the policy forbids, fails the
    test."""
    contexts, problems = list[BrowserContext](), list[str]()

    def open_page(role: str, path: str, *, dark: bool = False, phone: bool = False) -> Page:
        size: Any = {"width": 375, "height": 760} if phone else {"width": 1280, "height": 900}
        context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light", has_touch=phone)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if _is_fault(said.type, said.text) else None)
        page.goto(site.ci.url + path)
        page.get_by_label("Token").fill(site.tokens[role])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(site.ci.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def _is_fault(kind: str, text: str) -> bool:
    """A refused form is answered 4xx on purpose, which the browser notes."""
    return kind == "error" and "Failed to load resource" not in text


def picture(page: Page, name: str) -> None:
    """A screenshot of the whole page, for people."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
