"""What stands where: for `headway status` and `headway history`. Reads only."""

from dataclasses import dataclass

from headway.core.errors import HeadwayError
from headway.core.ledger import EnvironmentState
from headway.delivery.deploying import make_plan
from headway.delivery.ledger import Ledger
from headway.delivery.line import Line


@dataclass(frozen=True)
class EnvironmentStatus:
    """An environment: what the ledger says, and whether its jobs are as the ledger left them.

    `drifted` are the keys of jobs that are not; None where the workspace could not be asked (`problem` says why).
    """

    name: str
    state: EnvironmentState
    drifted: tuple[str, ...] | None
    problem: str = ""


def standings(line: Line) -> dict[str, dict[str, bool]]:
    """By version: the environments that it stood in, and whether it stands there now."""
    found: dict[str, dict[str, bool]] = {}
    for name in line.order():
        state = Ledger(line.store, line.app.name, name).state()
        for entry in state.history:
            if entry.version:
                found.setdefault(entry.version, {})[name] = entry.version == state.version
    return found


def status(line: Line) -> list[EnvironmentStatus]:
    """Every environment, in the order of the line."""
    return [_status(line, name) for name in line.order()]


def _status(line: Line, name: str) -> EnvironmentStatus:
    ledger = Ledger(line.store, line.app.name, name)
    state = ledger.state()
    if state.deployment is None:
        return EnvironmentStatus(name, state, ())
    try:
        target = line.target(name)
        steps = make_plan(target, None, ledger.deployment(state.deployment).settings).steps
    except HeadwayError as error:
        return EnvironmentStatus(name, state, None, error.message)
    return EnvironmentStatus(name, state, tuple(dict.fromkeys(step.key for step in steps)))
