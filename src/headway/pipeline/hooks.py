"""Webhooks of GitHub, GitLab and Gitea: whether they are genuine, and what they tell. Pure.

Sources: GitHub Docs, "Validating webhook deliveries" (`X-Hub-Signature-256`); GitLab Docs, "Webhooks"
(`X-Gitlab-Token`, `X-Gitlab-Event-UUID`); Gitea Docs, "Webhooks" (`X-Gitea-Signature`, `X-Gitea-Delivery`).
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from headway.pipeline.model import App, Provider

_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_GONE = re.compile(r"0{40}(0{24})?")
_BRANCH = "refs/heads/"
_LONGEST_NAME, _LARGEST_NUMBER = 1000, 2**31
HOOKED: tuple[Provider, ...] = ("github", "gitlab", "gitea")


@dataclass(frozen=True)
class Push:
    """A branch has a new head."""

    branch: str
    commit: str
    message: str
    author: str
    by: str


@dataclass(frozen=True)
class PullRequest:
    """A pull request has a new head. `fork` says that it comes from another repository."""

    number: int
    branch: str
    commit: str
    title: str
    by: str
    fork: bool


@dataclass(frozen=True)
class Nothing:
    """An event that sets nothing off. `why` is told to the sender."""

    why: str


Told = Push | PullRequest | Nothing


@dataclass(frozen=True)
class Envelope:
    """What a webhook's headers say: its event, and the id by which a delivery is known."""

    provider: Provider
    event: str
    delivery: str


def envelope(provider: Provider, headers: Mapping[str, str], body: bytes) -> Envelope | None:
    """None where the headers are not that provider's. `headers` has lower-case names. GitLab before 15 sends no id;
    its body, which names the commit, then stands for one."""
    match provider:
        case "github":
            event, delivery = headers.get("x-github-event", ""), headers.get("x-github-delivery", "")
        case "gitea":
            event, delivery = headers.get("x-gitea-event", ""), headers.get("x-gitea-delivery", "")
        case "gitlab":
            event = headers.get("x-gitlab-event", "")
            delivery = headers.get("idempotency-key", "") or headers.get("x-gitlab-event-uuid", "")
            delivery = delivery or hashlib.sha256(body).hexdigest()
        case _:
            return None
    if not event or not delivery or len(delivery) > 200 or len(event) > 60:
        return None
    return Envelope(provider, event, delivery)


