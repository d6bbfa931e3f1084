"""Levels, and the one rule of who may do what. Pure.

Source: Databricks, "Access control lists" and the Permissions API 2.0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headway.workspace.errors import ApiError
from headway.workspace.principals import Principal

_TREE = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
# Weakest first: each level includes those before it.
LEVELS: Mapping[str, tuple[str, ...]] = {
    "jobs": ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"),
    "clusters": ("CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"),
    "instance-pools": ("CAN_ATTACH_TO", "CAN_MANAGE"),
    "cluster-policies": ("CAN_USE",),
    "directories": _TREE,
    "notebooks": _TREE,
    "files": _TREE,
    "repos": _TREE,
    "warehouses": ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER"),
    "experiments": ("CAN_READ", "CAN_EDIT", "CAN_MANAGE"),
    "registered-models": (
        "CAN_READ", "CAN_EDIT", "CAN_MANAGE_STAGING_VERSIONS", "CAN_MANAGE_PRODUCTION_VERSIONS", "CAN_MANAGE",
    ),
    "authorization": ("CAN_USE",),
}  # fmt: skip
# Who may hold a level: field of the API → kind of principal.
HOLDERS = {"user_name": "user", "service_principal_name": "service_principal", "group_name": "group"}
# How the API calls one of a kind.
SINGULAR = {
    "jobs": "job",
    "clusters": "cluster",
    "instance-pools": "instance-pool",
    "cluster-policies": "cluster-policy",
    "directories": "directory",
    "notebooks": "notebook",
    "files": "file",
    "repos": "repo",
    "warehouses": "warehouses",
    "experiments": "mlflowExperiment",
    "registered-models": "registered-model",
    "authorization": "tokens",
}
DESCRIPTIONS = {
    "CAN_VIEW": "Can view it",
    "CAN_READ": "Can read it",
    "CAN_RUN": "Can read and run it",
    "CAN_EDIT": "Can read, run and edit it",
    "CAN_USE": "Can use it",
    "CAN_MONITOR": "Can use and monitor it",
    "CAN_ATTACH_TO": "Can attach to it",
    "CAN_RESTART": "Can attach to, start and restart it",
    "CAN_MANAGE_RUN": "Can view it, start and cancel its runs",
    "CAN_MANAGE_STAGING_VERSIONS": "Can manage its staging versions",
    "CAN_MANAGE_PRODUCTION_VERSIONS": "Can manage its production versions",
    "CAN_MANAGE": "Can do everything with it, also grant permissions",
    "IS_OWNER": "Owns it: can do everything, and runs are done in its name",
}


@dataclass(frozen=True)
class Known:
    """What a service tells of one of its objects. `owner` is the name of who made it; `parent` the object (kind, id)
    whose grants it inherits. `open` are levels that groups hold where the object has no grants of its own; `listed`
    whether everybody may see that it is there, without what is in it."""

    kind: str
    object_id: str
    owner: str | None = None
    parent: tuple[str, str] | None = None
    open: Mapping[str, str] = field(default_factory=dict)
    listed: bool = False


@dataclass(frozen=True)
class Standing:
    """An object with the grants given on it: principal id → level."""

    known: Known
    grants: Mapping[int, str]


def held(principal: Principal, chain: Sequence[Standing]) -> str | None:
    """The strongest level that a principal holds on the first object of `chain`, which its ancestors follow."""
    ladder = LEVELS[chain[0].known.kind]
    if principal.is_admin:
        return ladder[-1]
    best = -1
    for standing in chain:
        own = LEVELS[standing.known.kind]
        levels = [level for holder, level in standing.grants.items() if holder in principal.ids]
        if not standing.grants:
            levels += [level for group, level in standing.known.open.items() if group in principal.groups]
        if owns(principal, standing):
            levels.append(own[-1])
        for level in levels:
            best = max(best, _rank(level, own, ladder))
    if best < 0 and chain[0].known.listed:
        best = 0
    return ladder[best] if best >= 0 else None


def _rank(level: str, own: Sequence[str], ladder: Sequence[str]) -> int:
    """What a level of an ancestor is worth on another kind of object: the same word, else the nearest weaker one that
    both have, else as much strength."""
    both = [ladder.index(one) for one in own[: own.index(level) + 1] if one in ladder]
    return both[-1] if both else min(own.index(level), len(ladder) - 1)


def owns(principal: Principal, standing: Standing) -> bool:
    """Whether it made the object, and the object was not given to another owner since."""
    return principal.name == standing.known.owner and "IS_OWNER" not in standing.grants.values()


def suffices(kind: str, level: str | None, wanted: str) -> bool:
    """Whether a level includes another one."""
    ladder = LEVELS[kind]
    return level is not None and ladder.index(level) >= ladder.index(wanted)


def authorize(principal: Principal, chain: Sequence[Standing], wanted: str) -> None:
    """Raise ApiError PERMISSION_DENIED where a principal may not do what needs `wanted` on the first of `chain`."""
    known = chain[0].known
    if not suffices(known.kind, held(principal, chain), wanted):
        raise denied(principal, known, wanted)


def managing(kind: str) -> str:
    """The level that may grant."""
    return "CAN_MANAGE" if "CAN_MANAGE" in LEVELS[kind] else LEVELS[kind][-1]


def denied(principal: Principal, known: Known, wanted: str) -> ApiError:
    """What somebody is told who may not."""
    what = SINGULAR.get(known.kind, known.kind)
    message = f"{principal.name} does not have {wanted} permission on {what} {known.object_id}."
    return ApiError("PERMISSION_DENIED", message, 403)
