"""A workspace on real Spark, shared by all acceptance tests."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from headway.workspace.process import Status, start, stop
from headway.workspace.settings import WorkspaceSettings
from support.tiny_application import TinyApplication


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Status]:
    """A workspace of its own process."""
    data = tmp_path_factory.mktemp("workspace")
    yield start(WorkspaceSettings(data=data, port=0, allow_download=("127.0.0.1",), standby=1))
    stop(data)
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def client(workspace: Status) -> WorkspaceClient:
    """The official client of that workspace."""
    assert workspace.token_file is not None
    return WorkspaceClient(host=workspace.url, token=workspace.token_file.read_text(), auth_type="pat")


@pytest.fixture
def application(tmp_path: Path, workspace: Status) -> Callable[[str], TinyApplication]:
    """Makes an application of the given name."""
    return lambda name: TinyApplication(tmp_path / name, name, workspace)
