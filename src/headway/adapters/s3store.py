"""A store in a bucket of any S3-compatible server: SigV4, conditional writes, presigned URLs."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from headway.adapters.objectstore import ObjectInfo, ObjectNotFound, PreconditionFailed
from headway.core.errors import HeadwayError

_ABSENT = ("404", "NoSuchKey", "NotFound")
# 409 ConditionalRequestConflict: another conditional write won while ours was under way.
_CONFLICT = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")


class S3Store:
    """Objects of one bucket below a prefix; their tag is the ETag. Credentials come from boto3's usual places."""

    def __init__(self, bucket: str, prefix: str, endpoint_url: str | None = None, region: str | None = None) -> None:
        self._bucket, self._prefix = bucket, prefix.strip("/")
        config = Config(
            signature_version="s3v4",
            retries={"mode": "standard", "max_attempts": 4},
            connect_timeout=10,
            read_timeout=60,
            s3={"addressing_style": "path"} if endpoint_url else {},
        )
        self._client = boto3.Session().client(
            "s3", endpoint_url=endpoint_url, region_name=region or "us-east-1", config=config
        )

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def _key(self, key: str) -> str:
        if not key or any(part in ("", ".", "..") for part in key.split("/")):
            raise ValueError(f"not a key: {key!r}")
        return f"{self._prefix}/{key}" if self._prefix else key

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _ABSENT:
                raise ObjectNotFound(key) from error
            if code in _CONFLICT:
                raise PreconditionFailed(key) from error
            raise HeadwayError("STORE_UNREACHABLE", url=self.url, reason=str(error)) from error
        except BotoCoreError as error:
            raise HeadwayError("STORE_UNREACHABLE", url=self.url, reason=str(error)) from error

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._key(key)}

    def get(self, key: str) -> tuple[bytes, str]:
        """The content and its tag. Raise ObjectNotFound."""
        with self._errors(key):
            found = self._client.get_object(**self._at(key))
            return found["Body"].read(), found["ETag"]

    def head(self, key: str) -> ObjectInfo | None:
        """What is there, or None."""
        try:
            with self._errors(key):
                found = self._client.head_object(**self._at(key))
        except ObjectNotFound:
            return None
        return ObjectInfo(key, found["ContentLength"], found["ETag"])

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_tag: str | None = None) -> str:
        """Write atomically; return the new tag. Raise PreconditionFailed."""
        condition = {"IfNoneMatch": "*"} if if_absent else {"IfMatch": if_tag} if if_tag is not None else {}
        try:
            with self._errors(key):
                return str(self._client.put_object(**self._at(key), Body=data, **condition)["ETag"])
        except ObjectNotFound as error:
            if self._has_bucket():
                raise PreconditionFailed(key) from error  # If-Match on an object that is gone
            raise HeadwayError("STORE_UNREACHABLE", url=self.url, reason="there is no such bucket") from error

    def _has_bucket(self) -> bool:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError:
            return False
        return True

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        """The same for a file, streamed."""
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        with path.open("rb") as source, self._errors(key):
            return str(self._client.put_object(**self._at(key), Body=source, **condition)["ETag"])

    def download(self, key: str, path: Path) -> None:
        """Write the object to `path`, atomically. Raise ObjectNotFound."""
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            with self._errors(key):
                self._client.download_file(self._bucket, self._key(key), str(draft))
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in the order of keys."""
        base = f"{self._prefix}/" if self._prefix else ""
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=base + prefix)
            for page in pages:
                for entry in page.get("Contents", []):
                    yield ObjectInfo(entry["Key"].removeprefix(base), entry["Size"], entry["ETag"])

    def delete(self, key: str) -> None:
        """Remove it; nothing happens where there is none."""
        with self._errors(key):
            self._client.delete_object(**self._at(key))

    @contextmanager
    def share(self, key: str, *, expires_seconds: int) -> Iterator[str]:
        """A presigned URL. Raise ObjectNotFound."""
        if self.head(key) is None:
            raise ObjectNotFound(key)
        with self._errors(key):
            url = self._client.generate_presigned_url("get_object", Params=self._at(key), ExpiresIn=expires_seconds)
        yield str(url)
