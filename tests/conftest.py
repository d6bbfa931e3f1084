"""What every test needs: keys and trust of its own run, not of the person who runs it."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """HEADWAY_CONFIG, for this process and those that it starts."""
    before = os.environ.get("HEADWAY_CONFIG")
    os.environ["HEADWAY_CONFIG"] = str(tmp_path_factory.mktemp("headway-configuration"))
    yield
    if before is None:
        del os.environ["HEADWAY_CONFIG"]
    else:
        os.environ["HEADWAY_CONFIG"] = before
