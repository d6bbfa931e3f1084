"""Who may do what with catalogs, schemas, volumes and tables. Pure.

Source: Databricks, "Unity Catalog privileges and securable objects": a privilege on an object holds for all that is in
it; to reach an object takes USE on what it is in; owners may do everything, and grant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headway.workspace.errors import ApiError, invalid
from headway.workspace.principals import Principal

ALL, MANAGE, BROWSE = "ALL_PRIVILEGES", "MANAGE", "BROWSE"
_TABLE = ("SELECT", "MODIFY", ALL, MANAGE)
_VOLUME = ("READ_VOLUME", "WRITE_VOLUME", ALL, MANAGE)
_SCHEMA = (
    "USE_SCHEMA", "CREATE_TABLE", "CREATE_VOLUME", "SELECT", "MODIFY", "READ_VOLUME", "WRITE_VOLUME", BROWSE, ALL,
    MANAGE,
)  # fmt: skip
PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "catalog": ("USE_CATALOG", "CREATE_SCHEMA", *_SCHEMA),
    "schema": _SCHEMA,
    "volume": _VOLUME,
    "table": _TABLE,
}
_USE = {"catalog": "USE_CATALOG", "schema": "USE_SCHEMA"}


@dataclass(frozen=True)
class Standing:
    """An object with its grants: principal id → privileges. `owner` None: Spark made it, or the workspace did; such an
    object is open to all users, where all that it is in is so too: their code, which Spark runs, reaches it anyway."""

    kind: str
    full_name: str
    owner: str | None
    grants: Mapping[int, frozenset[str]]


def held(principal: Principal, chain: Sequence[Standing]) -> frozenset[str]:
    """What a principal holds on the first object of `chain`, which what it is in follows."""
    if principal.is_admin or any(one.owner == principal.name for one in chain):
        return frozenset((ALL, MANAGE))
    found = {privilege for one in chain for holder in principal.ids for privilege in one.grants.get(holder, ())}
    if all(one.owner is None for one in chain):
        found.add(ALL)
    return frozenset(found)


def may(principal: Principal, chain: Sequence[Standing], wanted: str) -> bool:
    """Whether it may do what takes the privilege `wanted`; BROWSE is seeing that it is there."""
    own = held(principal, chain)
    enough = {wanted, MANAGE} if wanted == MANAGE else {wanted, MANAGE, ALL}
    reached = bool(own) if wanted == BROWSE else not own.isdisjoint(enough)
    return reached and all(_uses(principal, chain[at:]) for at in range(1, len(chain)))


def _uses(principal: Principal, chain: Sequence[Standing]) -> bool:
    return not held(principal, chain).isdisjoint((_USE[chain[0].kind], ALL, MANAGE))


def authorize(principal: Principal, chain: Sequence[Standing], wanted: str) -> None:
    """Raise ApiError PERMISSION_DENIED where it may not."""
    if not may(principal, chain, wanted):
        what = f"{chain[0].kind.capitalize()} '{chain[0].full_name}'"
        raise ApiError("PERMISSION_DENIED", f"User does not have {wanted} on {what}.", 403)


def check_privileges(kind: str, given: Sequence[object]) -> list[str]:
    """The privileges, as the API spells them. Raise ApiError for one that objects of that kind do not have."""
    found = [str(one).upper().replace(" ", "_") for one in given]
    for one in found:
        if one not in PRIVILEGES[kind]:
            raise invalid(f"Privilege {one[:50]} is not applicable to a {kind}: {', '.join(PRIVILEGES[kind])}")
    return found
