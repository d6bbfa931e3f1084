"""Sends mail through the server that the settings name."""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headway.core.errors import HeadwayError

SECONDS = 10
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


@dataclass(frozen=True)
class MailServer:
    """An SMTP server and how it is spoken to: `smtp` in the clear, `smtp+starttls`, or `smtps`. `user` is empty where
    it wants no login."""

    scheme: str
    host: str
    port: int
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)

    def send(self, addresses: Sequence[str], subject: str, text: str) -> None:
        """Hand over one message. Raise OSError, smtplib.SMTPException."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, ", ".join(addresses), one_line(subject)
        message.set_content(text)
        with self._connected() as server:
            if self.user:
                server.login(self.user, self.password)
            server.send_message(message)

    def _connected(self) -> smtplib.SMTP:
        if self.scheme == "smtps":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        if self.scheme == "smtp+starttls":
            server.starttls(context=ssl.create_default_context())
        return server


def one_line(text: str) -> str:
    """A subject: no line of it can become another header."""
    return " ".join(text.split())[:200]


def mail_server(url: str, password_file: Path | None, sender: str) -> MailServer | None:
    """The server of `smtp[s|+starttls]://[USER@]HOST[:PORT]`; None where `url` is empty. Raise HeadwayError
    SMTP_UNUSABLE: a password belongs in a file, not in the URL."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise HeadwayError("SMTP_UNUSABLE", reason=str(error)) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise HeadwayError("SMTP_UNUSABLE", reason="expected smtp://, smtps:// or smtp+starttls:// and a host")
    if parts.password:
        raise HeadwayError("SMTP_UNUSABLE", reason="its password belongs in a file (--smtp-password-file)")
    password = ""
    if password_file is not None:
        try:
            password = password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise HeadwayError("SMTP_UNUSABLE", reason=f"{password_file} cannot be read: {error}") from None
    user = unquote(parts.username or "")
    return MailServer(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], sender, user, password)
