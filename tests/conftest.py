"""What every test needs: keys and trust of its own run, not of the person who runs it."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

# What shares a driver, a workspace or a browser is run by one worker, one after the other, the longest first: two
# workers have at most two drivers of tests at a time.
_TOGETHER = ("spark", "acceptance", "pipeline", "web", "contract", "api")
_HERE = Path(__file__).parent


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its group and bring the groups into their order; the tests of a group keep theirs."""
    groups = {item: _group(item.path) for item in items}
    items.sort(key=lambda item: _TOGETHER.index(groups[item]) if groups[item] in _TOGETHER else len(_TOGETHER))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests each of the other people's clients passed (see `contract/conftest.py`)."""
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if report.when == "call" or outcome == "error":
                for name, value in report.user_properties:
                    if name == "client":
                        counts.setdefault(str(value), Counter())[outcome] += 1
    if counts:
        terminalreporter.section("clients")
        for client, found in sorted(counts.items()):
            terminalreporter.write_line(f"{client:55} {', '.join(f'{found[one]} {one}' for one in found)}")


def _group(path: Path) -> str:
    parts = path.relative_to(_HERE).parts
    return parts[0] if parts[0] in _TOGETHER else "/".join(parts)
