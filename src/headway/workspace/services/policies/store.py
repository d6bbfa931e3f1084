"""The table of cluster policies."""

import dataclasses

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.workspace.errors import ApiError, conflict, missing
from headway.workspace.services.policies.model import Policy
from headway.workspace.services.policies.tables import policies


class PolicyStore:
    """Policies by id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, policy: Policy) -> None:
        """Keep a new one. Raise ApiError where its name is taken."""
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(policies).values(dataclasses.asdict(policy)))
        except IntegrityError:
            raise _taken(policy.name) from None

    def get(self, policy_id: str) -> Policy:
        """Raise ApiError."""
        with self._engine.connect() as connection:
            row = connection.execute(select(policies).where(policies.c.policy_id == policy_id)).one_or_none()
        if row is None:
            raise missing(f"Cluster policy {policy_id[:50]} does not exist.")
        return Policy(**row._mapping)

    def all(self) -> list[Policy]:
        """Every one, oldest first."""
        with self._engine.connect() as connection:
            found = connection.execute(select(policies).order_by(policies.c.created_ms, policies.c.policy_id))
            return [Policy(**row._mapping) for row in found]

    def replace(self, policy: Policy) -> None:
        """Keep what has changed. Raise ApiError where its name is taken."""
        query = update(policies).where(policies.c.policy_id == policy.policy_id)
        try:
            with self._engine.begin() as connection:
                connection.execute(query.values(dataclasses.asdict(policy)))
        except IntegrityError:
            raise _taken(policy.name) from None

    def delete(self, policy_id: str) -> None:
        """Forget one; clusters that were made with it stay as they are. Raise ApiError where there is none."""
        with self._engine.begin() as connection:
            if connection.execute(delete(policies).where(policies.c.policy_id == policy_id)).rowcount == 0:
                raise missing(f"Cluster policy {policy_id[:50]} does not exist.")


def _taken(name: str) -> ApiError:
    return conflict(f"There is a cluster policy named {name} already.")
