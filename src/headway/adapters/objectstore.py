"""The store of releases and ledgers: one small protocol, two implementations.

`filestore` keeps a local folder, `s3store` a bucket. `open_store` picks one by URL.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ObjectNotFound(Exception):
    """The store has no object of that key."""


class PreconditionFailed(Exception):
    """A conditional write found the object in another state than the writer had seen; nothing was written."""


@dataclass(frozen=True)
class ObjectInfo:
    """`key` is relative to the store's root; `size` in bytes; `tag` changes whenever the content does."""

    key: str
    size: int
    tag: str


class ObjectStore(Protocol):
    """Keys are relative, with forward slashes, without `..`. Every method may raise HeadwayError STORE_UNREACHABLE."""

    @property
    def url(self) -> str:
        """The store as configured, without credentials."""

    def get(self, key: str) -> tuple[bytes, str]:
        """The content and its tag. Raise ObjectNotFound."""

    def head(self, key: str) -> ObjectInfo | None:
        """What is there, or None."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_tag: str | None = None) -> str:
        """Write atomically; return the new tag. `if_absent`: only where there is none; `if_tag`: only over that
        content. Raise PreconditionFailed otherwise."""

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        """The same for a file, without holding it in memory."""

    def download(self, key: str, path: Path) -> None:
        """Write the object to `path`, atomically. Raise ObjectNotFound."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in the order of keys."""

    def delete(self, key: str) -> None:
        """Remove it; nothing happens where there is none."""

    def share(self, key: str, *, expires_seconds: int) -> AbstractContextManager[str]:
        """A URL anybody may GET the object from until it expires (S3: presigned; a local folder: signed by HMAC and
        served on loopback while the context is open). Raise ObjectNotFound."""
