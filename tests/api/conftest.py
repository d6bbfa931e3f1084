"""One served workspace for all tests of the API; each has jobs of its own."""

from collections.abc import Iterator

import pytest

from support.served_workspace import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It."""
    with serving(tmp_path_factory.mktemp("workspace"), allow=("127.0.0.1",)) as found:
        yield found
