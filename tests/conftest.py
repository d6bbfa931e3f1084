"""What every test needs: keys and trust of its own run, not of the person who runs it."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# What shares a driver, a workspace or a browser is run by one worker, one after the other, the longest first: two
# workers have at most two drivers of tests at a time.
_TOGETHER = ("spark", "api", "acceptance", "pipeline", "contract", "web")
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
    """Bring the groups into their order; the tests of a group keep theirs."""
    items.sort(key=lambda item: _place(_group(item.path.relative_to(_HERE).as_posix())))


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the tests of a group to one worker. (xdist's own `loadgroup` writes the group into the ids of tests, which
    pytest 9.2 does not let it: it spread them, and each worker started every driver and server.)"""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid.partition("::")[0].removeprefix(f"{_HERE.name}/"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroup:
    """How tests come to the workers of `make test`: group by group, in their order."""
    config.option.loadscopereorder = False
    return ByGroup(config, log)


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


def _group(path: str) -> str:
    """The group of a test file, by its path below `tests`."""
    folder = path.partition("/")[0]
    return folder if folder in _TOGETHER else path


def _place(group: str) -> int:
    return _TOGETHER.index(group) if group in _TOGETHER else len(_TOGETHER)
