"""DBFS, workspace files, libraries by URL, and bad requests, through the official client and by hand."""

import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from databricks.sdk.errors import NotFound
from databricks.sdk.service.workspace import ImportFormat, Language, ObjectType

from support.served_workspace import Served

JAR = io.BytesIO()
with zipfile.ZipFile(JAR, "w") as _archive:
    _archive.writestr("a", "b")


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    """A server that libraries are pulled from."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0]
            status = {"/expired.jar": 403, "/moved.jar": 302}.get(name, 200)
            body = JAR.getvalue() if name.startswith("/good") else b"<html>"
            self.send_response(status)
            self.send_header("Location", "http://169.254.169.254/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def post(served: Served, path: str, body: Any, version: str = "1.2") -> requests.Response:
    """A request by hand."""
    headers = {"Authorization": f"Bearer {served.token}"}
    return requests.post(f"{served.url}/api/{version}/{path}", json=body, headers=headers, timeout=20)


def test_a_large_file_goes_to_dbfs_and_back(served: Served) -> None:
    client, content = served.client, bytes(range(256)) * 10_000
    client.dbfs.upload("dbfs:/big/file.bin", io.BytesIO(content), overwrite=True)
    assert client.dbfs.download("dbfs:/big/file.bin").read() == content
    assert client.dbfs.get_status("/big/file.bin").file_size == len(content)
    client.dbfs.move("dbfs:/big/file.bin", "dbfs:/moved/file.bin")
    assert [entry.path for entry in client.dbfs.list("dbfs:/moved")] == ["/moved/file.bin"]
    client.dbfs.delete("dbfs:/moved", recursive=True)
    assert not client.dbfs.exists("dbfs:/moved/file.bin")


def test_notebooks_and_files_of_the_workspace(served: Served) -> None:
    client = served.client.workspace
    client.mkdirs("/Shared/team/deep")
    notebook = b"# Databricks notebook source\nx = 1\n"
    client.upload("/Shared/team/n", io.BytesIO(notebook), format=ImportFormat.SOURCE, language=Language.PYTHON)
    client.upload("/Shared/team/auto.py", io.BytesIO(notebook), format=ImportFormat.AUTO)
    client.upload("/Shared/team/plain.py", io.BytesIO(b"print()"), format=ImportFormat.AUTO)
    kinds = {entry.path: entry.object_type.value for entry in client.list("/Shared/team")}  # type: ignore[union-attr]
    assert kinds == {
        "/Shared/team/auto": "NOTEBOOK",
        "/Shared/team/deep": "DIRECTORY",
        "/Shared/team/n": "NOTEBOOK",
        "/Shared/team/plain.py": "FILE",
    }
    assert client.download("/Shared/team/n").read() == notebook
    client.delete("/Shared/team", recursive=True)
    with pytest.raises(NotFound, match=r"Path \(/Shared/team/n\) doesn't exist"):
        client.get_status("/Shared/team/n")


def test_who_am_i(served: Served) -> None:
    assert served.client.current_user.me().user_name == "admin@headway.local"
    assert served.client.get_workspace_id() == 1


def test_a_library_is_pulled_by_url_once(served: Served, source: str) -> None:
    body = {"path": "/Shared/lib/x-1.jar", "jar_specification": {"uri": f"{source}/good.jar?signature=hush"}}
    first = post(served, "libraries/create", body)
    assert first.status_code == 200, first.text
    again = post(served, "libraries/create", body)
    assert again.status_code == 500
    assert again.json() == {"error": 'NameConflictException: Node named "x-1.jar" already exists'}
    headers = {"Authorization": f"Bearer {served.token}"}
    listed = requests.get(f"{served.url}/api/1.2/libraries/list", headers=headers, timeout=9).json()
    assert {"id": first.json()["id"], "name": "x-1.jar", "folder": "/Shared/lib"} in listed
    status = requests.get(
        f"{served.url}/api/1.2/libraries/status?libraryId={first.json()['id']}", headers=headers, timeout=9
    )
    file = status.json()["files"][0]
    assert served.client.dbfs.download(f"dbfs:/FileStore/jars/{file}").read() == JAR.getvalue()


@pytest.mark.parametrize(
    ("name", "uri", "told"),
    [
        ("e.jar", "{source}/expired.jar?signature=hush", "answered 403 (the URL has expired or was changed)"),
        ("n.jar", "{source}/page.jar?signature=hush", "it is not a zip archive"),
        ("m.jar", "{source}/moved.jar?signature=hush", "answered 302"),
        ("p.jar", "http://169.254.169.254/latest?signature=hush", "not a public address"),
        ("f.jar", "file:///etc/passwd", "must be an http or https URL"),
        ("u.jar", "http://127.0.0.1:9/x?signature=hush", "cannot be read"),
        ("x.txt", "{source}/good.jar", "must end in .jar"),
    ],
)
def test_a_library_that_cannot_be_had_leaves_nothing_and_tells_no_secret(
    served: Served, source: str, name: str, uri: str, told: str
) -> None:
    before = {entry.path for entry in served.client.dbfs.list("dbfs:/", recursive=True)}
    body = {"path": f"/Shared/{name}", "jar_specification": {"uri": uri.format(source=source)}}
    answer = post(served, "libraries/create", body)
    assert answer.status_code in (400, 403)
    assert told in answer.json()["error"]
    assert "hush" not in answer.text
    assert {entry.path for entry in served.client.dbfs.list("dbfs:/", recursive=True)} == before


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/2.0/nothing/here", 501, "NOT_IMPLEMENTED"),
        ("DELETE", "/api/2.1/jobs/get", 501, "NOT_IMPLEMENTED"),
        ("GET", "/api/2.0/dbfs/read?path=/../../etc/passwd", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "/api/2.0/dbfs/read?path=/%2e%2e/x", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "/api/2.0/dbfs/read?path=/x&length=-1", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "/api/2.0/workspace/export?path=/../x", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("GET", "/api/2.1/jobs/get", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "/api/2.1/jobs/get?job_id=abc", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/2.1/jobs/get?job_id=99999999999999999999", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/2.1/jobs/list?limit=1000", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "/api/2.1/jobs/runs/list?limit=26", 400, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_a_bad_request_gets_a_coded_refusal(served: Served, method: str, path: str, status: int, code: str) -> None:
    headers = {"Authorization": f"Bearer {served.token}"}
    answer = requests.request(method, served.url + path, headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    if status == 501:
        assert f"{method} {path}" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff\xfe{}", 400),
        (b"[" * 100_000, 400),
        (b'{"tasks": "none"}', 400),
        (b'{"tasks": [1]}', 400),
        (b'{"name": {}, "tasks": []}', 400),
        (b'{"job_clusters": [{"job_cluster_key": 1}]}', 400),
        (b'{"name": "' + b"x" * (11 << 20) + b'"}', 413),
    ],
)
def test_a_body_that_cannot_be_used_is_refused(served: Served, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"}
    answer = requests.post(f"{served.url}/api/2.1/jobs/create", data=body, headers=headers, timeout=20)
    assert answer.status_code == status, answer.text


def test_nobody_gets_in_without_a_token(served: Served) -> None:
    url = f"{served.url}/api/2.1/jobs/list"
    assert requests.get(url, timeout=9).status_code == 401
    assert requests.get(url, headers={"Authorization": "Bearer wrong"}, timeout=9).status_code == 403
    assert requests.get(url, auth=("token", served.token), timeout=9).status_code == 200
    assert requests.get(url, auth=("admin", served.token), timeout=9).status_code == 401


def test_tokens_are_kept_hashed_and_readable_by_their_owner_only(served: Served) -> None:
    assert served.token.encode() not in (served.data / "workspace.db").read_bytes()
    assert (served.data / "admin-token").stat().st_mode & 0o777 == 0o600


def test_one_path_may_be_made_by_many_at_once(served: Served) -> None:
    client = served.client.workspace

    def make(number: int) -> None:
        client.mkdirs("/Shared/at/once")
        client.upload(
            "/Shared/at/once/note", io.BytesIO(b"%d" % number), format=ImportFormat.SOURCE, language=Language.PYTHON,
            overwrite=True,
        )  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(24)))
    assert client.get_status("/Shared/at/once/note").object_type == ObjectType.NOTEBOOK
