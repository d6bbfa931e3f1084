"""Spark UIs through the workspace: of drivers that live, and of those that have ended, from their event logs.

Neither listens beyond loopback, and both let in only who shows their secret: the workspace, after it has asked who
calls. Only GET is passed on. What a page may load or call is bound to its own address, because pages show what users
named.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import requests
from starlette.responses import RedirectResponse, Response

from headway.workspace.errors import ApiError, missing
from headway.workspace.http import Call
from headway.workspace.runtime.tasks import DriverFailed
from headway.workspace.services.monitoring.model import ClusterPlace
from headway.workspace.services.monitoring.store import application_of, event_logs

SECRET_HEADER = "X-Headway-Secret"  # noqa: S105  (the name of a header)
_SECONDS = 60
_MOST_BYTES = 64 * 1024 * 1024
_OF_APPLICATION = re.compile(r"(?:history|api/v1/applications)/([A-Za-z0-9_.-]+)(?:/.*)?")


class History(Protocol):
    """Spark's history server (`runtime.history.HistoryServer`)."""

    def show(self, log: Path, application: str) -> tuple[int, str]:
        """Its port and secret, once it shows that application. Raise DriverFailed."""


class SparkUis:
    """Spark UIs by cluster. `drivers` gives the driver of a cluster that lives, or None."""

    def __init__(
        self, cluster: Callable[[str], ClusterPlace], drivers: Callable[[str], Any], history: History | None
    ) -> None:
        self._cluster, self._drivers, self._history = cluster, drivers, history

    def page(self, call: Call) -> Response:
        """A page, script or REST answer of a cluster's UI."""
        cluster_id, path = call.path["cluster_id"], call.path.get("path", "")
        base = f"/sparkui/{cluster_id}"
        cluster = self._cluster(cluster_id)
        applications = {application_of(log): log for log in reversed(event_logs(cluster.folders))}
        driver = self._drivers(cluster_id)
        ui = getattr(driver, "ui", None)
        named = _OF_APPLICATION.fullmatch(path)
        if named and (named.group(1) not in applications):
            raise missing(f"Cluster {cluster_id} has no Spark application {named.group(1)}")
        try:
            if ui is not None and not path.startswith("history/"):
                port, secret = ui()
            elif self._history is None or not applications:
                raise missing(f"Cluster {cluster_id} has no Spark UI: no driver lives and no event log is kept")
            else:
                newest = next(reversed(applications))
                if not (named or path.startswith("static/")):
                    return RedirectResponse(f"{base}/history/{newest}/jobs/")
                application = named.group(1) if named else newest
                port, secret = self._history.show(applications[application], application)
        except DriverFailed as failed:
            raise ApiError("TEMPORARILY_UNAVAILABLE", failed.message, 503) from None
        query = {key: value for key, value in call.data.items() if key not in ("cluster_id", "path")}
        return _passed_on(port, secret, base, path, query, call.base_url)


def _passed_on(port: int, secret: str, base: str, path: str, query: Mapping[str, Any], base_url: str) -> Response:
    address = f"http://127.0.0.1:{port}/{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
    headers = {SECRET_HEADER: secret, "X-Forwarded-Context": base}
    try:
        with requests.get(address, headers=headers, timeout=_SECONDS, allow_redirects=False, stream=True) as answer:
            content = answer.raw.read(_MOST_BYTES + 1, decode_content=True)
            status, given = answer.status_code, answer.headers
    except requests.RequestException as error:
        raise ApiError("TEMPORARILY_UNAVAILABLE", f"The Spark UI does not answer: {error}", 503) from None
    if len(content) > _MOST_BYTES:
        raise ApiError("RESOURCE_EXHAUSTED", "This page of the Spark UI is too large", 413)
    own = f"{base_url}{base}/"
    kept = {
        "Content-Security-Policy": (
            f"default-src 'self' 'unsafe-inline' data:; connect-src {own}; form-action {own}; frame-ancestors 'self'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, max-age=300" if path.startswith("static/") else "no-store",
    }
    if "Location" in given:
        kept["Location"] = _location(given["Location"], base)
    return Response(content, status, kept, given.get("Content-Type"))


def _location(location: str, base: str) -> str:
    """Where a page leads, on this server."""
    parts = urlsplit(location)
    path = parts.path if parts.path.startswith(f"{base}/") else base + "/" + parts.path.lstrip("/")
    return path + (f"?{parts.query}" if parts.query else "")
