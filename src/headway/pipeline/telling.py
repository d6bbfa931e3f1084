"""Telling people and providers how runs go: Slack-compatible webhooks, mail, commit statuses.

What is to be told is written to the outbox with the run's change, and sent from there until it arrives; the outbox
knows each piece of news by a name of its own, so that a step that is taken up again tells nothing twice.
"""

import logging
import smtplib
import threading
import time
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from urllib.parse import urlsplit

import requests

from headway.core.errors import HeadwayError
from headway.pipeline.database import now_ms
from headway.pipeline.model import App, Notification, Run
from headway.pipeline.service import PipelineService
from headway.pipeline.settings import ServerSettings

logger = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10
# Stands in a message for the run's address until it is sent.
PAGE = "‹the run's page›"
GIVE_UP_MS, CATCH_UP_MS = 6 * 3600 * 1000, 3600 * 1000
_LOOK_SECONDS = 0.5
_SENDING = 0x68656174  # the key of PostgreSQL's advisory lock
_SLACK, _MAIL, _STATUS = "slack", "mail", "commit-status"
_BAD = ("failed", "refused")
_GITHUB = {
    "waiting": ("pending", "waits for its turn"),
    "making": ("pending", "is tested and built"),
    "ready": ("pending", "is built, and waits to be deployed"),
    "delivering": ("pending", "is being deployed"),
    "awaiting_approval": ("pending", "waits for an approval"),
    "succeeded": ("success", "went through"),
    "failed": ("failure", "failed"),
    "refused": ("failure", "was refused by a gate"),
    "superseded": ("error", "was superseded by a newer commit"),
    "cancelled": ("error", "was cancelled"),
}


