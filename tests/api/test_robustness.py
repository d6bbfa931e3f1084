"""Whatever is sent to whichever route: never an error of ours, never a file outside, never another user's data."""

import base64
import hashlib
import io
import json
import logging
import socket
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import VolumeType
from databricks.sdk.service.workspace import ImportFormat, Language

from headway.workspace.settings import MAX_BODY_BYTES
from support.bad_requests import BadRequest, Maker, Sender
from support.served_workspace import KEY, Served, as_user, serving

CANARY = "only-ada-may-read-this"
OUTSIDE = "what lies outside\n"
SOURCE = f"print('{CANARY}')"
# Also as answers carry it that hold bytes.
HIDDEN = (CANARY, *(base64.b64encode(text.encode()).decode() for text in (CANARY, SOURCE)))
BEYOND = (OUTSIDE.strip(), base64.b64encode(OUTSIDE.encode()).decode())
PER_ROUTE = 14
TAG = {"key": "about", "value": CANARY}
SMALL = {"spark_version": KEY, "node_type_id": "local.small", "num_workers": 0}
TASK = {"task_key": "t", "spark_python_task": {"python_file": "dbfs:/x.py"}, "new_cluster": SMALL}


@dataclass(frozen=True)
class House:
    """A workspace with Ada's things in it, and Bob."""

    served: Served
    bob: str
    maker: Maker


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """One of its own: what is sent to it may delete anything."""
    (tmp_path / "outside.txt").write_text(OUTSIDE)
    with serving(tmp_path / "workspace") as served:
        ada = as_user(served, "ada@example.com")
        known = things_of(ada)
        as_user(served, "bob@example.com")
        (served.data / "dbfs" / "link").symlink_to(tmp_path)
        (served.data / "workspace" / "link").symlink_to(tmp_path)
        (served.data / "volumes" / "main" / "default" / "v").mkdir(parents=True)
        (served.data / "volumes" / "main" / "default" / "v" / "link").symlink_to(tmp_path)
        yield House(served, served.tokens.create("bob@example.com", "bob"), Maker(known, seed=2026))


def things_of(ada: WorkspaceClient) -> dict[str, list[object]]:
    """Make one of each, with the canary in it; return the ids by field name."""
    do = ada.api_client.do
    job = {"name": "private", "description": CANARY, "tasks": [{**TASK, "description": CANARY}]}
    job_id = do("POST", "/api/2.2/jobs/create", body=job)["job_id"]
    run_id = do("POST", "/api/2.2/jobs/run-now", body={"job_id": job_id, "python_params": [CANARY]})["run_id"]
    cluster = {**SMALL, "cluster_name": CANARY, "spark_env_vars": {"WORD": CANARY}, "autotermination_minutes": 10}
    cluster_id = do("POST", "/api/2.1/clusters/create", body=cluster)["cluster_id"]
    ada.workspace.upload(
        "/Users/ada@example.com/private", io.BytesIO(SOURCE.encode()),
        format=ImportFormat.SOURCE, language=Language.PYTHON,
    )  # fmt: skip
    ada.secrets.create_scope("private")
    ada.secrets.put_secret("private", "key", string_value=CANARY)
    experiment = do(
        "POST", "/api/2.0/mlflow/experiments/create", body={"name": "/Users/ada@example.com/model", "tags": [TAG]}
    )["experiment_id"]
    tracked = do("POST", "/api/2.0/mlflow/runs/create", body={"experiment_id": experiment, "tags": [TAG]})
    model = do("POST", "/api/2.0/mlflow/logged-models", body={"experiment_id": experiment, "name": "m", "tags": [TAG]})
    ada.catalogs.create("adas", comment=CANARY)
    ada.schemas.create("own", "adas")
    ada.volumes.create("adas", "own", "v", VolumeType.MANAGED, comment=CANARY)
    ada.files.upload("/Volumes/adas/own/v/private.txt", io.BytesIO(SOURCE.encode()))
    credential = ada.git_credentials.create("gitHub", git_username=CANARY, personal_access_token=CANARY)
    token = ada.tokens.create(comment=CANARY)
    assert token.token_info
    return {
        "job_id": [job_id, str(job_id)],
        "run_id": [run_id, tracked["run"]["info"]["run_id"]],
        "cluster_id": [cluster_id],
        "clusterId": [cluster_id],
        "path": [
            "/Users/ada@example.com/private",
            "/Users/ada@example.com",
            "/Shared",
            "Volumes/adas/own/v/private.txt",
            "/Volumes/main/default/v/link/outside.txt",
        ],
        "experiment_id": [experiment],
        "experiment_ids": [[experiment]],
        "run_uuid": [tracked["run"]["info"]["run_id"]],
        "model_id": [model["model"]["info"]["model_id"]],
        "full_name": ["adas", "adas.own", "adas.own.v"],
        "catalog_name": ["adas"],
        "schema_name": ["own"],
        "credential_id": [credential.credential_id],
        "scope": ["private"],
        "key": ["key"],
        "token_id": [token.token_info.token_id],
        "id": [job_id, cluster_id],
        "request_object_type": ["jobs", "clusters", "directories"],
        "request_object_id": [job_id, cluster_id],
        "tasks": [[TASK], [{**TASK, "depends_on": [{"task_key": "t"}]}]],
        "new_settings": [{"name": "x", "tasks": [TASK]}],
        "spark_version": [KEY],
        "node_type_id": ["local.small"],
        "num_workers": [0],
        "content": [base64.b64encode(b"x").decode()],
        "user_name": ["bob@example.com", "ada@example.com"],
        "userName": ["ada@example.com"],
    }


