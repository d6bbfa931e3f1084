"""The server's settings: one table, which feeds validation, `--help` and the documentation.

Flag over environment (`HEADWAY_CI_…`) over file (TOML) over default. Secrets are never settings: a setting that ends in
`_env` names the environment variable that holds one.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from headway.core.configuration import suggestion
from headway.core.diagnostics import Diagnostic, Location
from headway.core.errors import ConfigurationError

PREFIX = "HEADWAY_CI_"


def _set(default: Any, help_: str) -> Any:
    return field(default=default, metadata={"help": help_})


@dataclass(frozen=True)
class ServerSettings:
    """The table. Each field's `help` says what it is; its type says what it takes (tuples are repeatable)."""

    data: str = _set(".headway/server", "Folder of the server: database, mirrors, work folders, keys.")
    database: str = _set("", "Database URL; without it SQLite in the data folder. postgresql://… for several workers.")
    host: str = _set("127.0.0.1", "Address to listen on; loopback unless you say otherwise.")
    port: int = _set(8480, "Port to listen on; 0 takes a free one.")
    external_url: str = _set("", "How people and providers reach this server, for links: https://ci.example.org.")
    workspace: bool = _set(True, "Start the embedded workspace with the server.")
    workspace_data: str = _set(".headway/workspace", "Folder of the embedded workspace.")
    workspace_port: int = _set(8470, "Port of the embedded workspace; 0 takes a free one.")
    builds: int = _set(2, "Runs that are tested and built at once by one process; 0: this process builds nothing.")
    deliveries: int = _set(4, "Runs that are deployed at once by one process; 0: this process deploys nothing.")
    output_mib: int = _set(64, "What one command of an application may print at most, in MiB.")
    work_gib: float = _set(20.0, "What the work folder of one run may hold at most, in GiB.")
    free_mib: int = _set(512, "Free disk below which running commands are ended, in MiB.")
    build_env: tuple[str, ...] = _set((), "Variable of the server that the applications' commands see too.")
    build_hours: float = _set(6.0, "What one step of testing or building may take at most, in hours.")
    lock_wait_minutes: float = _set(15.0, "How long a run waits for an environment that somebody else holds.")
    worker_timeout_seconds: float = _set(20.0, "A worker not heard of for so long is dead: others take its runs.")
    drift_minutes: float = _set(
        30.0,
        "How often the workspaces are asked whether somebody changed a job by hand, in minutes; 0: only when asked.",
    )
    keep_days: int = _set(90, "How long the logs of runs that have ended are kept, in days.")
    webhook_mib: float = _set(5.0, "The largest webhook that is read, in MiB.")
    slack_env: str = _set("", "Variable that holds the URL of a Slack-compatible incoming webhook.")
    smtp_host: str = _set("", "Mail server; without it no mail is sent.")
    smtp_port: int = _set(587, "Port of the mail server.")
    smtp_starttls: bool = _set(True, "Use STARTTLS with the mail server.")
    smtp_user: str = _set("", "User at the mail server.")
    smtp_password_env: str = _set("", "Variable that holds that user's password.")
    mail_from: str = _set("headway@localhost", "Sender of mails.")
    mail_to: tuple[str, ...] = _set((), "Receiver of mails.")
    notify_on: tuple[str, ...] = _set(
        ("failure", "recovery", "promotion", "approval"),
        "What people are told of.",
    )
    admins: tuple[str, ...] = _set((), "User of the workspace who is admin here.")
    approvers: tuple[str, ...] = _set((), "User of the workspace who may approve and roll back.")
    admin_groups: tuple[str, ...] = _set(("admins",), "Group of the workspace whose members are admins here.")
    approver_groups: tuple[str, ...] = _set((), "Group of the workspace whose members may approve and roll back.")
    developer_groups: tuple[str, ...] = _set((), "Group of the workspace whose members may start, retry and cancel.")
    prices: str = _set("", "Price table (TOML) for the report: what a node of each type costs an hour.")
    default_role: str = _set("developer", "Role of the workspace's other users: viewer, developer, …")
    log_format: str = _set("json", "How the server logs: json or text.")

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data).resolve()

    @property
    def database_url(self) -> str:
        """The database's URL."""
        return self.database or f"sqlite:///{self.folder / 'headway.db'}"


_CHOICES = {
    "default_role": ("viewer", "developer", "approver", "admin"),
    "log_format": ("json", "text"),
    "notify_on": ("failure", "recovery", "promotion", "approval"),
}
_LEAST: dict[str, float] = {
    "port": 0,
    "workspace_port": 0,
    "builds": 0,
    "deliveries": 0,
    "output_mib": 1,
    "free_mib": 0,
    "drift_minutes": 0,
}


def load_settings(file: Path | None, variables: Mapping[str, str], flags: Mapping[str, Any]) -> ServerSettings:
    """The settings. `flags` are those that were given. Raise ConfigurationError with every problem at once."""
    problems: list[Diagnostic] = []
    known = {entry.name: entry for entry in fields(ServerSettings)}
    values: dict[str, Any] = {}
    if file is not None:
        values |= _from_file(file, list(known), problems)
    for name, entry in known.items():
        default = entry.default
        text = variables.get(PREFIX + name.upper())
        where = Location(PREFIX + name.upper())
        if text is not None:
            values[name] = _from_text(text, default, where, name, problems)
        if flags.get(name) not in (None, [], ()):
            given = flags[name]
            values[name] = tuple(given) if isinstance(default, tuple) else given
    for name, value in values.items():
        _check(name, value, known[name].default, problems)
    if problems:
        raise ConfigurationError(tuple(problems))
    return ServerSettings(**values)


def _from_file(file: Path, known: list[str], problems: list[Diagnostic]) -> dict[str, Any]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(Diagnostic(Location(str(file)), "", f"cannot be read: {error}"))
        return {}
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name not in known:
            problems.append(Diagnostic(Location(str(file)), name, "unknown setting", suggestion(name, known)))
        else:
            found[name] = tuple(value) if isinstance(value, list) else value
    return found


def _from_text(text: str, default: Any, where: Location, name: str, problems: list[Diagnostic]) -> Any:
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, bool):
        if text.lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            return text.lower() in ("1", "true", "yes", "on")
    elif isinstance(default, str):
        return text
    else:
        try:
            return type(default)(text)
        except ValueError:
            pass
    problems.append(Diagnostic(where, name, f"{text!r} is not a {type(default).__name__}"))
    return default


def _check(name: str, value: Any, default: Any, problems: list[Diagnostic]) -> None:
    kind = type(default)
    at = Location("settings")
    numbers = isinstance(value, int | float) and not isinstance(value, bool) and kind in (int, float)
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits and not (numbers and kind is float):
        problems.append(Diagnostic(at, name, f"{value!r} is not a {kind.__name__}"))
        return
    choices = _CHOICES.get(name)
    for entry in value if isinstance(value, tuple) else (value,):
        if choices and entry not in choices:
            problems.append(Diagnostic(at, name, f"{entry!r} is none of {', '.join(choices)}"))
    if kind in (int, float) and value < _LEAST.get(name, 0.001):
        problems.append(Diagnostic(at, name, f"{value!r} is too little"))


def table() -> list[tuple[str, str, str]]:
    """Name, default and meaning of every setting: the documentation's table is made of this."""
    return [(entry.name, repr(entry.default), str(entry.metadata["help"])) for entry in fields(ServerSettings)]
