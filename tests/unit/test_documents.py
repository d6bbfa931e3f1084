"""What the documents say is there, is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_path_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    paths = re.findall(r"`((?:src|tests|docs|examples|bench|tools)/[\w./-]*)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