@pytest.mark.parametrize("caller", ["admin", "bob", "nobody"])
def test_no_request_is_answered_by_an_error_of_ours(
    house: House, caller: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = {"admin": house.served.token, "bob": house.bob, "nobody": None}[caller]
    sender = Sender(house.served.url, token)
    wrong: list[str] = []
    with caplog.at_level(logging.ERROR):
        for endpoint in house.served.endpoints:
            for request in house.maker.requests(endpoint, PER_ROUTE if token else 2):
                answer = sender.send(request)
                told = f"{request} → {answer.status} {answer.text[:200]}"
                if answer.status >= 500 and answer.status != 501:
                    wrong.append(told)
                if answer.status >= 400 and request.method != "HEAD" and not says_why(answer.text):
                    wrong.append(f"says nothing: {told}")
                if caller == "nobody" and not endpoint.public and answer.status not in (401, 307, 501):
                    wrong.append(f"let in: {told}")
                hidden = () if caller == "admin" else HIDDEN
                if any(text in answer.text for text in (*hidden, *BEYOND)):
                    wrong.append(f"shown: {told}")
    sender.close()
    assert wrong == [], "\n".join(wrong[:20])
    assert not [record for record in caplog.records if record.exc_info], caplog.text[-3000:]
    assert (tmp_path / "outside.txt").read_text() == OUTSIDE
    assert {entry.name for entry in tmp_path.iterdir()} == {"outside.txt", "workspace"}


def says_why(text: str) -> bool:
    """Whether an error's body has what clients look for."""
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return any(
        isinstance(body.get(name), str) and body[name] for name in ("message", "error", "detail", "error_description")
    )


def test_bodies_over_the_limit_are_refused_and_not_kept(house: House) -> None:
    huge = b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}'
    sender = Sender(house.served.url, house.served.token)
    posts = [endpoint for endpoint in house.served.endpoints if endpoint.method == "POST" and not endpoint.upload]
    for endpoint in posts[:: max(1, len(posts) // 12)]:
        answer = sender.send(BadRequest("POST", endpoint.paths[0][0].replace("{", "").replace("}", ""), huge))
        assert answer.status in (413, 400), f"{endpoint.path}: {answer}"
        assert "MAX_REQUEST_SIZE_EXCEEDED" in answer.text or "The request is larger than" in answer.text  # API 1.2
    sender.close()
    assert list((house.served.data / "drafts").iterdir()) == []


def test_one_job_made_changed_and_deleted_by_many_at_once(house: House) -> None:
    do = house.served.client.api_client.do
    job_ids = [do("POST", "/api/2.2/jobs/create", body={"name": "many", "tasks": [TASK]})["job_id"] for _ in range(6)]
    senders = [Sender(house.served.url, house.served.token) for _ in range(8)]

    def work(number: int) -> list[str]:
        found = []
        for turn in range(30):
            job_id = job_ids[turn // 5]
            act = ("reset", "get", "run-now", "update", "reset")[(turn + number) % 5]
            settings = {"name": f"many-{number}-{turn}", "tasks": [TASK]}
            body = {"job_id": job_id, "new_settings": settings}
            if number == 0 and turn % 5 == 4:
                act, body = "delete", {"job_id": job_id}
            elif act == "run-now":
                body = {"job_id": job_id}
            if act == "get":
                answer = senders[number].send(BadRequest("GET", f"/api/2.2/jobs/get?job_id={job_id}"))
            else:
                answer = senders[number].send(BadRequest("POST", f"/api/2.2/jobs/{act}", json.dumps(body).encode()))
            if answer.status != 200 and f"Job {job_id} does not exist" not in answer.text:
                found.append(f"{act}: {answer.status} {answer.text[:200]}")
        return found

    with ThreadPoolExecutor(8) as pool:
        wrong = [line for lines in pool.map(work, range(8)) for line in lines]
    assert wrong == []
    for job_id in job_ids:
        answer = senders[0].send(BadRequest("GET", f"/api/2.2/jobs/get?job_id={job_id}"))
        assert answer.status in (200, 400)
        assert answer.status == 400 or json.loads(answer.text)["settings"]["name"].startswith("many-")
    for sender in senders:
        sender.close()


def test_an_upload_that_is_cut_leaves_nothing(house: House) -> None:
    """A client that says it sends more than it does, and goes away."""
    at = urllib.parse.urlsplit(house.served.url)
    before = digest(house.served.data / "dbfs")
    with socket.create_connection((at.hostname or "", at.port or 0)) as raw:
        raw.sendall(
            b"PUT /api/2.0/fs/files/Volumes/main/default/v/cut.bin HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer "
            + house.served.token.encode()
            + b"\r\nContent-Length: 5000000\r\n\r\n"
            + b"x" * 2_000_000
        )
    sender = Sender(house.served.url, house.served.token)
    assert sender.send(BadRequest("GET", "/api/2.2/jobs/list")).status == 200
    sender.close()
    assert not list(house.served.data.rglob("cut.bin"))
    assert digest(house.served.data / "dbfs") == before


def digest(folder: Path) -> str:
    """Of the names and bytes below it."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return found.hexdigest()
