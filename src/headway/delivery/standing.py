"""What stands where: for `headway status` and `headway history`. Reads only."""

from dataclasses import dataclass

from headway.core.errors import HeadwayError
from headway.core.ledger import EnvironmentState
from headway.core.plan import plan_steps
from headway.delivery.ledger import Ledger
from headway.delivery.line import Line
from headway.delivery.observing import observe


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
        observed = observe(target.connection, target.app, target.environment)
    except HeadwayError as error:
        return EnvironmentStatus(name, state, None, error.message)
    steps, _ = plan_steps(ledger.deployment(state.deployment).settings, observed)
    return EnvironmentStatus(name, state, tuple(step.key for step in steps))