class Teller:
    """Writes the outbox (`told`) and, once started, empties it."""

    def __init__(
        self,
        service: PipelineService,
        settings: ServerSettings,
        variables: Mapping[str, str],
        url: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._service, self._settings, self._variables, self._url = service, settings, variables, url
        self._next: dict[int, tuple[float, float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)

    def link(self, run: int) -> str:
        """Where people see a run: only the process with the door knows that, and it is the one that sends."""
        return f"{self._url().rstrip('/')}/runs/{run}"

    # --- what is to be told

    def told(self, run: Run, app: App) -> None:
        """A run's state changed. `run.environment` names the environment whose gates a release has just passed."""
        if run.kind != "rollback" and app.provider != "git" and app.status_token_env:
            self._note(run, "status", _STATUS, run.state, f"{run.id}:{run.attempt}:{run.state}")
        news = self._news(run)
        if news is None or news[0] not in self._settings.notify_on:
            return
        event, text = news
        for channel in self._channels():
            place = run.environment if event == "promotion" else ""
            self._note(run, event, channel, text, f"{run.id}:{run.attempt}:{event}:{place}")

    def _note(self, run: Run, event: str, channel: str, text: str, name: str) -> None:
        self._service.records.notify(run.id, event, channel, text, f"{channel}:{name}")

    def _channels(self) -> list[str]:
        slack = self._variables.get(self._settings.slack_env, "") if self._settings.slack_env else ""
        return [*([_SLACK] if slack else []), *([_MAIL] if self._settings.smtp_host and self._settings.mail_to else [])]

    def _news(self, run: Run) -> tuple[str, str] | None:
        what = f"{run.app} {run.version or run.commit[:12]}"
        about = f"“{run.message}” by {run.author}" if run.message and run.author else run.message
        match run.state:
            case "failed" | "refused":
                word = "failed" if run.state == "failed" else "was refused and taken back"
                return "failure", f"{what} {word}: {run.reason}\n{about}\n{PAGE}"
            case "awaiting_approval":
                asked = self._service.plan_for_approval(run.id)
                place = asked.environment if asked else "the next environment"
                text = f"{what} waits for an approval to go to {place}\n{about}\n{PAGE}"
                return "approval", text + (f"\n\n{asked.text}" if asked else "")
            case "delivering" if run.environment and run.kind == "line":
                return "promotion", f"{what} stands in {run.environment}\n{about}\n{PAGE}"
            case "succeeded" if run.kind == "line":
                former = next((r for r in self._former(run) if r.state in ("succeeded", *_BAD)), None)
                if former is not None and former.state in _BAD:
                    text = f"{run.app} is well again: {what} went through\n{about}\n{PAGE}"
                    return "recovery", text
        return None

    def _former(self, run: Run) -> list[Run]:
        older = self._service.list_runs(run.app, branch=run.branch, before=run.id, limit=50)
        return [found for found in older if found.kind == "line"]

    # --- how it is told

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what is left is sent after the next start."""
        self._ended.set()
        self._thread.join()

    def catch_up(self) -> None:
        """Tell what a server that was killed between a change and its news had not told. What was told is known by its
        name, and not told again."""
        apps = {app.name: app for app in self._service.list_apps()}
        since = now_ms() - CATCH_UP_MS
        for run in reversed(self._service.list_runs(limit=200)):
            recent = run.ended and (run.ended_ms or 0) > since
            if run.app in apps and (recent or run.state == "awaiting_approval"):
                self.told(run, apps[run.app])

    def _run(self) -> None:
        try:
            self.catch_up()
        except HeadwayError as error:
            logger.warning("what was not told before is not told now: %s", error.message)
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self.send()
            except HeadwayError as error:
                logger.warning("telling waits: %s", error.message)
            except Exception:  # one piece of news must not end the telling
                logger.exception("telling failed")

    def send(self) -> None:
        """Send what is in the outbox and due; where several servers share a database, one of them does."""
        with self._service.database.alone(_SENDING) as mine:
            if mine:
                self._send_due()

    def _send_due(self) -> None:
        for note in self._service.records.unsent(now_ms() - GIVE_UP_MS):
            due, wait = self._next.get(note.id, (0.0, 1.0))
            if self._monotonic() < due:
                continue
            if note.channel == _STATUS and note.problem and self._overtaken(note):
                self._service.records.notified(note.id, "")
                continue
            try:
                problem = self._send(note)
            except (requests.RequestException, OSError, smtplib.SMTPException) as error:
                problem = f"{type(error).__name__}"
            except HeadwayError:
                raise
            except Exception as error:  # this piece of news must not hold up the others
                logger.exception("news of run %s cannot be told", note.run)
                problem = f"{type(error).__name__}: {error}"
            self._service.records.notified(note.id, problem)
            if problem:
                logger.warning("news of run %s was not taken by %s: %s", note.run, note.channel, problem)
                self._next[note.id] = (self._monotonic() + wait, min(600.0, wait * 2))
            else:
                self._next.pop(note.id, None)

    def _overtaken(self, note: Notification) -> bool:
        """A status that was not taken at first, and that a newer one of the same run has followed."""
        later = self._service.records.notifications(note.run)
        return any(other.channel == _STATUS and other.id > note.id for other in later)

    def _send(self, note: Notification) -> str:
        run = self._service.run(note.run)
        text = note.text.replace(PAGE, self.link(run.id))
        if note.channel == _SLACK:
            url = self._variables.get(self._settings.slack_env, "")
            return _said(requests.post(url, json={"text": _for_slack(text)}, timeout=TIMEOUT_SECONDS))
        if note.channel == _MAIL:
            return self._mail(run, note, text)
        return self._status(run, note.text)

    def _mail(self, run: Run, note: Notification, text: str) -> str:
        settings = self._settings
        message = EmailMessage()
        first = text.splitlines()[0]
        message["Subject"] = f"[headway] {first[:150]}"
        message["From"], message["To"] = settings.mail_from, ", ".join(settings.mail_to)
        message["Message-ID"] = f"<headway-{run.id}-{note.id}@{settings.mail_from.rpartition('@')[2] or 'localhost'}>"
        message.set_content(text)
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_SECONDS) as server:
            if settings.smtp_starttls:
                server.starttls()
            if settings.smtp_user:
                server.login(settings.smtp_user, self._variables.get(settings.smtp_password_env, ""))
            server.send_message(message)
        return ""

    def _status(self, run: Run, state: str) -> str:
        """The commit's status at its provider. Sources: GitHub REST API, "Commit statuses"; GitLab API, "Commits";
        Gitea API, `repoCreateStatus` (which is GitHub's)."""
        try:
            app = self._service.app(run.app)
        except HeadwayError:
            return ""  # it was removed meanwhile
        token, base = self._variables.get(app.status_token_env, ""), api_of(app)
        if not base:
            return f"{app.provider}'s API is not known: register {app.name} with its `api_base`"
        word, text = _GITHUB[state]
        context = "headway/pull-request" if run.kind == "pull_request" else "headway"
        description = f"run {run.id} {text}"[:140]
        if app.provider == "gitlab":
            words = {"pending": "running", "success": "success", "failure": "failed", "error": "canceled"}
            project = requests.utils.quote(app.full_name, safe="")  # type: ignore[attr-defined]
            url = f"{base}/projects/{project}/statuses/{run.commit}"
            body = {"state": words[word], "name": context, "target_url": self.link(run.id), "description": description}
            headers = {"PRIVATE-TOKEN": token}
        else:
            url = f"{base}/repos/{app.full_name}/statuses/{run.commit}"
            body = {"state": word, "context": context, "target_url": self.link(run.id), "description": description}
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
        return _said(requests.post(url, json=body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False))


def api_of(app: App) -> str:
    """The base of the provider's API: the one that was registered, or else that of the repository's own host, so that
    no token goes to another one. Empty where there is none. Sources: GitHub Docs, "Using the REST API with GitHub
    Enterprise Server"; GitLab Docs, "REST API"; Gitea Docs, "API Usage"."""
    if app.api_base:
        return app.api_base.rstrip("/")
    if app.repository.startswith("file:"):
        return ""
    parts = urlsplit(app.repository)
    if "://" not in app.repository:
        host = app.repository.rpartition("@")[2].partition(":")[0]
    else:
        host = parts.netloc.rpartition("@")[2] if parts.scheme in ("https", "http") else parts.hostname or ""
    if app.provider == "github":
        return "https://api.github.com" if host == "github.com" else f"https://{host}/api/v3"
    return f"https://{host}/api/{'v4' if app.provider == 'gitlab' else 'v1'}"


def _for_slack(text: str) -> str:
    """Text in which nothing is a mention or a link of Slack's. Source: Slack, "Formatting text", escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _said(answer: requests.Response) -> str:
    return "" if answer.status_code < 300 else f"HTTP {answer.status_code}: {answer.text[:200]}"
