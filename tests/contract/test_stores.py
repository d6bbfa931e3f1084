"""One contract for every store: a local folder, moto's S3 server and, where one is given, a real S3 server."""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from headway.adapters.filestore import FileStore
from headway.adapters.objectstore import ObjectNotFound, ObjectStore, PreconditionFailed
from headway.adapters.s3store import S3Store
from headway.core.errors import HeadwayError

REAL = "HEADWAY_TEST_S3_ENDPOINT"
KINDS = ["file", "moto", *(["real"] if REAL in os.environ else [])]


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty store."""
    if request.param == "file":
        return FileStore(tmp_path / "store")
    endpoint = os.environ[REAL] if request.param == "real" else request.getfixturevalue("moto")
    access, secret = "test", "test"
    if request.param == "real":
        access, secret = os.environ["HEADWAY_TEST_S3_ACCESS_KEY"], os.environ["HEADWAY_TEST_S3_SECRET_KEY"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    bucket = f"headway-{uuid.uuid4().hex[:12]}"
    boto3.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return S3Store(bucket, "some/prefix", endpoint, "us-east-1")


def test_what_is_put_is_got(store: ObjectStore, tmp_path: Path) -> None:
    tag = store.put("a/b.txt", b"one")
    assert store.get("a/b.txt") == (b"one", tag)
    info = store.head("a/b.txt")
    assert info is not None
    assert (info.key, info.size, info.tag) == ("a/b.txt", 3, tag)
    (tmp_path / "file").write_bytes(b"two" * 1000)
    store.put_file("a/c.bin", tmp_path / "file")
    store.download("a/c.bin", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"two" * 1000
    assert [entry.key for entry in store.list("a/")] == ["a/b.txt", "a/c.bin"]
    store.delete("a/b.txt")
    store.delete("a/b.txt")
    assert store.head("a/b.txt") is None


def test_what_is_absent_is_said_so(store: ObjectStore, tmp_path: Path) -> None:
    assert store.head("no") is None
    for ask in (store.get, lambda key: store.download(key, tmp_path / "x")):
        with pytest.raises(ObjectNotFound):
            ask("no")
    with pytest.raises(ObjectNotFound), store.share("no", expires_seconds=60):
        pass
    assert list(store.list("")) == []
    assert not (tmp_path / "x").exists()


def test_a_conditional_write_never_overwrites_what_it_has_not_seen(store: ObjectStore, tmp_path: Path) -> None:
    first = store.put("k", b"1", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put("k", b"2", if_absent=True)
    (tmp_path / "f").write_bytes(b"2")
    with pytest.raises(PreconditionFailed):
        store.put_file("k", tmp_path / "f", if_absent=True)
    second = store.put("k", b"3", if_tag=first)
    with pytest.raises(PreconditionFailed):
        store.put("k", b"4", if_tag=first)
    with pytest.raises(PreconditionFailed):
        store.put("gone", b"4", if_tag=second)
    assert store.get("k") == (b"3", second)


@pytest.mark.parametrize("key", ["", "../x", "a/../../x", "/x", "a//b", "."])
def test_a_key_that_leads_elsewhere_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        store.put(key, b"x")


def together(count: int, act: Callable[[int], None]) -> None:
    """Run `act` in so many threads at once."""
    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_many_writers_at_once_exactly_one_wins(store: ObjectStore) -> None:
    won: list[int] = []

    def write(number: int) -> None:
        try:
            store.put("race", str(number).encode(), if_absent=True)
        except PreconditionFailed:
            return
        won.append(number)

    together(6, write)
    assert [str(number).encode() for number in won] == [store.get("race")[0]]


def test_a_shared_url_gives_the_object(store: ObjectStore) -> None:
    store.put("lib/x y.jar", b"bytes")
    with store.share("lib/x y.jar", expires_seconds=60) as url:
        assert requests.get(url, timeout=10).content == b"bytes"


# moto does not check signatures, so it cannot say anything here.
@pytest.mark.parametrize("store", [kind for kind in KINDS if kind != "moto"], indirect=True)
def test_a_shared_url_gives_nothing_once_it_expired_or_was_changed(store: ObjectStore) -> None:
    store.put("lib/x y.jar", b"bytes")
    store.put("lib/other.jar", b"secret")
    with store.share("lib/x y.jar", expires_seconds=60) as url:
        assert requests.get(url, timeout=10).content == b"bytes"
        for wrong in (url[:-2] + "zz", url.replace("x%20y", "other").replace("x+y", "other"), url.split("?")[0]):
            assert wrong != url
            assert requests.get(wrong, timeout=10).status_code in (400, 403)
    with store.share("lib/x y.jar", expires_seconds=-5 if isinstance(store, FileStore) else 1) as url:
        status = 200
        while status == 200:  # S3 expires by its own clock
            status = requests.get(url, timeout=10).status_code
        assert status == 403


def test_a_shared_url_ends_with_the_sharing_where_we_serve_it(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"x")
    with store.share("a", expires_seconds=60) as url:
        assert requests.get(url, timeout=10).ok
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_a_store_that_is_away_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    (tmp_path / "file").write_text("")
    for store in (S3Store("bucket", "", "http://127.0.0.1:9"), FileStore(tmp_path / "file" / "below")):
        with pytest.raises(HeadwayError) as caught:
            store.put("k", b"x")
        assert caught.value.code == "STORE_UNREACHABLE"


def test_a_bucket_that_is_not_there_is_named(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(HeadwayError, match=r"bucket does not exist|no such bucket"):
        S3Store("headway-nowhere", "", moto).put("k", b"x")
