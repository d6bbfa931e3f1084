"""Open a store by its URL."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from headway.adapters.filestore import FileStore
from headway.adapters.objectstore import ObjectStore
from headway.core.application import StoreSettings
from headway.core.errors import HeadwayError


def open_store(settings: StoreSettings) -> ObjectStore:
    """The store of `file:///folder` or `s3://bucket/prefix`. Raise HeadwayError STORE_URL_INVALID."""
    parts = urlsplit(settings.url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return FileStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        from headway.adapters.s3store import S3Store  # boto3 is slow to import, and not everybody's store

        return S3Store(parts.netloc, parts.path, settings.endpoint_url, settings.region)
    raise HeadwayError("STORE_URL_INVALID", url=settings.url)
