"""Which notifications an event calls for, and what they say; how they are delivered when the other side does not."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from headway.core.errors import HeadwayError
from headway.workspace.engine.events import Event, Events, RunEnded, RunLasts, RunStarted, TaskEnded, TaskStarted
from headway.workspace.engine.notices import EVENTS, Notice, notices
from headway.workspace.engine.notifier import PAUSES_MS, Notifier
from headway.workspace.engine.sending import Refused, Unreachable
from headway.workspace.mailing import mail_server, one_line
from support.fake_timers import FakeTimers
from support.served_workspace import until

HOOKS = {"webhook_notifications": {event: [{"id": "hook"}] for event in EVENTS}}
MAILS = {"email_notifications": {event: ["ops@example.org"] for event in EVENTS}}


def run(**settings: Any) -> Any:
    """A run of a job named nightly."""
    return SimpleNamespace(run_id=7, job_id=3, name="nightly", settings=settings, state_message="out of luck")


def task(**settings: Any) -> Any:
    """A run of its task load."""
    return SimpleNamespace(run_id=8, task_key="load", settings=settings, state_message="no such table")


def ended(result: str, state: str = "TERMINATED") -> RunEnded:
    """The run's end."""
    return RunEnded(7, 3, 0, state, result)


def attempt(result: str, number: int = 0, *, last: bool = True) -> TaskEnded:
    """The task's end."""
    return TaskEnded(7, 3, 0, "load", 8, number, result, last)


def test_a_payload_is_what_databricks_documents() -> None:
    assert notices(RunStarted(7, 3, 0), run(**HOOKS), None, "1")[0].payload == {
        "event_type": "jobs.on_start",
        "workspace_id": "1",
        "run": {"run_id": "7"},
        "job": {"job_id": "3", "name": "nightly"},
    }
    found = notices(attempt("FAILED"), run(), task(**HOOKS), "1")
    assert [notice.summary for notice in found] == ["Task load of job nightly failed (run 7): no such table"]
    assert found[0].payload == {
        "event_type": "jobs.on_failure",
        "workspace_id": "1",
        "task": {"task_key": "load"},
        "run": {"run_id": "8", "parent_run_id": "7"},
        "job": {"job_id": "3", "name": "nightly"},
    }


@pytest.mark.parametrize(
    ("event", "settings", "told"),
    [
        (RunStarted(7, 3, 0), {}, "on_start"),
        (RunStarted(7, 3, 0, repair=True), {}, None),
        (RunLasts(7, 3, 0, 60), {}, "on_duration_warning_threshold_exceeded"),
        (ended("SUCCESS"), {}, "on_success"),
        (ended("SUCCESS_WITH_FAILURES"), {}, "on_success"),
        (ended("FAILED"), {}, "on_failure"),
        (ended("TIMEDOUT"), {"no_alert_for_canceled_runs": True}, "on_failure"),
        (ended("CANCELED"), {}, "on_failure"),
        (ended("CANCELED"), {"no_alert_for_canceled_runs": True}, None),
        (ended("MAXIMUM_CONCURRENT_RUNS_REACHED", "SKIPPED"), {}, "on_failure"),
        (ended("MAXIMUM_CONCURRENT_RUNS_REACHED", "SKIPPED"), {"no_alert_for_skipped_runs": True}, None),
    ],
)
def test_a_run_tells_of(event: Event, settings: dict[str, Any], told: str | None) -> None:
    found = notices(event, run(notification_settings=settings, **HOOKS, **MAILS), None, "1")
    expected = [f"webhook hook jobs.{told}", f"email ops@example.org jobs.{told}"] if told else []
    assert [f"{notice.way} {notice.to} {notice.event_type}" for notice in found] == expected


