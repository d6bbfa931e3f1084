"""A workspace on real Spark for other people's clients, and how they are run against it."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.environments import CLIENTS, run
from headway.adapters.spark import installed_spark
from headway.workspace.process import Status, start, stop
from headway.workspace.settings import WorkspaceSettings

PROGRAMS = Path(__file__).parent.parent / "clients" / "programs"


@dataclass(frozen=True)
class RealWorkspace:
    """A served workspace. `spark_version` is the key of its own runtime."""

    url: str
    token: str
    spark_version: str

    def variables(self) -> dict[str, str]:
        """What most clients read."""
        return {"DATABRICKS_HOST": self.url, "DATABRICKS_TOKEN": self.token}

    def program(self, client: str, name: str, *arguments: str, cwd: Path, **variables: str) -> str:
        """What a program of `clients/programs` prints in a client's environment."""
        return run(client, ["python", str(PROGRAMS / name), *arguments], {**self.variables(), **variables}, cwd)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorkspace]:
    """A workspace in a process of its own."""
    data = tmp_path_factory.mktemp("contract")
    local = ("127.0.0.1",)
    status: Status = start(WorkspaceSettings(data=data, port=0, allow_download=local, allow_git=local, standby=1))
    assert status.url is not None
    assert status.token_file is not None
    yield RealWorkspace(status.url, status.token_file.read_text(), installed_spark().key)
    stop(data)
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(autouse=True)
def _client(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Whose client a test is: that of its parameters, else its module's. They are counted at the end of a run."""
    given = getattr(request.node, "callspec", None)
    client = (given.params.get("client") if given else None) or getattr(request.module, "CLIENT", None)
    if client is not None:
        record_property("client", " + ".join(CLIENTS[client]) if client in CLIENTS else client)


def every_client() -> bool:
    """Whether clients whose installation takes minutes are tried too: CI does, and whoever asks for it."""
    variables: Mapping[str, str] = os.environ
    return bool(variables.get("CI") or variables.get("HEADWAY_TEST_EVERY_CLIENT"))
