"""What the tests of the CI engine share: a database, a workspace, a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.pipeline.database import Database, open_database
from support.served_ci import Ci, copy_files
from support.served_workspace import FunctionFleet, Served, serving


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new one in SQLite."""
    opened = open_database(f"sqlite:///{tmp_path}/headway.db")
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A workspace whose drivers run functions; what `deployJar` does is real."""
    fleet = FunctionFleet(acts={"deployJar": copy_files})
    with serving(tmp_path_factory.mktemp("workspace"), fleet, allow=("127.0.0.1",)) as found:
        yield found


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory, workspace: Served) -> Iterator[Ci]:
    """A server on SQLite, shared by the tests of a module."""
    made = Ci(tmp_path_factory.mktemp("ci"), workspace).start()
    yield made
    made.close()