@pytest.mark.parametrize(
    ("event", "settings", "told"),
    [
        (TaskStarted(7, 3, 0, "load", 8, 1), {}, "on_start"),
        (TaskStarted(7, 3, 0, "load", 8, 1), {"alert_on_last_attempt": True}, None),
        (attempt("FAILED", last=False), {}, "on_failure"),
        (attempt("FAILED", last=False), {"alert_on_last_attempt": True}, None),
        (attempt("FAILED", 1), {"alert_on_last_attempt": True}, "on_failure"),
        (attempt("UPSTREAM_FAILED"), {}, None),
        (attempt("EXCLUDED"), {}, None),
        (attempt("SUCCESS"), {}, "on_success"),
    ],
)
def test_a_task_tells_of(event: Event, settings: dict[str, Any], told: str | None) -> None:
    found = notices(event, run(**HOOKS), task(notification_settings=settings, **HOOKS), "1")
    assert [notice.event_type for notice in found] == ([f"jobs.{told}"] if told else [])


def test_the_older_setting_for_skipped_runs_silences_mail_alone() -> None:
    email = {"email_notifications": {**MAILS["email_notifications"], "no_alert_for_skipped_runs": True}}
    found = notices(ended("MAXIMUM_CONCURRENT_RUNS_REACHED", "SKIPPED"), run(**HOOKS, **email), None, "1")
    assert [notice.way for notice in found] == ["webhook"]


class Outside:
    """Where notifications go: answers by destination; `slow` is not answered until it is set free."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.tries: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.free = threading.Event()

    def send(self, notice: Notice) -> None:
        """As a sender does."""
        self.tries.append(notice.to)
        if notice.to == "slow":
            assert self.free.wait(20)
        if notice.to in self.failing:
            raise self.failing[notice.to]
        self.sent.append(f"{notice.to} {notice.event_type}")


@pytest.fixture
def outside() -> Outside:
    """It."""
    return Outside()


def telling(outside: Outside, timers: FakeTimers, *ids: str) -> tuple[Notifier, Events]:
    """A notifier of runs that tell these destinations of everything."""
    hooks = {event: [{"id": name} for name in ids] for event in EVENTS}
    records: Any = SimpleNamespace(run=lambda run_id: run(webhook_notifications=hooks))
    events = Events()
    return Notifier(records, events, timers, outside, "1"), events


def test_a_destination_that_hangs_holds_up_no_other(outside: Outside) -> None:
    notifier, events = telling(outside, FakeTimers(), "slow", "quick")
    for event in (RunStarted(7, 3, 0), ended("FAILED")):
        events.publish(event)
    until(lambda: outside.sent == ["quick jobs.on_start", "quick jobs.on_failure"])
    outside.free.set()
    until(lambda: len(outside.sent) == 4)
    assert outside.sent[2:] == ["slow jobs.on_start", "slow jobs.on_failure"]
    notifier.close()


def test_one_that_fails_is_tried_again_later_and_later_and_then_no_more(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    timers = FakeTimers()
    outside.failing["hook"] = Unreachable("ConnectionError")
    notifier, events = telling(outside, timers, "hook")
    events.publish(RunStarted(7, 3, 0))
    for count, pause in enumerate(PAUSES_MS, 1):
        until(lambda count=count: len(outside.tries) == count and timers.due())  # type: ignore[misc]
        assert timers.due() == [timers.now_ms() + pause]
        timers.turn(pause)
    until(lambda: "ConnectionError, 5 times" in caplog.text)
    notifier.close()
    assert (outside.sent, timers.due()) == ([], [])


def test_one_that_refuses_is_not_tried_again(outside: Outside, caplog: pytest.LogCaptureFixture) -> None:
    timers = FakeTimers()
    outside.failing["hook"] = Refused("it answered 403")
    notifier, events = telling(outside, timers, "hook")
    events.publish(RunStarted(7, 3, 0))
    notifier.close()
    assert timers.due() == []
    assert "jobs.on_start was not sent to webhook hook: it answered 403" in caplog.text


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://mail.example.org", "expected smtp://"),
        ("smtp://", "expected smtp://"),
        ("smtp://ops:secret@mail.example.org", "--smtp-password-file"),
        ("smtp://mail.example.org:99999", "Port"),
    ],
)
def test_a_mail_server_that_cannot_be_is_refused_and_its_password_not_repeated(url: str, told: str) -> None:
    with pytest.raises(HeadwayError, match=told) as refused:
        mail_server(url, None, "a@example.org")
    assert "secret" not in str(refused.value)


def test_a_subject_is_one_line() -> None:
    assert one_line("a\r\nBcc: everybody@example.org") == "a Bcc: everybody@example.org"
