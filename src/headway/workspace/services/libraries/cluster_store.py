"""The table of the libraries of clusters."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from headway.workspace.services.libraries.attached import (
    FAILED,
    INSTALLED,
    PENDING,
    SKIPPED,
    UNINSTALL_ON_RESTART,
    Attached,
    key_of,
)
from headway.workspace.services.libraries.cluster_tables import cluster_libraries as table


class ClusterLibraryStore:
    """Libraries by cluster."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, cluster_id: str, libraries: Sequence[Mapping[str, Any]]) -> None:
        """Ask for these: what is there stays, what was to go stays too, what failed is tried again."""
        with self._engine.begin() as connection:
            for library in libraries:
                key = key_of(library)
                same = (table.c.cluster_id == cluster_id) & (table.c.key == key)
                found = connection.execute(select(table.c.status).where(same)).scalar_one_or_none()
                if found is None:
                    row = {"cluster_id": cluster_id, "key": key, "library": dict(library)}
                    connection.execute(insert(table).values(row | {"status": PENDING, "messages": []}))
                elif found in (FAILED, SKIPPED):
                    connection.execute(update(table).where(same).values(status=PENDING, messages=[]))
                elif found == UNINSTALL_ON_RESTART:
                    connection.execute(update(table).where(same).values(status=INSTALLED))

    def set(self, entries: Collection[Attached], status: str, *messages: str) -> None:
        """Give them a status, with what is to be told of it. What was removed meanwhile stays removed, and what is to
        go stays so."""
        ids = [entry.entry_id for entry in entries]
        with self._engine.begin() as connection:
            wanted = table.c.entry_id.in_(ids) & (table.c.status != UNINSTALL_ON_RESTART)
            connection.execute(update(table).where(wanted).values(status=status, messages=list(messages)))

    def mark(self, cluster_id: str, libraries: Sequence[Mapping[str, Any]], *, runs: bool) -> None:
        """Take these away: at once where the cluster does not have them now, else when it gets another driver."""
        keys = [key_of(library) for library in libraries]
        named = (table.c.cluster_id == cluster_id) & table.c.key.in_(keys)
        with self._engine.begin() as connection:
            if runs:
                has = named & (table.c.status == INSTALLED)
                connection.execute(update(table).where(has).values(status=UNINSTALL_ON_RESTART))
                connection.execute(delete(table).where(named, table.c.status != UNINSTALL_ON_RESTART))
            else:
                connection.execute(delete(table).where(named))

    def begin_anew(self, cluster_id: str) -> None:
        """The cluster has another driver: nothing is installed on it yet, and what was to go is gone."""
        own = table.c.cluster_id == cluster_id
        with self._engine.begin() as connection:
            connection.execute(delete(table).where(own, table.c.status == UNINSTALL_ON_RESTART))
            connection.execute(update(table).where(own).values(status=PENDING, messages=[]))

    def forget(self, cluster_id: str) -> None:
        """The cluster is no more."""
        with self._engine.begin() as connection:
            connection.execute(delete(table).where(table.c.cluster_id == cluster_id))

    def of(self, cluster_id: str) -> list[Attached]:
        """Those of a cluster, as they were added."""
        query = select(table).where(table.c.cluster_id == cluster_id).order_by(table.c.entry_id)
        with self._engine.connect() as connection:
            return [_attached(row) for row in connection.execute(query)]

    def all(self) -> list[Attached]:
        """Those of every cluster."""
        with self._engine.connect() as connection:
            return [_attached(row) for row in connection.execute(select(table).order_by(table.c.entry_id))]


def _attached(row: Row[Any]) -> Attached:
    return Attached(row.entry_id, row.cluster_id, row.library, row.status, tuple(row.messages))
