"""What is told to people and providers, against servers that take it, refuse it, or come back later."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from headway.adapters.gitmirror import Mirror
from headway.pipeline.database import Database, now_ms
from headway.pipeline.model import App, Run
from headway.pipeline.service import PipelineService
from headway.pipeline.settings import ServerSettings
from headway.pipeline.telling import Teller, api_of
from support.inbox import Inbox

APP = App("scores", "file:///nowhere", "github", "team/scores", status_token_env="STATUS")


@pytest.fixture
def teller(database: Database, inbox: Inbox) -> Teller:
    """One that sends when it is asked to; each look at its clock is an hour after the former."""

    def no_mirror(app: App) -> Mirror:
        raise AssertionError(app)

    service = PipelineService(database, lambda run: None, no_mirror, {})
    service.apps.add(replace(APP, api_base=f"{inbox.url}/api-of-telling"))
    settings = ServerSettings(
        slack_env="HOOK",
        smtp_host="127.0.0.1",
        smtp_port=inbox.smtp_port,
        smtp_user="mailer",
        smtp_password_env="MAIL_PASSWORD",
        smtp_starttls=False,
        mail_to=("team@example.org",),
    )
    variables = {"HOOK": f"{inbox.url}/slack-of-telling", "STATUS": "a-token", "MAIL_PASSWORD": "a-password"}
    hours = (3600.0 * n for n in itertools.count())
    inbox.requests.clear()
    inbox.mails.clear()
    inbox.answers.clear()
    return Teller(service, settings, variables, lambda: "https://ci.example.org/", hours.__next__)


def a_run(teller: Teller, **values: Any) -> Run:
    """A run in the database."""
    service = teller._service
    fields: dict[str, Any] = {"app": "scores", "kind": "line", "commit": "a" * 40, "branch": "main", "trigger": "push"}
    fields |= {"triggered_by": "ann", "author": "Ann", **values}
    return service.runs.get(service.database.run(lambda c: service.runs.add(c, fields)))


def test_a_status_that_was_refused_at_first_does_not_overwrite_a_newer_one(teller: Teller, inbox: Inbox) -> None:
    inbox.answers["/api-of-telling"] = [502]
    run = a_run(teller)
    for state in ("making", "succeeded"):
        teller.told(replace(run, state=state), APP)
    for _ in range(3):
        teller.send()
    told = [request.data["state"] for request in inbox.of("/api-of-telling/repos/team/scores/statuses/")]
    assert told == ["pending", "success"]
    assert teller._service.records.unsent(0) == []


def test_news_that_cannot_be_told_hold_up_no_others_and_mention_nobody(teller: Teller, inbox: Inbox) -> None:
    bad = a_run(teller, state="failed")
    teller._service.records.notify(bad.id, "failure", "mail", "", "one")
    good = a_run(teller, message="<!channel> a & b", state="failed", reason="it is red")
    teller.told(good, APP)
    inbox.answers["/slack-of-telling"] = [500]
    teller.send()
    teller.send()
    said = [request.data["text"] for request in inbox.of("/slack-of-telling")]
    assert said[0] == said[1]
    assert "“&lt;!channel&gt; a &amp; b” by Ann\nhttps://ci.example.org/runs/" in said[1]
    assert any("Subject: [headway] scores aaaaaaaaaaaa failed: it is red" in mail for mail in inbox.mails)
    assert ("mailer", "a-password") in inbox.logins


def test_news_are_told_once_however_often_they_happen(teller: Teller, inbox: Inbox) -> None:
    failed = a_run(teller, state="failed", reason="red")
    teller.told(failed, APP)
    teller.told(failed, APP)
    well = a_run(teller, state="succeeded")
    teller.told(well, APP)
    teller.send()
    said = [request.data["text"].splitlines()[0] for request in inbox.of("/slack-of-telling")]
    assert said == ["scores aaaaaaaaaaaa failed: red", "scores is well again: scores aaaaaaaaaaaa went through"]


def test_what_a_killed_server_had_not_told_is_told_at_the_next_start_once(teller: Teller, inbox: Inbox) -> None:
    told = a_run(teller, state="failed", ended_ms=now_ms(), reason="told before")
    teller.told(told, APP)
    a_run(teller, state="failed", ended_ms=now_ms(), reason="cut off")
    a_run(teller, state="failed", ended_ms=now_ms() - 2 * 3_600_000, reason="long ago")
    for _ in range(2):
        teller.catch_up()
        teller.send()
    said = [request.data["text"].splitlines()[0] for request in inbox.of("/slack-of-telling")]
    assert said == ["scores aaaaaaaaaaaa failed: told before", "scores aaaaaaaaaaaa failed: cut off"]


@pytest.mark.parametrize(
    ("provider", "repository", "base"),
    [
        ("github", "https://github.com/team/scores", "https://api.github.com"),
        ("github", "git@github.example.org:team/scores.git", "https://github.example.org/api/v3"),
        ("gitlab", "https://gitlab.com/team/scores", "https://gitlab.com/api/v4"),
        ("gitlab", "https://me@git.example.org:8443/team/scores", "https://git.example.org:8443/api/v4"),
        ("gitea", "ssh://git@git.example.org:2222/team/scores", "https://git.example.org/api/v1"),
        ("gitea", "file:///srv/scores.git", ""),
    ],
)
def test_a_token_goes_to_the_repositorys_own_host(provider: str, repository: str, base: str) -> None:
    assert api_of(App("scores", repository, provider)) == base  # type: ignore[arg-type]
    assert api_of(App("scores", repository, provider, api_base="https://x/api/")) == "https://x/api"  # type: ignore[arg-type]
