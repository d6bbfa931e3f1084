"""Every path, id and token that leads where it must not, at every route that takes one; uploads that stay on disk."""

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from headway.workspace.http import Endpoint
from support.bad_requests import BadRequest, Sender, service_of
from support.served_process import serving_apart
from support.served_workspace import KEY, Served, as_user, serving

OUTSIDE = "what lies outside"
SHOWN = (OUTSIDE, base64.b64encode(f"{OUTSIDE}\n".encode()).decode())
SERVICES = ("dbfs", "files", "fs", "libraries", "repos", "mlflow")
UP = "../" * 6
# What a field may say, below the folder of a service or instead of it.
FIELDS = (
    f"{UP}outside.txt", f"/{UP}outside.txt", f"/Shared/{UP}outside.txt", f"dbfs:/{UP}outside.txt", "/link/outside.txt",
    f"/Volumes/main/default/v/{UP}outside.txt", "/Volumes/main/default/v/link/outside.txt", "/link", "dbfs:/link",
    "/Volumes/main/default/v/link", "/Workspace/link", "file:/outside.txt", "/Shared/..", "/%2e%2e/outside.txt",
    "dbfs:/a\x00b", "/Shared/../link/outside.txt",
)  # fmt: skip
# The same as it goes over the wire, below a route's own folder.
WIRE = (
    f"{UP}outside.txt", "%2e%2e/" * 6 + "outside.txt", "..%2f" * 6 + "outside.txt", "%2e%2e%2f" * 6 + "outside.txt",
    "..%5c" * 6 + "outside.txt", "%252e%252e/" * 6 + "outside.txt", "link/outside.txt", "link%2foutside.txt", "link",
    "a%00b", "..;/" * 6 + "outside.txt", "./" * 4 + "link/outside.txt",
)  # fmt: skip
CREDENTIALS = (
    "", "Bearer", "Bearer ", "Bearer x", "Bearer dapi" + "0" * 64, "bearer null", "Basic", "Basic !!!",
    "Basic dG9rZW4=", "Basic " + base64.b64encode(b"token:").decode(),
    "Basic " + base64.b64encode(b"token:dapi1").decode(),
    "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(), "Digest x", "Bearer a.b.c", "Bearer ..", "Bearer é",
    "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbkBoZWFkd2F5LmxvY2FsIn0.", "Bearer " + "x" * 20_000, "token:x",
)  # fmt: skip
SMALL = {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}
JOB = {
    "name": "once",
    "tasks": [{"task_key": "t", "spark_python_task": {"python_file": "dbfs:/x.py"}, "new_cluster": SMALL}],
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Served]:
    """A workspace with links in it that lead out, and something out there."""
    (tmp_path / "outside.txt").write_text(f"{OUTSIDE}\n")
    with serving(tmp_path / "workspace") as served:
        volume = served.data / "volumes" / "main" / "default" / "v"
        volume.mkdir(parents=True)
        for folder in (served.data / "dbfs", served.data / "workspace", volume):
            (folder / "link").symlink_to(tmp_path)
        yield served


def by_field(endpoint: Endpoint, text: str) -> BadRequest:
    """A request in which every path is this one."""
    path = endpoint.paths[0][0]
    fields = ("path", "source_path", "destination_path", "repo_path", "uri", "artifact_location", "name")
    told = dict.fromkeys(fields, text)
    if endpoint.method in ("GET", "HEAD", "DELETE"):
        return BadRequest(endpoint.method, f"{path}?{urlencode(told)}")
    content = base64.b64encode(b"mine").decode()
    more = {"content": content, "contents": content, "overwrite": True, "recursive": True, "format": "AUTO"}
    return BadRequest(endpoint.method, path, json.dumps({**more, **told}).encode())


def by_wire(endpoint: Endpoint, text: str) -> BadRequest:
    """A request whose route ends in this path."""
    below = "Volumes/main/default/v/" if "/fs/" in endpoint.path else ""
    path = re.sub(r"\{\w+(:path)?\}", lambda _: f"{below}{text}", endpoint.paths[0][0])
    return BadRequest(endpoint.method, f"{path}?overwrite=true&recursive=true", b"mine", "application/octet-stream")


def test_no_path_leads_out(house: Served, tmp_path: Path) -> None:
    endpoints = [one for one in house.endpoints if service_of(one) in SERVICES]
    wire = [one for one in endpoints if one.path.endswith(":path}")]
    asked = [by_field(one, text) for one in endpoints if "{" not in one.path for text in FIELDS]
    asked += [by_wire(one, text) for one in wire for text in WIRE]
    assert len(wire) > 12
    sender = Sender(house.url, house.token)
    wrong = []
    for request in asked:
        answer = sender.send(request)
        if (answer.status >= 500 and answer.status != 501) or any(text in answer.text for text in SHOWN):
            wrong.append(f"{request} → {answer.status} {answer.text[:200]}")
    sender.close()
    assert wrong == [], "\n".join(wrong[:20])
    assert (tmp_path / "outside.txt").read_text() == f"{OUTSIDE}\n"
    assert {entry.name for entry in tmp_path.iterdir()} == {"outside.txt", "workspace"}


