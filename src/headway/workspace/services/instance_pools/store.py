"""The table of pools."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.workspace.errors import ApiError, conflict, invalid
from headway.workspace.services.instance_pools.model import Pool
from headway.workspace.services.instance_pools.tables import pools


class PoolStore:
    """Pools by id. Methods may raise ApiError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, spec: Mapping[str, Any], creator: str, at_ms: int) -> Pool:
        """A new one."""
        name = str(spec["instance_pool_name"])
        pool = Pool(f"pool-{uuid.uuid4().hex[:16]}", name, creator, at_ms, dict(spec))
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(pools).values(**vars(pool)))
        except IntegrityError:
            raise _taken(name) from None
        return pool

    def change(self, pool: Pool, spec: Mapping[str, Any]) -> Pool:
        """Another spec."""
        name = str(spec["instance_pool_name"])
        query = update(pools).where(pools.c.instance_pool_id == pool.instance_pool_id)
        try:
            with self._engine.begin() as connection:
                connection.execute(query.values(name=name, spec=dict(spec)))
        except IntegrityError:
            raise _taken(name) from None
        return self.get(pool.instance_pool_id)

    def get(self, instance_pool_id: str) -> Pool:
        """One."""
        query = select(pools).where(pools.c.instance_pool_id == instance_pool_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise invalid(f"Instance pool {instance_pool_id[:64]} does not exist")
        return Pool(**row._mapping)

    def list(self) -> list[Pool]:
        """All, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(pools).order_by(pools.c.created_ms, pools.c.instance_pool_id))
            return [Pool(**row._mapping) for row in rows]

    def remove(self, instance_pool_id: str) -> None:
        """Forget one."""
        with self._engine.begin() as connection:
            connection.execute(delete(pools).where(pools.c.instance_pool_id == instance_pool_id))


def _taken(name: str) -> ApiError:
    return conflict(f"An instance pool with the name {name} exists already")
