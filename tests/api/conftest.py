"""One served workspace for all tests of the API; each has jobs of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.delivered_fleet import Fleet
from support.served_workspace import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It."""
    with serving(tmp_path_factory.mktemp("workspace"), allow=("127.0.0.1",)) as found:
        yield found


@pytest.fixture
def fleet(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Fleet:
    """An application of its own for each test."""
    return Fleet(served, tmp_path, f"app-{abs(hash(request.node.name)) % 10**8}")
