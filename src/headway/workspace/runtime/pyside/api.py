"""The workspace's REST API as a run reaches it: with a token of its user that ends with the run."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

SECONDS = 60


class Api:
    """The API. Without a URL or a token every call says so."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self.token = url, token

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """GET a JSON object. Raise RuntimeError with the workspace's words."""
        if not self._url or not self.token:
            raise RuntimeError("this run has no access to the workspace's API")
        target = self._url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        asked = urllib.request.Request(target, headers={"Authorization": f"Bearer {self.token}"})  # noqa: S310
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(asked, timeout=SECONDS) as answer:
                return json.loads(answer.read())  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            try:
                told = json.loads(error.read())
                raise RuntimeError(f"{told.get('error_code', error.code)}: {told.get('message', '')}") from None
            except ValueError:
                raise RuntimeError(f"the workspace answered {error.code} to {path}") from None
        except OSError as error:
            raise RuntimeError(f"the workspace cannot be reached: {error}") from None
