"""Jobs tell of their runs: destinations through the official client, real calls and mails on loopback."""

import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from databricks.sdk.core import DatabricksError
from databricks.sdk.errors import (
    BadRequest,
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
    ResourceAlreadyExists,
)
from databricks.sdk.service import settings as sdk

from headway.workspace.tls import self_signed
from support.inbox import Inbox, taking
from support.job_making import create, ended, fail, results, task, wait_for_cancel
from support.served_workspace import Served, as_user, serving, until


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """Somebody who listens."""
    with taking() as found:
        yield found


def hook(served: Served, url: str, **more: Any) -> str:
    """A destination; its id."""
    config = sdk.Config(generic_webhook=sdk.GenericWebhookConfig(url=url, **more))
    made = served.client.notification_destinations.create(config=config, display_name=url[-200:])
    return str(made.id)


def told(inbox: Inbox, path: str, count: int) -> list[Any]:
    """What a path was sent, once it is so much."""
    until(lambda: len(inbox.of(path)) >= count)
    return [request.data for request in inbox.of(path)]


def to(*ids: str, events: tuple[str, ...] = ("on_start", "on_success", "on_failure")) -> dict[str, Any]:
    """The settings that tell these destinations of those events."""
    return {"webhook_notifications": {event: [{"id": one} for one in ids] for event in events}}


def test_a_job_and_its_tasks_tell_a_webhook_of_their_runs(served: Served, inbox: Inbox) -> None:
    job_hook = hook(served, f"{inbox.url}/job", username="headway", password="secret")
    task_hook = hook(served, f"{inbox.url}/task")
    served.fleet.acts["told"] = fail
    job_id = create(
        served.client,
        task("told", max_retries=1, **to(task_hook), notification_settings={"alert_on_last_attempt": True}),
        name="nightly",
        **to(job_hook),
    )
    run = ended(served.client, served.client.jobs.run_now(job_id).run_id)
    job = {"job_id": str(job_id), "name": "nightly"}
    assert told(inbox, "/job", 2) == [
        {"event_type": event, "workspace_id": "1", "run": {"run_id": str(run.run_id)}, "job": job}
        for event in ("jobs.on_start", "jobs.on_failure")
    ]
    assert {request.headers["authorization"] for request in inbox.of("/job")} == {"Basic aGVhZHdheTpzZWNyZXQ="}
    found = told(inbox, "/task", 2)
    assert [(data["event_type"], data["task"]) for data in found] == [
        ("jobs.on_start", {"task_key": "told"}),
        ("jobs.on_failure", {"task_key": "told"}),
    ]
    attempts = served.client.jobs.get_run(run.run_id or 0, include_history=True).tasks or []
    assert {data["run"]["parent_run_id"] for data in found} == {str(run.run_id)}
    assert {int(data["run"]["run_id"]) for data in found} <= {attempt.run_id for attempt in attempts}


def test_a_run_that_lasts_is_told_of_and_a_canceled_one_may_be_silent(served: Served, inbox: Inbox) -> None:
    served.fleet.acts["lasting"] = wait_for_cancel
    health = {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 1}]}
    events = ("on_failure", "on_duration_warning_threshold_exceeded")
    destination = hook(served, f"{inbox.url}/lasting")
    settings = {**to(destination, events=events), "health": health}
    job_id = create(
        served.client,
        task("lasting", **settings),
        **settings,
        notification_settings={"no_alert_for_canceled_runs": True},
    )
    run_id = served.client.jobs.run_now(job_id).run_id
    found = told(inbox, "/lasting", 2)
    assert {(data["event_type"], "task" in data) for data in found} == {
        ("jobs.on_duration_warning_threshold_exceeded", False),
        ("jobs.on_duration_warning_threshold_exceeded", True),
    }
    served.client.jobs.cancel_run(run_id)
    ended(served.client, run_id)
    assert [data["event_type"] for data in told(inbox, "/lasting", 3)[2:]] == ["jobs.on_failure"]
    assert "task" in inbox.of("/lasting")[2].data


def test_chats_are_told_in_words(served: Served, inbox: Inbox) -> None:
    ids = []
    for kind in ("slack", "microsoft_teams"):
        body = {"display_name": f"a {kind}", "config": {kind: {"url": f"{inbox.url}/{kind}"}}}
        made: Any = served.client.api_client.do("POST", "/api/2.0/notification-destinations", body=body)
        ids.append(made["id"])
    job_id = create(served.client, task("quick"), name="chatty", **to(*ids, events=("on_success",)))
    run = ended(served.client, served.client.jobs.run_now(job_id).run_id)
    for kind in ("slack", "microsoft_teams"):
        assert told(inbox, f"/{kind}", 1) == [{"text": f"Job chatty succeeded (run {run.run_id})"}]


def test_a_hook_that_never_answers_delays_no_run(served: Served, inbox: Inbox) -> None:
    silence = threading.Event()
    with taking(silence) as silent:
        ids = hook(served, f"{silent.url}/silent"), hook(served, f"{inbox.url}/beside")
        job_id = create(served.client, task("quick"), **to(*ids))
        run = ended(served.client, served.client.jobs.run_now(job_id).run_id)
        assert results(run)["run"] == "SUCCESS"
        assert len(told(inbox, "/beside", 2)) == 2
        assert silent.requests == []
        silence.set()


def test_a_hook_that_fails_for_a_moment_is_told_again(served: Served, inbox: Inbox) -> None:
    inbox.answers["/moody"] = [503]
    job_id = create(served.client, task("quick"), **to(hook(served, f"{inbox.url}/moody"), events=("on_success",)))
    ended(served.client, served.client.jobs.run_now(job_id).run_id)
    assert len(told(inbox, "/moody", 2)) == 2


