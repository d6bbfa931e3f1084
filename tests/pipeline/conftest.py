"""What the tests of the CI engine share: a database, a workspace, a server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.pipeline.database import Database, connected, open_database
from support.inbox import Inbox, taking
from support.served_ci import Ci, copy_files
from support.served_workspace import FunctionFleet, Served, serving


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one with every table."""
    path = tmp_path_factory.mktemp("database") / "headway.db"
    open_database(f"sqlite:///{path}").engine.dispose()
    return path


@pytest.fixture
def database(tmp_path: Path, migrated: Path) -> Iterator[Database]:
    """A new one in SQLite."""
    shutil.copy(migrated, tmp_path / "headway.db")
    opened = Database(connected(f"sqlite:///{tmp_path}/headway.db"))
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A workspace whose drivers run functions; what `deployJar` does is real."""
    fleet = FunctionFleet(acts={"deployJar": copy_files})
    with serving(tmp_path_factory.mktemp("workspace"), fleet, allow=("127.0.0.1",)) as found:
        yield found


@pytest.fixture(scope="session")
def inbox() -> Iterator[Inbox]:
    """Takes what the server tells: Slack, commit statuses, mail."""
    with taking() as found:
        yield found


@pytest.fixture(scope="session")
def ci(tmp_path_factory: pytest.TempPathFactory, workspace: Served, inbox: Inbox) -> Iterator[Ci]:
    """A server on SQLite, shared by all; each test has an application of its own."""
    options = (
        *("--slack-env", "SLACK", "--smtp-host", "127.0.0.1", "--smtp-port", str(inbox.smtp_port)),
        *("--no-smtp-starttls", "--mail-to", "team@example.org", "--output-mib", "1", "--work-gib", "0.05"),
        *("--build-env", "ALLOWED", "--external-url", "https://ci.example.org"),
    )
    variables = {
        "SLACK": f"{inbox.url}/slack",
        "STATUS_TOKEN": "a-token-for-statuses",
        "DEPLOY_TOKEN": "a-secret-of-the-server",
        "ALLOWED": "seen",
    }
    made = Ci(tmp_path_factory.mktemp("ci"), workspace, options, variables).start()
    yield made
    made.close()
