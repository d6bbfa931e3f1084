"""What most commands need: the application of a folder, its store, connections to its environments."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headway.adapters.databricks import Connection, connect
from headway.adapters.objectstore import ObjectStore
from headway.adapters.stores import open_store
from headway.core.application import Application, Environment
from headway.core.errors import HeadwayError
from headway.core.events import Emit
from headway.delivery.configuration import load_application


@dataclass(frozen=True)
class Context:
    """One application, as its folder says now. `variables` is the process's environment."""

    root: Path
    app: Application
    store: ObjectStore
    variables: Mapping[str, str]
    emit: Emit

    def environment(self, name: str) -> Environment:
        """Raise HeadwayError ENVIRONMENT_UNKNOWN."""
        found = self.app.environments.get(name)
        if found is None:
            raise HeadwayError("ENVIRONMENT_UNKNOWN", name=name, known=", ".join(self.app.environments) or "none")
        return found

    def connection(self, name: str) -> Connection:
        """The environment's workspace. No call is made yet."""
        return connect(self.environment(name), self.variables)


def load(root: str, emit: Emit) -> Context:
    """Read the application at `root`. Raise ConfigurationError with every problem at once."""
    folder = Path(root).resolve()
    app = load_application(folder, os.environ)
    return Context(folder, app, open_store(app.store), dict(os.environ), emit)