def test_what_a_destination_holds_is_never_shown_again(served: Served) -> None:
    destinations = served.client.notification_destinations
    made = destinations.create(
        display_name="kept close",
        config=sdk.Config(generic_webhook=sdk.GenericWebhookConfig(url="http://127.0.0.1:9/T0KEN", password="secret")),
    )
    shown = json.dumps(destinations.get(str(made.id)).as_dict())
    assert "T0KEN" not in shown
    assert "secret" not in shown
    assert b"T0KEN" not in (served.data / "workspace.db").read_bytes()
    assert b"T0KEN" not in (served.data / "workspace.db-wal").read_bytes()
    changed = destinations.update(str(made.id), display_name="kept closer")
    assert (changed.display_name, changed.config.generic_webhook.password_set) == ("kept closer", True)  # type: ignore[union-attr]
    assert made.id in {one.id for one in as_user(served, "eve@example.com").notification_destinations.list()}
    with pytest.raises(ResourceAlreadyExists):
        destinations.create(display_name="kept closer", config=made.config and sdk.Config(
            slack=sdk.SlackConfig(url="http://127.0.0.1:9/")))  # fmt: skip
    destinations.delete(str(made.id))
    with pytest.raises(NotFound):
        destinations.get(str(made.id))
    with pytest.raises(PermissionDenied):
        as_user(served, "eve@example.com").notification_destinations.delete(str(made.id))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"generic_webhook": {"url": "file:///etc/passwd"}},
        {"generic_webhook": {"url": "http://"}},
        {"slack": {"url": "http://127.0.0.1:9/"}, "email": {"addresses": ["a@b.c"]}},
        {"email": {"addresses": "a@b.c"}},
        {"generic_webhook": {"url": "http://localhost:9/"}},  # loopback, and not allowed by that name
        {"pagerduty": {"integration_key": "k"}},
    ],
)
def test_a_destination_that_cannot_be_is_refused(served: Served, config: dict[str, Any]) -> None:
    body = {"display_name": "odd", "config": config}
    with pytest.raises(DatabricksError) as refused:
        served.client.api_client.do("POST", "/api/2.0/notification-destinations", body=body)
    assert refused.value.error_code in ("INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "NOT_IMPLEMENTED")


@pytest.mark.parametrize(
    ("settings", "told_of"),
    [
        ({"webhook_notifications": {"on_start": [{"id": "no-such"}]}}, "no-such does not exist"),
        ({"webhook_notifications": {"on_star": [{"id": "x"}]}}, "on_star is not an event"),
        ({"email_notifications": {"on_failure": ["nobody"]}}, "list of addresses"),
        ({"email_notifications": {"on_failure": ["a@b.c\nBcc: x@y.z"]}}, "list of addresses"),
        ({"email_notifications": {"on_streaming_backlog_exceeded": ["a@b.c"]}}, "backlog of streams"),
        ({"health": {"rules": [{"metric": "STREAMING_BACKLOG_BYTES", "op": "GREATER_THAN", "value": 1}]}}, "backlog"),
        ({"health": {"rules": "x"}}, "array rules"),
    ],
)
def test_what_a_job_cannot_be_told_of_is_refused(served: Served, settings: dict[str, Any], told_of: str) -> None:
    for body in ([task("a", **settings)], settings), ([task("a")], settings):
        with pytest.raises((InvalidParameterValue, BadRequest, DatabricksError), match=told_of):
            create(served.client, *body[0], **body[1])


class Sink:
    """What a mail server took."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keep it."""
        self.mails.append((session.authenticated, envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@contextmanager
def mail_sink(folder: Path) -> Iterator[tuple[Sink, int, Path]]:
    """A mail server that wants STARTTLS and a login; what it took, its port and its certificate."""
    made = self_signed(folder, "127.0.0.1", datetime.now(UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"ops", b"hush"))

    sink = Sink()
    with socket.create_server(("127.0.0.1", 0)) as free:  # the controller wants to be told
        port = int(free.getsockname()[1])
    controller = Controller(
        sink, "127.0.0.1", port, tls_context=context, require_starttls=True, auth_required=True, authenticator=login
    )
    controller.start()
    try:
        yield sink, port, made.cert
    finally:
        controller.stop()


def test_mail_is_sent_by_the_server_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("hush\n")
    with mail_sink(tmp_path / "tls") as (sink, port, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        smtp: dict[str, Any] = {
            "smtp_url": f"smtp+starttls://ops@127.0.0.1:{port}",
            "smtp_password_file": tmp_path / "password",
        }
        with serving(tmp_path / "data", mail_from="headway@example.org", **smtp) as served:
            team = served.client.notification_destinations.create(
                display_name="the team", config=sdk.Config(email=sdk.EmailConfig(addresses=["team@example.org"]))
            )
            served.fleet.acts["told"] = fail
            emails = {"email_notifications": {"on_failure": ["ops@example.org"]}}
            job_id = create(served.client, task("told"), name="nightly", **emails, **to(str(team.id)))
            run = ended(served.client, served.client.jobs.run_now(job_id).run_id)
            until(lambda: len(sink.mails) == 3)
    failed = [mail for mail in sink.mails if "jobs.on_failure" in mail[2]]
    assert sorted(mail[1][0] for mail in failed) == ["ops@example.org", "team@example.org"]
    assert all(mail[0] for mail in sink.mails)
    assert f"Job nightly failed (run {run.run_id}): Task told failed" in " ".join(failed[0][2].split())
    assert "From: headway@example.org" in failed[0][2]


def test_the_sink_is_one_that_refuses(tmp_path: Path) -> None:
    with mail_sink(tmp_path) as (_, port, _), smtplib.SMTP("127.0.0.1", port) as server:
        assert server.docmd("MAIL", "FROM:<a@b.c>")[0] == 530
