"""Pull a library by URL: checked target, bounded size, no redirects, atomic."""

import hashlib
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests

from headway.workspace.errors import ApiError, invalid
from headway.workspace.outgoing import refusal

MAX_BYTES = 1024 * 1024 * 1024
TIMEOUT_SECONDS = 60


def pull(uri: str, target: Path, allowed: Sequence[str]) -> str:
    """Write what `uri` gives to `target`; return its SHA-256. Raise ApiError that never repeats the URL's query: a
    presigned URL is a secret until it expires."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise invalid(f"uri must be an http or https URL, not {parts.scheme or 'a bare path'}")
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, ValueError) as error:
        raise invalid(f"{host} cannot be resolved: {error}") from None
    reason = refusal(host, addresses, allowed)
    if reason:
        raise ApiError("PERMISSION_DENIED", f"The download is refused: {reason}", 403)
    digest, size = hashlib.sha256(), 0
    try:
        with requests.get(uri, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False) as response:
            if response.status_code != 200:
                hint = " (the URL has expired or was changed)" if response.status_code in (400, 403) else ""
                raise invalid(f"{where} answered {response.status_code}{hint}: nothing was created")
            with target.open("xb") as output:
                for chunk in response.iter_content(1 << 20):
                    size += len(chunk)
                    if size > MAX_BYTES:
                        raise invalid(f"{where} is larger than {MAX_BYTES} bytes")
                    digest.update(chunk)
                    output.write(chunk)
            declared = response.headers.get("content-length")
            if declared is not None and declared.isdigit() and int(declared) != size:
                raise invalid(f"{where} ended after {size} of {declared} bytes")
    except requests.RequestException as error:
        raise invalid(f"{where} cannot be read: {type(error).__name__}") from None
    return digest.hexdigest()
