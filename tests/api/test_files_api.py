"""The Files API, raw DBFS and the workspace files of bundles: official client where it has them, by hand where not."""

import base64
import io
import json
from pathlib import Path

import pytest
import requests
from databricks.sdk.errors import AlreadyExists, BadRequest, NotFound, NotImplemented
from databricks.sdk.service.workspace import ExportFormat, ImportFormat

from support.served_workspace import Served, as_user

VOLUME = "/Volumes/main/default/files_api"
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": "x = 1\nprint(x)"},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 2, "source": ["%sql\n", "SELECT 1"]},
    ],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 4,
}


@pytest.fixture(scope="module", autouse=True)
def _volume(served: Served) -> None:
    (served.data / VOLUME.strip("/").replace("Volumes", "volumes")).mkdir(parents=True)


def call(served: Served, method: str, path: str, **more: object) -> requests.Response:
    """A request by hand."""
    headers = {"Authorization": f"Bearer {served.token}", **more.pop("headers", {})}  # type: ignore[dict-item]
    return requests.request(method, served.url + path, headers=headers, timeout=30, **more)  # type: ignore[arg-type]


def test_files_of_a_volume_live_through_the_client(served: Served, tmp_path: Path) -> None:
    files, path = served.client.files, f"{VOLUME}/a b/ü%2F.bin"
    content = bytes(range(256)) * 8_000
    files.upload(path, io.BytesIO(content))
    assert files.download(path).contents.read() == content  # type: ignore[union-attr]
    assert files.get_metadata(path).content_length == len(content)
    with pytest.raises(AlreadyExists):
        files.upload(path, io.BytesIO(b"other"), overwrite=False)
    files.upload(path, io.BytesIO(b"other"), overwrite=True)
    files.download_to(path, str(tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == b"other"
    files.delete(path)
    with pytest.raises(NotFound):
        files.get_metadata(path)


def test_a_large_file_goes_in_one_put_where_parts_are_refused(served: Served, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as target:
        target.truncate(51 * 1024 * 1024)
        target.seek(0)
        target.write(b"start")
    served.client.files.upload_from(f"{VOLUME}/large.bin", str(large), overwrite=True)
    found = served.data / "volumes/main/default/files_api/large.bin"
    assert found.stat().st_size == large.stat().st_size
    served.client.files.download_to(f"{VOLUME}/large.bin", str(tmp_path / "back.bin"), use_parallel=True)
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()
    assert list((served.data / "drafts").iterdir()) == []


def test_directories_page_by_page(served: Served) -> None:
    files = served.client.files
    files.create_directory(f"{VOLUME}/many/empty")
    for count in range(7):
        files.upload(f"{VOLUME}/many/{count}.txt", io.BytesIO(b"x" * count))
    listed = list(files.list_directory_contents(f"{VOLUME}/many", page_size=3))
    assert [(one.name, one.file_size) for one in listed] == [
        *((f"{count}.txt", count) for count in range(7)),
        ("empty", None),
    ]
    files.get_directory_metadata(f"{VOLUME}/many")
    with pytest.raises(BadRequest, match="not empty"):
        files.delete_directory(f"{VOLUME}/many")
    files.delete_directory(f"{VOLUME}/many/empty")
    with pytest.raises(NotFound):
        files.get_directory_metadata(f"{VOLUME}/many/empty")


def test_a_part_of_a_file_and_a_file_that_was_changed(served: Served) -> None:
    served.client.files.upload(f"{VOLUME}/part.txt", io.BytesIO(b"0123456789"))
    path = f"/api/2.0/fs/files{VOLUME}/part.txt"
    part = call(served, "GET", path, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert call(served, "GET", path, headers={"Range": "bytes=90-"}).status_code == 416
    head = call(served, "HEAD", path)
    assert (head.headers["content-length"], head.content) == ("10", b"")
    same = {"If-Unmodified-Since": head.headers["last-modified"]}
    assert call(served, "GET", path, headers=same).status_code == 200
    old = {"If-Unmodified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert call(served, "GET", path, headers=old).status_code == 412


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Volumes/main/default/none/f", 404),
        ("/Volumes/main", 404),
        ("/etc/passwd", 400),
        (f"{VOLUME}/../../../../workspace.db", 400),
        (f"{VOLUME}/%2e%2e/%2e%2e/x", 400),
        ("/Volumes/main/default/../default/x", 404),
        ("/Volumes/../dbfs/x/y", 400),
        (f"{VOLUME}/link/passwd", 400),
        (f"{VOLUME}/nul%00", 400),
    ],
)
def test_nothing_outside_a_volume_is_reached(served: Served, path: str, status: int) -> None:
    link = served.data / "volumes/main/default/files_api/link"
    if not link.is_symlink():
        link.symlink_to("/etc")
    url = f"{served.url}/api/2.0/fs/files{path}"
    request = requests.Request("GET", url, headers={"Authorization": f"Bearer {served.token}"}).prepare()
    request.url = url  # as it stands, dots and all
    with requests.Session() as session:
        assert session.send(request, timeout=9).status_code == status


def test_raw_dbfs(served: Served) -> None:
    content = b"raw \xff" * 300_000
    assert call(served, "PUT", "/dbfs/raw/f.bin", data=content).status_code == 200
    assert call(served, "GET", "/dbfs/raw/f.bin").content == content
    assert call(served, "POST", "/dbfs/raw/f.bin", data=b'{"a": 1}', headers={"Content-Type": "application/json"}).ok
    assert call(served, "GET", "/dbfs/raw/f.bin").content == b'{"a": 1}'
    form = {"path": (None, "/raw/form.bin"), "contents": ("x", content)}
    assert call(served, "POST", "/api/2.0/dbfs/put", files=form).status_code == 200
    assert served.client.dbfs.get_status("/raw/form.bin").file_size == len(content)
    assert call(served, "GET", "/dbfs/none").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_what_a_bundle_does_with_its_state(served: Served) -> None:
    root = "/Users/admin@headway.local/.bundle/app/default"
    lock = f"/api/2.0/workspace-files/import-file/{root.strip('/').replace('/', '%2F')}%2Fstate%2Fdeploy.lock"
    missing = call(served, "POST", f"{lock}?overwrite=false", data=b"{}")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    served.client.workspace.mkdirs(f"{root}/state")
    assert call(served, "POST", f"{lock}?overwrite=false", data=b'{"ID": 1}').status_code == 200
    assert call(served, "POST", f"{lock}?overwrite=false", data=b"{}").status_code == 409
    state = call(
        served,
        "GET",
        "/api/2.0/workspace/export",
        params={"path": f"{root}/state/deploy.lock", "direct_download": "true"},
    )
    assert state.content == b'{"ID": 1}'
    files = f"/api/2.0/workspace-files/import-file{root}/files"
    served.client.workspace.mkdirs(f"{root}/files")
    for name, body in (("n.py", b"# Databricks notebook source\nx"), ("m.py", b"x"), ("j.ipynb", json.dumps(NOTEBOOK))):
        assert call(served, "POST", f"{files}/{name}?overwrite=true", data=body).status_code == 200
    kinds = {entry.path: str(entry.object_type) for entry in served.client.workspace.list(f"{root}/files")}
    assert kinds == {
        f"{root}/files/n": "ObjectType.NOTEBOOK",
        f"{root}/files/m.py": "ObjectType.FILE",
        f"{root}/files/j": "ObjectType.NOTEBOOK",
    }
    info = call(
        served, "GET", "/api/2.0/workspace/get-status", params={"path": f"{root}/files/n", "return_export_info": "true"}
    )
    assert info.json()["repos_export_format"] == "SOURCE"
    assert call(served, "GET", f"/api/2.0/workspace-files{root}/files/m.py").content == b"x"
    told = call(served, "POST", "/telemetry-ext", json={"uploadTime": 1, "items": [], "protoLogs": ["{}", "{}"]})
    assert told.json() == {"errors": [], "numProtoSuccess": 2}
    served.client.workspace.delete(root, recursive=True)
    with pytest.raises(NotFound):
        served.client.workspace.get_status(f"{root}/files")


def test_a_jupyter_notebook_becomes_source_and_comes_back(served: Served) -> None:
    client = served.client.workspace
    client.upload("/Shared/jupyter", io.BytesIO(json.dumps(NOTEBOOK).encode()), format=ImportFormat.JUPYTER)
    source = client.download("/Shared/jupyter").read().decode()
    assert source == (
        "# Databricks notebook source\n# MAGIC %md\n# MAGIC # Title\n# MAGIC text\n\n# COMMAND ----------\n\n"
        "x = 1\nprint(x)\n\n# COMMAND ----------\n\n# MAGIC %sql\n# MAGIC SELECT 1\n"
    )
    back = json.loads(client.download("/Shared/jupyter", format=ExportFormat.JUPYTER).read())
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in back["cells"]] == [
        ("markdown", "# Title\ntext"),
        ("code", "x = 1\nprint(x)"),
        ("code", "%sql\nSELECT 1"),
    ]
    exported = client.export("/Shared/jupyter", format=ExportFormat.HTML)
    assert exported.file_type == "html"
    assert b"print(x)" in base64.b64decode(exported.content or "")
    with pytest.raises(NotImplemented, match="archives"):
        client.export("/Shared/jupyter", format=ExportFormat.DBC)
    with pytest.raises(BadRequest, match="not a Jupyter notebook"):
        client.import_("/Shared/bad", content=base64.b64encode(b"{}").decode(), format=ImportFormat.JUPYTER)
    client.delete("/Shared/jupyter")


def test_a_stream_belongs_to_who_opened_it(served: Served) -> None:
    handle = served.client.dbfs.create("/mine.txt").handle
    other = as_user(served, "thief@example.com")
    with pytest.raises(NotFound, match="No stream with handle"):
        other.dbfs.add_block(handle or 0, base64.b64encode(b"theirs").decode())
    served.client.dbfs.close(handle or 0)
