"""Repos and git sources through the official client, from a real git server on loopback."""

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import DatabricksError
from databricks.sdk.errors import InvalidParameterValue, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.workspace import ImportFormat, ObjectType, SparseCheckout, SparseCheckoutUpdate

from headway.workspace.runtime.tasks import TaskRequest
from headway.workspace.services.repos.model import may_have
from support.git_server import GitServer, Origin, git_server
from support.job_making import CLUSTER, ended, results
from support.served_workspace import FunctionDriver, Served, as_user, serving

NOTEBOOK = "# Databricks notebook source\nprint({!r})\n"
PROVIDER = "gitHubEnterprise"


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A git server."""
    with git_server(tmp_path_factory.mktemp("origins")) as found:
        yield found


@pytest.fixture(scope="module")
def origin(git: GitServer) -> Origin:
    """A repository with notebooks and modules, a tag and two branches."""
    made = git.origin("app")
    jupyter = {"cells": [{"cell_type": "code", "source": ["1 + 1"]}], "metadata": {}, "nbformat": 4}
    made.commit({"README.md": "one", "jobs/nightly.py": NOTEBOOK.format("one"), "lib/module.py": "VALUE = 1\n",
                 "explore.ipynb": json.dumps(jupyter)})  # fmt: skip
    made.git("tag", "v1")
    made.git("branch", "release")
    made.commit({"README.md": "two", "jobs/nightly.py": NOTEBOOK.format("two"), "lib/more.py": "VALUE = 2\n"})
    return made


def read(client: WorkspaceClient, path: str) -> str:
    """A file of the tree."""
    with client.workspace.download(path) as source:
        return source.read().decode()


def test_a_remote_is_cloned_pulled_and_switched(served: Served, git: GitServer, origin: Origin) -> None:
    client = served.client
    made = client.repos.create(url=f"{git.url}/app.git", provider=PROVIDER, path="/Repos/team/app")
    assert (made.branch, made.head_commit_id) == ("main", origin.git("rev-parse", "main"))
    assert client.workspace.get_status("/Repos/team/app").object_type is ObjectType.REPO
    kinds = {one.path: one.object_type for one in client.workspace.list("/Repos/team/app", recursive=True)}
    assert kinds["/Repos/team/app/jobs/nightly"] is ObjectType.NOTEBOOK
    assert kinds["/Repos/team/app/explore"] is ObjectType.NOTEBOOK
    assert kinds["/Repos/team/app/lib/module.py"] is ObjectType.FILE
    assert "/Repos/team/app/.git" not in kinds
    assert read(client, "/Repos/team/app/README.md") == "two"
    ids = {one.path: one.object_id for one in client.workspace.list("/Repos/team/app", recursive=True)}
    client.repos.update(made.id or 0, tag="v1")
    found = client.repos.get(made.id or 0)
    assert (found.branch, found.head_commit_id) == (None, origin.git("rev-parse", "v1"))
    assert read(client, "/Repos/team/app/README.md") == "one"
    with pytest.raises(NotFound):
        client.workspace.get_status("/Repos/team/app/lib/more.py")
    assert client.workspace.get_status("/Repos/team/app/jobs/nightly").object_id == ids["/Repos/team/app/jobs/nightly"]
    head = origin.commit({"README.md": "three"})
    client.repos.update(made.id or 0, branch="main")
    assert client.repos.get(made.id or 0).head_commit_id == head
    assert read(client, "/Repos/team/app/README.md") == "three"
    assert [one.path for one in client.repos.list(path_prefix="/Repos/team")] == ["/Repos/team/app"]
    with pytest.raises(ResourceAlreadyExists):
        client.repos.create(url=f"{git.url}/app.git", provider=PROVIDER, path="/Repos/team/app")
    client.repos.delete(made.id or 0)
    with pytest.raises(NotFound):
        client.workspace.get_status("/Repos/team/app")
    assert not (served.data / "workspace" / "Repos" / "team" / "app").exists()
    assert list((served.data / "git").iterdir()) == []


def test_changes_that_are_in_no_commit_are_not_thrown_away(served: Served, git: GitServer, origin: Origin) -> None:
    made = served.client.repos.create(url=f"{git.url}/app.git", provider=PROVIDER, path="/Repos/team/edited")
    cache = served.data / "workspace/Repos/team/edited/lib/__pycache__"
    cache.mkdir()
    (cache / "module.pyc").write_text("what a run left")
    served.client.repos.update(made.id or 0, branch="release")
    file = "/Repos/team/edited/README.md"
    served.client.workspace.upload(file, io.BytesIO(b"mine"), format=ImportFormat.AUTO, overwrite=True)
    with pytest.raises(DatabricksError, match="in no commit"):
        served.client.repos.update(made.id or 0, branch="main")
    assert read(served.client, file) == "mine"


def test_a_sparse_checkout_has_the_folders_and_what_lies_on_the_way(served: Served, git: GitServer) -> None:
    many = git.origin("many")
    many.commit({"a.txt": "", "x/b.txt": "", "x/y/c.txt": "", "x/y/z/d.txt": "", "x/q/e.txt": "", "w/f.txt": ""})
    made = served.client.repos.create(
        url=f"{git.url}/many.git",
        provider=PROVIDER,
        path="/Repos/team/many",
        sparse_checkout=SparseCheckout(patterns=["x/y"]),
    )
    root = served.data / "workspace/Repos/team/many"
    assert sorted(str(one.relative_to(root)) for one in root.rglob("*.txt")) == [
        "a.txt", "x/b.txt", "x/y/c.txt", "x/y/z/d.txt",
    ]  # fmt: skip
    served.client.repos.update(made.id or 0, branch="main", sparse_checkout=SparseCheckoutUpdate(patterns=["w"]))
    assert sorted(str(one.relative_to(root)) for one in root.rglob("*.txt")) == ["a.txt", "w/f.txt"]


def test_credentials_fetch_for_their_user_and_are_never_told(
    served: Served, git: GitServer, caplog: pytest.LogCaptureFixture
) -> None:
    git.origin("private/inner").commit({"a.txt": "inner"})
    url = f"{git.url}/private/inner.git"
    ada, bob = as_user(served, "ada@example.com"), as_user(served, "bob@example.com")
    with pytest.raises(InvalidParameterValue, match="git ls-remote failed"):
        ada.repos.create(url=url, provider=PROVIDER)
    made = ada.git_credentials.create(PROVIDER, git_username="ada", personal_access_token="wrong")
    with pytest.raises(ResourceAlreadyExists):
        ada.git_credentials.create(PROVIDER, git_username="ada", personal_access_token="t0ken")
    ada.git_credentials.update(made.credential_id, PROVIDER, personal_access_token="t0ken")
    repo = ada.repos.create(url=url, provider=PROVIDER)
    assert (repo.path, read(ada, f"{repo.path}/a.txt")) == ("/Repos/ada@example.com/inner", "inner")
    assert [one.git_username for one in ada.git_credentials.list()] == ["ada"]
    assert list(bob.git_credentials.list()) == []
    with pytest.raises(NotFound):
        bob.git_credentials.get(made.credential_id)
    with pytest.raises(InvalidParameterValue):
        bob.repos.create(url=url, provider=PROVIDER)
    kept = [path for path in served.data.rglob("*") if path.is_file() and b"t0ken" in path.read_bytes()]
    assert kept == []
    assert "t0ken" not in caplog.text
    assert "t0ken" not in json.dumps(ada.git_credentials.get(made.credential_id).as_dict())
    git.asked.clear()
    with pytest.raises(InvalidParameterValue):
        ada.repos.create(url=f"{git.url}/elsewhere/app.git", provider=PROVIDER)
    assert all(path.startswith("/elsewhere/") for path, _ in git.asked)
    ada.git_credentials.delete(made.credential_id)


@pytest.mark.parametrize(
    ("provider", "scheme", "host", "expected"),
    [
        ("gitHub", "https", "github.com", True),
        ("gitHub", "http", "github.com", False),
        ("gitHub", "https", "github.com.example.org", False),
        ("gitHubEnterprise", "https", "git.example.org", False),
        ("gitHubEnterprise", "https", "own.example.org", True),
        ("azureDevOpsServices", "https", "team.visualstudio.com", True),
    ],
)
def test_a_token_goes_to_its_provider_alone(provider: str, scheme: str, host: str, expected: bool) -> None:
    assert may_have(provider, scheme, host, ("own.example.org",)) is expected


def test_a_repo_of_another_is_neither_seen_nor_changed(served: Served, git: GitServer, origin: Origin) -> None:
    ada, bob = as_user(served, "ada@example.com"), as_user(served, "bob@example.com")
    made = ada.repos.create(url=f"{git.url}/app.git", provider=PROVIDER)
    repo_id = made.id or 0
    with pytest.raises(PermissionDenied):
        bob.repos.create(url=f"{git.url}/app.git", provider=PROVIDER, path="/Repos/ada@example.com/other")
    for act in (bob.repos.get, bob.repos.delete, lambda one: bob.repos.update(one, branch="main")):
        with pytest.raises(PermissionDenied):
            act(repo_id)
    assert repo_id not in {one.id for one in bob.repos.list()}
    request = AccessControlRequest(user_name="bob@example.com", permission_level=PermissionLevel.CAN_READ)
    ada.permissions.update("repos", str(repo_id), access_control_list=[request])
    assert bob.repos.get(repo_id).url == f"{git.url}/app.git"
    assert read(bob, f"{made.path}/lib/module.py") == "VALUE = 1\n"
    with pytest.raises(PermissionDenied):
        bob.repos.update(repo_id, branch="release")


def test_a_hostile_repository_does_no_harm(served: Served, git: GitServer, tmp_path: Path) -> None:
    hostile = git.origin("hostile")
    hostile.commit({"a.txt": "harmless", ".gitattributes": "* filter=evil\n", ".gitmodules": "x"})
    os.symlink("/etc/passwd", hostile.folder / "out")
    os.symlink("..", hostile.folder / "up")
    sha = hostile.commit({".githooks/post-checkout": f"#!/bin/sh\ntouch {tmp_path}/ran\n"})
    hostile.git("update-index", "--add", "--cacheinfo", f"160000,{sha},module")
    hostile.git("commit", "--quiet", "-m", "a submodule")
    served.client.repos.create(url=f"{git.url}/hostile.git", provider=PROVIDER, path="/Repos/team/hostile")
    root = served.data / "workspace/Repos/team/hostile"
    found = sorted(str(one.relative_to(root)) for one in root.rglob("*"))
    assert found == [".gitattributes", ".githooks", ".githooks/post-checkout", ".gitmodules", "a.txt"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../evil", ".git/hooks/post-checkout", "a\nb"])
def test_a_commit_with_paths_that_lead_elsewhere_is_refused(served: Served, git: GitServer, name: str) -> None:
    made = git.origin(f"paths-{abs(hash(name))}")
    made.commit({"a.txt": "harmless"})
    blob = made.git("rev-parse", "HEAD:a.txt")
    tree = blob
    for number, part in enumerate(reversed(name.split("/"))):  # git itself would not make such a tree
        entry = (b"100644 " if number == 0 else b"40000 ") + part.encode() + b"\0" + bytes.fromhex(tree)
        done = subprocess.run(
            ["git", "hash-object", "-t", "tree", "--stdin", "-w", "--literally"],
            input=entry, cwd=made.folder, capture_output=True, check=True,
        )  # fmt: skip
        tree = done.stdout.decode().strip()
    commit = made.git("commit-tree", tree, "-m", "evil")
    made.git("update-ref", "refs/heads/evil", commit)
    path = f"/Repos/team/evil-{made.folder.stem}"
    with pytest.raises(InvalidParameterValue, match=r"not allowed|git fetch failed"):
        served.client.api_client.do(
            "POST", "/api/2.0/repos", body={"url": f"{git.url}/{made.folder.name}", "provider": PROVIDER, "path": path,
                                            "branch": "evil"})  # fmt: skip
    assert not (served.data / "workspace/Repos/team" / path.rpartition("/")[2]).exists()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"url": "http://localhost:1/x.git", "provider": PROVIDER}, "not a public address"),
        ({"url": "file:///etc", "provider": PROVIDER}, "folders that are allowed"),
        ({"url": "ssh://git@example.org/x.git", "provider": PROVIDER}, "ssh is spoken only to"),
        ({"url": "git@example.org:x.git", "provider": PROVIDER}, "ssh is spoken only to"),
        ({"url": "ext::sh -c id", "provider": PROVIDER}, "must begin with"),
        ({"url": "--upload-pack=id", "provider": PROVIDER}, "must begin with"),
        ({"url": "https://ada:t0ken@github.com/x.git"}, "holds a login"),
        ({"url": "http://127.0.0.1:1/x.git"}, "provider must be given"),
        ({"url": "http://127.0.0.1:1/x.git", "provider": "svn"}, "is not one of"),
        ({"url": "http://127.0.0.1:1/x.git", "provider": PROVIDER, "branch": "--output=x"}, "cannot be the name"),
        ({"url": "http://127.0.0.1:1/x.git", "provider": PROVIDER, "path": "/Repos/x"}, "path must be"),
        ({"url": "http://127.0.0.1:1/x.git", "provider": PROVIDER, "path": "/Repos/../../x"}, "path"),
        ({"url": "http://127.0.0.1:1/x.git", "provider": PROVIDER, "sparse_checkout": {"patterns": ["*.py"]}}, "cone"),
        ({"url": 7}, "url must be"),
    ],
)
def test_what_cannot_be_cloned_is_refused(served: Served, body: dict[str, Any], why: str) -> None:
    with pytest.raises(DatabricksError, match=why) as refused:
        served.client.api_client.do("POST", "/api/2.0/repos", body=body)
    assert "t0ken" not in str(refused.value)


def test_folders_are_read_where_a_setting_allows_it(tmp_path: Path, git: GitServer, origin: Origin) -> None:
    with serving(tmp_path / "data", allow=(str(git.root),)) as served:
        made = served.client.repos.create(url=origin.folder.as_uri(), provider=PROVIDER, path="/Repos/team/local")
        assert made.head_commit_id == origin.git("rev-parse", "main")


def a_job(client: WorkspaceClient, git: dict[str, Any], *tasks: dict[str, Any]) -> int:
    """A job whose tasks are in git."""
    body = {"name": "in git", "job_clusters": [CLUSTER], "tasks": list(tasks), "git_source": git}
    made: Any = client.api_client.do("POST", "/api/2.2/jobs/create", body=body)
    return int(made["job_id"])


def test_a_job_runs_what_its_git_source_has(served: Served, git: GitServer, origin: Origin) -> None:
    seen: dict[str, Any] = {}

    def note(_: FunctionDriver, request: TaskRequest, __: object) -> None:
        task: Any = request.task
        seen[request.context["task_key"]] = (
            task.source if hasattr(task, "source") else (task.path.read_text(), (task.path.parent / "more.py").exists())
        )

    for key in ("notebook", "file"):
        served.fleet.acts[key] = note
    source = {"git_url": f"{git.url}/app.git", "git_provider": PROVIDER, "git_branch": "main"}
    notebook = {"task_key": "notebook", "job_cluster_key": "main", "notebook_task": {"notebook_path": "jobs/nightly"}}
    body = {"python_file": "lib/module.py", "source": "GIT"}
    file = {"task_key": "file", "job_cluster_key": "main", "spark_python_task": body}
    job_id = a_job(served.client, source, notebook, file)
    assert served.client.jobs.get(job_id).as_dict()["settings"]["tasks"][0]["notebook_task"]["source"] == "GIT"
    run = ended(served.client, served.client.jobs.run_now(job_id).run_id)
    assert results(run) == {"run": "SUCCESS", "notebook": "SUCCESS", "file": "SUCCESS"}
    assert seen == {"notebook": NOTEBOOK.format("two"), "file": ("VALUE = 1\n", True)}
    used = run.as_dict()["git_source"]["git_snapshot"]["used_commit"]
    assert used == origin.git("rev-parse", "main")
    old = {**source, "git_commit": origin.git("rev-parse", "v1")}
    del old["git_branch"]
    run = ended(served.client, served.client.jobs.run_now(a_job(served.client, old, notebook)).run_id)
    assert (results(run)["run"], seen["notebook"]) == ("SUCCESS", NOTEBOOK.format("one"))
    gone = {**source, "git_branch": "no-such"}
    run = ended(served.client, served.client.jobs.run_now(a_job(served.client, gone, notebook)).run_id)
    assert results(run)["run"] == "FAILED"
    assert "Git source: git fetch failed" in (run.tasks[0].state.state_message or "")  # type: ignore[index, union-attr]


@pytest.mark.parametrize(
    ("git_source", "task", "why"),
    [
        ({"git_branch": "main"}, {}, "git_url"),
        ({"git_url": "https://github.com/a/b", "git_provider": "gitHub"}, {}, "exactly one of"),
        ({"git_url": "https://github.com/a/b", "git_provider": "gitHub", "git_branch": "a", "git_tag": "b"},
         {}, "exactly one of"),
        (None, {"notebook_task": {"notebook_path": "a", "source": "GIT"}}, "no git_source"),
        ({"git_url": "https://github.com/a/b", "git_provider": "gitHub", "git_branch": "a"},
         {"notebook_task": {"notebook_path": "../a"}}, "within the git repository"),
        ({"git_url": "https://github.com/a/b", "git_provider": "gitHub", "git_branch": "a"},
         {"spark_python_task": {"python_file": "/a.py", "source": "GIT"}}, "within the git repository"),
    ],
)  # fmt: skip
def test_a_git_source_that_cannot_be_is_refused(
    served: Served, git_source: dict[str, Any] | None, task: dict[str, Any], why: str
) -> None:
    body = {"task_key": "t", "job_cluster_key": "main", **(task or {"notebook_task": {"notebook_path": "a"}})}
    settings = {"name": "x", "job_clusters": [CLUSTER], "tasks": [body], "git_source": git_source}
    with pytest.raises(InvalidParameterValue, match=why):
        served.client.api_client.do(
            "POST", "/api/2.2/jobs/create", body={key: value for key, value in settings.items() if value is not None}
        )
