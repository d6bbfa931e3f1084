"""What requests about jobs and runs have in common: tokens, pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from headway.workspace.errors import invalid
from headway.workspace.http import Data, text
from headway.workspace.services.jobs.model import MAX_TASKS_BEFORE_2_2

Item = TypeVar("Item")


def idempotency_token(data: Mapping[str, Any]) -> str | None:
    """The request's token. Raise ApiError where it is too long."""
    if data.get("idempotency_token") is None:
        return None
    token = text(data, "idempotency_token")
    if len(token) > 64:
        raise invalid("idempotency_token has at most 64 characters")
    return token or None


def page_token(data: Mapping[str, Any]) -> int | None:
    """The page that is asked for. Raise ApiError where the token is not one of ours."""
    given = data.get("page_token")
    if given in (None, ""):
        return None
    if not str(given).isascii() or not str(given).isdigit() or len(str(given)) > 18:
        raise invalid(f"page_token {given} is not one that this workspace gave")
    return int(str(given))


def page_of(
    name: str,
    found: Sequence[Item],
    limit: int,
    render: Callable[[Item], Data],
    key: Callable[[Item], int],
    shown: Callable[[Item], bool],
) -> Data:
    """A page of `found`, which holds one more than `limit` where there are more. What is not `shown` (the caller may
    not see it) is left out, so that a page may have fewer."""
    page, more = found[:limit], len(found) > limit
    result: Data = {"has_more": more}
    rendered = [render(item) for item in page if shown(item)]
    if rendered:
        result[name] = rendered
    if more:
        result["next_page_token"] = str(key(page[-1]))
    return result


def page_tasks(holder: Data, answer: Data, data: Mapping[str, Any], *names: str) -> None:
    """Keep a hundred of each of the lists `names` of `holder`; `answer` tells how to get the next ones."""
    first, size = page_token(data) or 0, MAX_TASKS_BEFORE_2_2
    for name in names:
        entries = holder.get(name, [])
        if len(entries) > size:
            holder[name] = entries[first : first + size]
            if first + size < len(entries):
                answer["next_page_token"] = str(first + size)
