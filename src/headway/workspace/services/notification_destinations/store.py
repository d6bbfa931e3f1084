"""The table of notification destinations; their secrets are sealed."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError, missing
from headway.workspace.keys import Vault
from headway.workspace.services.notification_destinations.model import Destination
from headway.workspace.services.notification_destinations.tables import destinations


class DestinationStore:
    """Destinations by id."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine, self._vault = engine, vault

    def create(self, display_name: str, kind: str, values: Mapping[str, Any]) -> Destination:
        """Keep a new one. Raise ApiError where the name is taken."""
        made = Destination(str(uuid.uuid4()), display_name, kind, values)
        row = {
            "destination_id": made.destination_id,
            "display_name": display_name,
            "kind": kind,
            "sealed": self._sealed(made),
            "created_ms": now_ms(),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(destinations).values(row))
        except IntegrityError:
            raise _taken(display_name) from None
        return made

    def get(self, destination_id: str) -> Destination:
        """Raise ApiError."""
        query = select(destinations).where(destinations.c.destination_id == destination_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise missing(f"Notification destination {destination_id} does not exist.")
        return self._destination(row)

    def find(self, destination_id: str) -> Destination | None:
        """The same; None where there is none."""
        try:
            return self.get(destination_id)
        except ApiError:
            return None

    def list(self, offset: int, limit: int) -> list[Destination]:
        """By name."""
        query = select(destinations).order_by(destinations.c.display_name).offset(offset).limit(limit)
        with self._engine.connect() as connection:
            return [self._destination(row) for row in connection.execute(query)]

    def replace(self, changed: Destination) -> None:
        """Keep another name and other values. Raise ApiError where the name is taken."""
        query = update(destinations).where(destinations.c.destination_id == changed.destination_id)
        values = {"display_name": changed.display_name, "sealed": self._sealed(changed)}
        try:
            with self._engine.begin() as connection:
                connection.execute(query.values(values))
        except IntegrityError:
            raise _taken(changed.display_name) from None

    def delete(self, destination_id: str) -> None:
        """Forget one. Raise ApiError where there is none."""
        query = delete(destinations).where(destinations.c.destination_id == destination_id)
        with self._engine.begin() as connection:
            if connection.execute(query).rowcount == 0:
                raise missing(f"Notification destination {destination_id} does not exist.")

    def _sealed(self, one: Destination) -> bytes:
        return self._vault.seal(json.dumps(dict(one.values)).encode(), _owner(one.destination_id))

    def _destination(self, row: Row[Any]) -> Destination:
        values = json.loads(self._vault.open(row.sealed, _owner(row.destination_id)))
        return Destination(row.destination_id, row.display_name, row.kind, values)


def _owner(destination_id: str) -> str:
    return f"notification-destination/{destination_id}"


def _taken(display_name: str) -> ApiError:
    return ApiError(
        "RESOURCE_ALREADY_EXISTS", f"There is a notification destination named {display_name} already.", 409
    )
