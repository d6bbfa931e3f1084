"""Where the workspace calls for its users: hosts are looked up first, and private addresses are refused."""

import fnmatch
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from headway.workspace.errors import ApiError, invalid

_PORTS = {"https": 443, "http": 80, "ssh": 22}


def refusal(
    host: str, addresses: Iterable[str], allowed: Sequence[str], option: str = "--allow-download"
) -> str | None:
    """Why `host`, which resolves to `addresses`, is not called; None where it may be.

    Private, loopback, link-local and otherwise reserved addresses are refused unless the host is allowed by name
    (shell patterns). `option` is how that is allowed.
    """
    if any(fnmatch.fnmatch(host, pattern) for pattern in allowed):
        return None
    for address in addresses:
        if not ipaddress.ip_address(address.partition("%")[0]).is_global:
            return f"{host} is not a public address; this workspace may be told to allow it ({option} {host})"
    return None


def check_url(url: str, allowed: Sequence[str], option: str) -> None:
    """Raise ApiError where the URL's host is private (and not `allowed` by name), or cannot be resolved. The URL is
    never repeated: it may hold a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    except ValueError:
        raise invalid("The URL cannot be understood") from None
    check_host(host, port, allowed, option)


def check_host(host: str, port: int, allowed: Sequence[str], option: str) -> None:
    """The same of a host by its name."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, ValueError) as error:
        raise invalid(f"{host} cannot be resolved: {type(error).__name__}") from None
    reason = refusal(host, addresses, allowed, option)
    if reason:
        raise ApiError("PERMISSION_DENIED", f"The call is refused: {reason}", 403)