@pytest.mark.parametrize("caller", ["admin", "somebody"])
def test_an_unknown_id_is_told_wherever_one_is_asked_for(served: Served, caller: str) -> None:
    token = served.token
    if caller == "somebody":
        as_user(served, "some@example.com")
        token = served.tokens.create("some@example.com", "x")
    sender = Sender(served.url, token)
    named = [one for one in served.endpoints if one.needs is not None and not one.needs.optional and not one.upload]
    wrong = []
    for endpoint in named:
        need = endpoint.needs
        assert need is not None
        if need.kind in ("paths", "new-paths", "volume-files"):
            continue
        for unknown in ("987654321", "no-such"):
            path = re.sub(r"\{\w+(:path)?\}", unknown, endpoint.paths[0][0])
            if endpoint.method in ("GET", "HEAD", "DELETE"):
                request = BadRequest(endpoint.method, f"{path}?{need.name}={unknown}")
            else:
                request = BadRequest(endpoint.method, path, json.dumps({need.name: unknown}).encode())
            answer = sender.send(request)
            if not 400 <= answer.status < 500 or ("message" not in answer.text and "error" not in answer.text):
                wrong.append(f"{request} → {answer.status} {answer.text[:200]}")
    sender.close()
    assert len(named) > 80
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=range(len(CREDENTIALS)))
def test_wrong_credentials_let_nobody_in(served: Served, credentials: str) -> None:
    for path in ("/api/2.2/jobs/list", "/api/1.2/libraries/list", "/api/2.0/preview/scim/v2/Me", "/dbfs/x"):
        headers = {"Authorization": credentials.encode()} if credentials else {}
        answer = requests.get(served.url + path, headers=headers, timeout=30)
        assert answer.status_code in (401, 403), f"{path}: {answer.status_code} {answer.text[:200]}"
        assert answer.json().get("message") or answer.json().get("error") or answer.json().get("detail")


def test_one_job_is_made_of_many_requests_with_one_token_at_once(served: Served) -> None:
    senders = [Sender(served.url, served.token) for _ in range(8)]
    create = BadRequest("POST", "/api/2.2/jobs/create", json.dumps({**JOB, "idempotency_token": "at-once"}).encode())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda sender: sender.send(create), senders))
        made = {json.loads(answer.text)["job_id"] for answer in answers}
        assert len(made) == 1, [answer.text for answer in answers]
        gone = BadRequest("POST", "/api/2.2/jobs/delete", json.dumps({"job_id": made.pop()}).encode())
        ends = list(pool.map(lambda sender: sender.send(gone), senders))
    assert {answer.status for answer in ends} <= {200, 400}, [answer.text for answer in ends]
    assert 200 in {answer.status for answer in ends}
    for sender in senders:
        sender.close()


SIZE, PIECE = 64 * 2**20, 2**20
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="path"\r\n\r\n/big/form.bin\r\n'
    b'--x\r\nContent-Disposition: form-data; name="format"\r\n\r\nRAW\r\n'
    b'--x\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n'
)
END = b"\r\n--x--\r\n"
MULTIPART = "multipart/form-data; boundary=x"
UPLOADS = (
    ("PUT", "/api/2.0/fs/files/Volumes/main/default/big/raw.bin", b"", b"", "application/octet-stream"),
    ("POST", "/api/2.0/workspace-files/import-file/Shared/raw.bin", b"", b"", "application/octet-stream"),
    ("POST", "/dbfs/big/raw.bin", b"", b"", "application/octet-stream"),
    ("POST", "/api/2.0/dbfs/put", FORM % b"contents", END, MULTIPART),
    ("POST", "/api/2.0/workspace/import", FORM.replace(b"/big/", b"/Shared/") % b"content", END, MULTIPART),
)


def test_large_uploads_go_to_disk_and_not_to_memory(tmp_path: Path) -> None:
    with serving_apart(tmp_path / "workspace") as place:
        host, port = place.url.removeprefix("http://").split(":")
        authorization = {"Authorization": f"Bearer {place.token}"}
        volume = {"catalog_name": "main", "schema_name": "default", "name": "big", "volume_type": "MANAGED"}
        requests.post(
            f"{place.url}/api/2.1/unity-catalog/volumes", json=volume, headers=authorization, timeout=30
        ).raise_for_status()

        def upload(method: str, path: str, before: bytes, after: bytes, kind: str, size: int) -> None:
            connection = HTTPConnection(host, int(port), timeout=60)
            body = iter([before, *[b"x" * min(PIECE, size)] * max(1, size // PIECE), after])
            length = {"Content-Length": str(len(before) + size + len(after)), "Content-Type": kind}
            connection.request(method, f"{path}{'?overwrite=true' if not before else ''}", body, authorization | length)
            answer = connection.getresponse()
            assert answer.status in (200, 201, 204), f"{path}: {answer.status} {answer.read()[:300]!r}"
            connection.close()

        for one in UPLOADS[:3]:
            upload(*one, size=1000)
        before = peak_mb(place.pid)
        for one in UPLOADS:
            upload(*one, size=SIZE)
        after = peak_mb(place.pid)
    assert after - before < 32, f"{after - before:.0f} MB for uploads of {SIZE // 2**20} MB"
    kept = [path for path in (tmp_path / "workspace").rglob("*.bin") if path.stat().st_size == SIZE]
    assert len(kept) == len(UPLOADS)


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    told = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in told.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024
