"""The workspace behind the server, read over its REST API with the visitor's own token, so that its permissions hold.

The server's own admin has no token of the workspace: for that one the server's token is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from headway.core.errors import HeadwayError
from headway.pipeline.access import ADMIN
from headway.pipeline.model import Identity

TIMEOUT_SECONDS = 20
MOST_PAGES = 400


@dataclass(frozen=True)
class Workspace:
    """A workspace's API as one caller sees it."""

    host: str
    token: str

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """One read. Raise HeadwayError WORKSPACE_CALL_FAILED, WORKSPACE_UNREACHABLE."""
        params = {key: value for key, value in query.items() if value is not None}
        return self._object("GET", path, params=params)

    def listed(self, path: str) -> list[Any]:
        """One read whose answer is a bare list (API 1.2). Raise the same."""
        data = self._call("GET", path)
        return data if isinstance(data, list) else []

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """One call with a body. Raise the same."""
        return self._object("POST", path, json=body)

    def pages(self, path: str, field: str, most: int = MOST_PAGES, **query: Any) -> Iterator[dict[str, Any]]:
        """Every element of a list that comes in pages, at most `most` pages of it. Raise the same."""
        token: str | None = None
        for _ in range(most):
            page = self.get(path, page_token=token, **query)
            yield from page.get(field) or ()
            token = page.get("next_page_token")
            if not token:
                return

    def _object(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        data = self._call(method, path, **given)
        return data if isinstance(data, dict) else {}

    def _call(self, method: str, path: str, **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            answer = requests.request(
                method, f"{self.host}{path}", headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False, **given
            )
            data = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise HeadwayError("WORKSPACE_UNREACHABLE", host=self.host, reason=type(error).__name__) from None
        if answer.status_code >= 300:
            said = data.get("message") if isinstance(data, dict) else None
            reason = said or f"HTTP {answer.status_code}"
            raise HeadwayError("WORKSPACE_CALL_FAILED", call=path, host=self.host, reason=reason)
        return data


class Workspaces:
    """Opens the workspace for a caller. `host` is None where the server has none."""

    def __init__(self, host: str | None, variables: Mapping[str, str]) -> None:
        self.host = host.rstrip("/") if host else None
        self._own = next(
            (variables[name] for name in ("HEADWAY_WORKSPACE_TOKEN", "DATABRICKS_TOKEN") if variables.get(name)), ""
        )

    def of(self, who: Identity, token: str) -> Workspace:
        """As that caller sees it. Raise HeadwayError WORKSPACE_NONE."""
        return self.own() if who.name == ADMIN else Workspace(self._host(), token)

    def own(self) -> Workspace:
        """As the server itself sees it. Raise HeadwayError WORKSPACE_NONE."""
        if not self._own:
            raise HeadwayError("WORKSPACE_NONE", reason="the server has no HEADWAY_WORKSPACE_TOKEN")
        return Workspace(self._host(), self._own)

    def _host(self) -> str:
        if self.host is None:
            raise HeadwayError("WORKSPACE_NONE", reason="neither HEADWAY_WORKSPACE_HOST nor --workspace was given")
        return self.host