def genuine(provider: Provider, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the sender knows the application's secret. Every comparison takes the same time."""
    if provider == "gitlab":
        return hmac.compare_digest(headers.get("x-gitlab-token", "").encode(), secret.encode())
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if provider == "github":
        return hmac.compare_digest(headers.get("x-hub-signature-256", "").encode(), f"sha256={digest}".encode())
    return hmac.compare_digest(headers.get("x-gitea-signature", "").encode(), digest.encode())


def secret_of(key: bytes, app: App) -> str:
    """An application's webhook secret: made of the server's key, kept nowhere."""
    return hmac.new(key, f"webhook:{app.name}:{app.webhook_salt}".encode(), hashlib.sha256).hexdigest()


def names_of(provider: Provider, data: Mapping[str, Any]) -> set[str]:
    """How the webhook names its repository: full name and URLs."""
    found = _map(data.get("project") if provider == "gitlab" else data.get("repository"))
    keys = ("full_name", "path_with_namespace", "clone_url", "ssh_url", "git_http_url", "git_ssh_url", "html_url")
    return {str(found[key]) for key in keys if isinstance(found.get(key), str)}


def about(app: App, provider: Provider, data: Mapping[str, Any]) -> bool:
    """Whether a webhook is about the application's repository."""
    names = {_plain(name) for name in names_of(provider, data)}
    return _plain(app.repository) in names or (bool(app.full_name) and _plain(app.full_name) in names)


def _plain(name: str) -> str:
    return name.removesuffix("/").removesuffix(".git").lower()


def read(provider: Provider, event: str, data: Mapping[str, Any]) -> Told:
    """What the webhook tells. Whatever is not as documented is Nothing."""
    match provider, event:
        case ("github" | "gitea", "ping"):
            return Nothing("pong")
        case ("github" | "gitea", "push"):
            return _push(str(data.get("ref", "")), str(data.get("after", "")), _commits(data), _map(data.get("pusher")))
        case "gitlab", "Push Hook":
            by = {"name": data.get("user_username") or data.get("user_name")}
            return _push(str(data.get("ref", "")), str(data.get("after", "")), _commits(data), by)
        case ("github" | "gitea", "pull_request"):
            return _pull_request(data)
        case "gitlab", "Merge Request Hook":
            return _merge_request(data)
    return Nothing(f"the event {event} sets nothing off")


def _commits(data: Mapping[str, Any]) -> Mapping[str, Any]:
    head = data.get("head_commit")
    if isinstance(head, Mapping):
        return head
    commits = data.get("commits")
    after = data.get("after")
    listed = [entry for entry in commits if isinstance(entry, Mapping)] if isinstance(commits, list) else []
    return next((entry for entry in listed if entry.get("id") == after), listed[-1] if listed else {})


def _push(ref: str, after: str, head: Mapping[str, Any], pusher: Mapping[str, Any]) -> Told:
    if not ref.startswith(_BRANCH):
        return Nothing(f"{ref[:100] or 'no ref'} is not a branch")
    if _GONE.fullmatch(after):
        return Nothing(f"the branch {ref.removeprefix(_BRANCH)[:100]} was deleted")
    if len(ref) > _LONGEST_NAME:
        return Nothing("its branch has too long a name")
    if not _SHA.fullmatch(after):
        return Nothing("it names no commit")
    author = _map(head.get("author"))
    message = str(head.get("message", "")).strip().splitlines()
    return Push(
        branch=ref.removeprefix(_BRANCH),
        commit=after,
        message=message[0][:500] if message else "",
        author=str(author.get("name") or "")[:200],
        by=str(pusher.get("name") or pusher.get("login") or pusher.get("username") or "")[:200],
    )


def _pull_request(data: Mapping[str, Any]) -> Told:
    if data.get("action") not in ("opened", "reopened", "synchronize", "synchronized"):
        return Nothing(f"the action {str(data.get('action'))[:50]} of a pull request sets nothing off")
    pull = _map(data.get("pull_request"))
    head, base = _map(pull.get("head")), _map(pull.get("base"))
    number, commit = data.get("number") or pull.get("number"), str(head.get("sha", ""))
    if not _is_number(number) or not _SHA.fullmatch(commit):
        return Nothing("it names no commit")
    ours = _map(base.get("repo")).get("full_name")
    return PullRequest(
        number=number,
        branch=str(base.get("ref", ""))[:500],
        commit=commit,
        title=str(pull.get("title", ""))[:500],
        by=str(_map(pull.get("user")).get("login", ""))[:200],
        fork=ours is None or _map(head.get("repo")).get("full_name") != ours,
    )


def _merge_request(data: Mapping[str, Any]) -> Told:
    request = _map(data.get("object_attributes"))
    action, changed = request.get("action"), "oldrev" in request
    if action not in ("open", "reopen") and not (action == "update" and changed):
        return Nothing(f"the action {str(action)[:50]} of a merge request sets nothing off")
    number, commit = request.get("iid"), str(_map(request.get("last_commit")).get("id", ""))
    if not _is_number(number) or not _SHA.fullmatch(commit):
        return Nothing("it names no commit")
    source, target = request.get("source_project_id"), request.get("target_project_id")
    return PullRequest(
        number=number,
        branch=str(request.get("target_branch", ""))[:500],
        commit=commit,
        title=str(request.get("title", ""))[:500],
        by=str(_map(data.get("user")).get("username", ""))[:200],
        fork=source is None or source != target,
    )


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LARGEST_NUMBER


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
