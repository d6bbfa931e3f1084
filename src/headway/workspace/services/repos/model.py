"""Repos and git credentials, as they are kept and told. Pure.

Source: Databricks REST API, Repos 2.0 and Git credentials 2.0.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headway.workspace.errors import invalid, malformed

# Where the tokens of a provider may be sent. Servers of one's own are those that the workspace is told to allow.
HOSTS: Mapping[str, tuple[str, ...]] = {
    "gitHub": ("github.com",),
    "gitLab": ("gitlab.com",),
    "bitbucketCloud": ("bitbucket.org",),
    "azureDevOpsServices": ("dev.azure.com", "*.visualstudio.com"),
    "awsCodeCommit": ("git-codecommit.*.amazonaws.com",),
    "gitHubEnterprise": (),
    "gitLabEnterpriseEdition": (),
    "bitbucketServer": (),
}
_FOLDED = {name.lower(): name for name in HOSTS}


def provider_of(given: object, host: str) -> str:
    """The provider that was named, or the one whose host it is. Raise ApiError."""
    if given:
        if not isinstance(given, str) or given.lower() not in _FOLDED:
            raise invalid(f"Git provider {str(given)[:50]} is not one of {', '.join(HOSTS)}")
        return _FOLDED[given.lower()]
    found = [name for name, hosts in HOSTS.items() if any(fnmatch.fnmatch(host, one) for one in hosts)]
    if not found:
        raise invalid(f"provider must be given: it cannot be told from {host or 'the URL'}")
    return found[0]


def may_have(provider: str, scheme: str, host: str, own: Sequence[str]) -> bool:
    """Whether a token of that provider is sent to a host. `own` are the servers that the workspace was told to
    allow; only to these without encryption."""
    if any(fnmatch.fnmatch(host, one) for one in own):
        return scheme in ("https", "http")
    return scheme == "https" and any(fnmatch.fnmatch(host, one) for one in HOSTS[provider])


@dataclass(frozen=True)
class Repo:
    """A checkout. `repo_id` is the id of its folder in the tree. `manifest` tells whether somebody changed it."""

    repo_id: int
    url: str
    provider: str
    branch: str
    head: str
    sparse: Sequence[str]
    manifest: str

    def to_json(self, path: str) -> dict[str, Any]:
        """As the API answers it."""
        data: dict[str, Any] = {
            "id": self.repo_id,
            "path": path,
            "url": self.url,
            "provider": self.provider,
            "head_commit_id": self.head,
        }
        if self.branch:
            data["branch"] = self.branch
        if self.sparse:
            data["sparse_checkout"] = {"patterns": list(self.sparse)}
        return data


@dataclass(frozen=True)
class Credential:
    """What a user fetches with from a provider."""

    credential_id: int
    user: str
    provider: str
    username: str
    email: str
    token: str = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """As the API answers it: never with the token."""
        data: dict[str, Any] = {
            "credential_id": self.credential_id,
            "git_provider": self.provider,
            "git_username": self.username,
        }
        return {**data, "git_email": self.email} if self.email else data


def patterns(given: object) -> tuple[str, ...]:
    """The folders of a `sparse_checkout`. Raise ApiError."""
    if not given:
        return ()
    found = given.get("patterns") if isinstance(given, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise malformed("Could not parse request object: Expected an array patterns for field sparse_checkout")
    folders = tuple(one.strip("/") for one in found)
    for folder in folders:
        if not folder or len(folder) > 1000 or ".." in folder.split("/") or set("*?[!#\\") & set(folder):
            raise invalid(f"sparse_checkout.patterns: {folder[:100]!r} is not a folder (cone mode takes folders only)")
    if len(folders) > 1000:
        raise invalid("sparse_checkout has at most 1000 patterns")
    return folders
