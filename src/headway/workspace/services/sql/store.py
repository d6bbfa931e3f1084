"""The table of warehouses."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.workspace.clock import now_ms
from headway.workspace.errors import conflict, missing
from headway.workspace.services.sql.model import Warehouse
from headway.workspace.services.sql.tables import warehouses


class WarehouseStore:
    """Warehouses by id. Methods may raise ApiError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, name: str, creator: str, cluster_id: str, settings: Mapping[str, Any]) -> Warehouse:
        """A new one."""
        row = Warehouse(uuid.uuid4().hex[:16], name, creator, now_ms(), cluster_id, dict(settings))
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(warehouses).values(**vars(row)))
        except IntegrityError:
            raise _taken(name) from None
        return row

    def get(self, warehouse_id: str) -> Warehouse:
        """One."""
        query = select(warehouses).where(warehouses.c.warehouse_id == warehouse_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise missing(f"SQL warehouse {warehouse_id[:50]} does not exist.")
        return _warehouse(row)

    def free(self, name: str) -> None:
        """Raise ApiError where a warehouse has that name."""
        query = select(warehouses.c.warehouse_id).where(warehouses.c.name == name)
        with self._engine.connect() as connection:
            if connection.execute(query).first() is not None:
                raise _taken(name)

    def list(self) -> list[Warehouse]:
        """All, by name."""
        with self._engine.connect() as connection:
            return [_warehouse(row) for row in connection.execute(select(warehouses).order_by(warehouses.c.name))]

    def change(self, warehouse_id: str, name: str, settings: Mapping[str, Any]) -> None:
        """Another name and other settings."""
        query = update(warehouses).where(warehouses.c.warehouse_id == warehouse_id)
        try:
            with self._engine.begin() as connection:
                connection.execute(query.values(name=name, settings=dict(settings)))
        except IntegrityError:
            raise _taken(name) from None

    def remove(self, warehouse_id: str) -> None:
        """Forget one."""
        with self._engine.begin() as connection:
            connection.execute(delete(warehouses).where(warehouses.c.warehouse_id == warehouse_id))


def _taken(name: str) -> Exception:
    return conflict(f"Warehouse with name '{name}' already exists")


def _warehouse(row: Row[Any]) -> Warehouse:
    return Warehouse(**row._mapping)
