"""An engine's database, fresh."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.pipeline.database import Database, open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new one in SQLite."""
    opened = open_database(f"sqlite:///{tmp_path}/headway.db")
    yield opened
    opened.engine.dispose()
