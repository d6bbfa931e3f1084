"""Sends one notification where it is to go: an HTTP call or a mail."""

import smtplib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import requests

from headway.workspace.engine.notices import Notice
from headway.workspace.errors import ApiError
from headway.workspace.mailing import MailServer

SECONDS = 10


class Destination(Protocol):
    """Where a webhook notification goes."""

    @property
    def kind(self) -> str:
        """`generic_webhook`, `slack`, `microsoft_teams` or `email`."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Its URL and credentials, or addresses."""


class Refused(Exception):
    """A delivery that is not tried again, with what is told of it."""


class Unreachable(Exception):
    """A delivery that may succeed later. It tells no more than a kind of error: its text may hold the URL, which is a
    secret."""


class Sender:
    """`find` gives a destination by id; `check_url` raises ApiError where a URL leads to an address that is not to be
    called; without a `mail` server no mail is sent."""

    def __init__(
        self,
        find: Callable[[str], Destination | None],
        check_url: Callable[[str], None],
        mail: MailServer | None,
    ) -> None:
        self._find, self._check_url, self._mail_server = find, check_url, mail

    def send(self, notice: Notice) -> None:
        """Deliver it. Raise Refused, Unreachable."""
        try:
            if notice.way == "email":
                self._mail([notice.to], notice)
                return
            destination = self._find(notice.to)
            if destination is None:
                raise Refused("there is no such destination")
            if destination.kind == "email":
                self._mail([str(one) for one in destination.values["addresses"]], notice)
            else:
                self._call(destination, notice)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPAuthenticationError) as error:
            raise Refused(type(error).__name__) from None
        except (requests.RequestException, OSError, smtplib.SMTPException) as error:
            raise Unreachable(type(error).__name__) from None

    def _call(self, destination: Destination, notice: Notice) -> None:
        url = str(destination.values["url"])
        try:
            self._check_url(url)
        except ApiError as error:
            if error.status == 403:
                raise Refused(error.message) from None
            raise Unreachable("its host cannot be resolved") from None
        body = dict(notice.payload) if destination.kind == "generic_webhook" else {"text": notice.summary}
        user, password = destination.values.get("username"), destination.values.get("password")
        credentials = (str(user or ""), str(password or "")) if user or password else None
        # What it answers is not read: only whether it took the call.
        with requests.post(
            url, json=body, auth=credentials, timeout=SECONDS, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
        if status >= 500 or status in (408, 425, 429):
            raise Unreachable(f"it answered {status}")
        if status >= 300:
            raise Refused(f"it answered {status}")

    def _mail(self, addresses: list[str], notice: Notice) -> None:
        if self._mail_server is None:
            raise Refused("this workspace has no mail server (--smtp-url)")
        self._mail_server.send(addresses, notice.summary, f"{notice.summary}\n\nevent: {notice.event_type}\n")
