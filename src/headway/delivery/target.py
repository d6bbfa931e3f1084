"""Where to: an environment of an application, its workspace, its ledger; and whether somebody asked to stop."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from headway.adapters.clock import Clock
from headway.adapters.databricks import Connection
from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application, Environment
from headway.core.events import Emit
from headway.delivery.ledger import Ledger


class Stopping(Protocol):
    """Whether the person in front of it asked to stop."""

    def gracefully(self) -> AbstractContextManager[Callable[[], bool]]:
        """While the context is open, a first request to stop raises nothing: the function that it gives says so."""


class NeverStopping:
    """Nobody asks."""

    @contextmanager
    def gracefully(self) -> Iterator[Callable[[], bool]]:
        """Never."""
        yield lambda: False


@dataclass(frozen=True)
class Target:
    """What delivery to one environment needs. `beside` gives another environment of the application, connected."""

    app: Application
    environment: Environment
    connection: Connection
    ledger: Ledger
    store: ObjectStore
    clock: Clock
    emit: Emit
    stopping: Stopping = field(default_factory=NeverStopping)
    beside: "Callable[[str], Target] | None" = None
