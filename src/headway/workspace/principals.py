"""Who may call: users, service principals and the groups they are in. Pure."""

from dataclasses import dataclass
from typing import Literal

ADMINS = "admins"
USERS = "users"

Kind = Literal["user", "service_principal"]


@dataclass(frozen=True)
class Principal:
    """A caller. `name` is a user's name or a service principal's application id; `groups` are the names of all groups
    it is in, also by way of another group, and `group_ids` their ids. `run_id` is the run that calls in
    its name, if one does."""

    principal_id: int
    kind: Kind
    name: str
    display_name: str
    groups: frozenset[str] = frozenset()
    group_ids: frozenset[int] = frozenset()
    run_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it is in the group `admins`."""
        return ADMINS in self.groups

    @property
    def ids(self) -> frozenset[int]:
        """Its own id and those of its groups: what a grant may name to reach it."""
        return self.group_ids | {self.principal_id}
