"""What clusters/list and clusters/events are asked for: filters, order, pages. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import invalid
from headway.workspace.http import flag, number
from headway.workspace.services.clusters.model import MOVES, SOURCES

PAGE, LARGEST_PAGE = 20, 100
EVENTS, MOST_EVENTS = 50, 500


@dataclass(frozen=True)
class ListQuery:
    """One page of clusters/list 2.1."""

    states: tuple[str, ...]
    sources: tuple[str, ...]
    pinned: bool | None
    policy_id: str | None
    by_name: bool
    descending: bool
    offset: int
    limit: int


@dataclass(frozen=True)
class EventQuery:
    """One page of clusters/events. Times in milliseconds since 1970."""

    cluster_id: str
    start_ms: int | None
    end_ms: int | None
    types: tuple[str, ...]
    ascending: bool
    offset: int
    limit: int


def list_query(data: Mapping[str, Any]) -> ListQuery:
    """What the query's fields ask for: `filter_by.cluster_states` and the like, repeated where there are several.

    Raise ApiError.
    """
    states, sources = _several(data, "filter_by.cluster_states"), _several(data, "filter_by.cluster_sources")
    _known("filter_by.cluster_states", states, (*MOVES, "ERROR", "UNKNOWN"))
    _known("filter_by.cluster_sources", sources, (*SOURCES, "MODELS", "PIPELINE", "PIPELINE_MAINTENANCE", "SQL"))
    field = str(data.get("sort_by.field", "DEFAULT"))
    direction = str(data.get("sort_by.direction", "ASC" if field == "CLUSTER_NAME" else "DESC"))
    _known("sort_by.field", (field,), ("CLUSTER_NAME", "DEFAULT"))
    _known("sort_by.direction", (direction,), ("ASC", "DESC"))
    limit = number(data, "page_size", PAGE)
    if not 1 <= limit <= LARGEST_PAGE:
        raise invalid(f"page_size must be from 1 to {LARGEST_PAGE}")
    return ListQuery(
        states,
        sources,
        flag(data, "filter_by.is_pinned") if "filter_by.is_pinned" in data else None,
        data.get("filter_by.policy_id"),
        field == "CLUSTER_NAME",
        direction == "DESC",
        _offset(data),
        limit,
    )


def event_query(cluster_id: str, data: Mapping[str, Any]) -> EventQuery:
    """What the request's fields ask for. Raise ApiError."""
    order = data.get("order", "DESC")
    _known("order", (order,), ("ASC", "DESC"))
    types = data.get("event_types") or []
    if not isinstance(types, list):
        raise invalid("event_types must be an array")
    if data.get("page_token") not in (None, ""):
        offset, limit = _offset(data), number(data, "page_size", EVENTS)
    else:
        offset, limit = number(data, "offset", 0), number(data, "page_size", number(data, "limit", EVENTS))
    if not 0 <= limit <= MOST_EVENTS or offset < 0:
        raise invalid(f"limit must be from 1 to {MOST_EVENTS}, and offset not below 0")
    return EventQuery(
        cluster_id,
        number(data, "start_time") if data.get("start_time") is not None else None,
        number(data, "end_time") if data.get("end_time") is not None else None,
        tuple(str(entry) for entry in types),
        order == "ASC",
        offset,
        limit or EVENTS,
    )


def _several(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = data.get(name)
    if given is None:
        return ()
    return tuple(str(entry) for entry in given) if isinstance(given, list) else tuple(str(given).split(","))


def _known(name: str, given: tuple[Any, ...], known: tuple[str, ...]) -> None:
    for entry in given:
        if entry not in known:
            raise invalid(f"{name}: {entry} is none of {', '.join(known)}")


def _offset(data: Mapping[str, Any]) -> int:
    token = data.get("page_token")
    if token in (None, ""):
        return 0
    try:
        offset = int(str(token))
    except ValueError:
        offset = -1
    if offset < 0:
        raise invalid(f"page_token {token} is not one that this workspace gave")
    return offset
