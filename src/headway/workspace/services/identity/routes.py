"""SCIM 2.0 over HTTP: who is there, and who the caller is."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from headway.workspace.errors import invalid
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.services.identity import filters
from headway.workspace.services.identity.model import LIST, RESOURCES, Record, no_such, record
from headway.workspace.services.identity.patching import patched
from headway.workspace.services.identity.store import IdentityStore

ORGANISATION = "1"
ACCOUNT = "headway"
MOST_PER_PAGE = 10_000
_BASE = "/preview/scim/v2"


class IdentityRoutes:
    """The routes. Everybody may read; only administrators change."""

    def __init__(self, store: IdentityStore) -> None:
        self._store = store

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        found = [Endpoint("GET", f"{_BASE}/Me", self.me)]
        for kind, name in RESOURCES.items():
            rooms = _Kind(self._store, kind)
            many, one = f"{_BASE}/{name}", f"{_BASE}/{name}/{{id}}"
            found += [
                Endpoint("GET", many, rooms.list),
                Endpoint("POST", many, rooms.create, admin=True),
                Endpoint("GET", one, rooms.get),
                Endpoint("PUT", one, rooms.replace, admin=True),
                Endpoint("PATCH", one, rooms.patch, admin=True),
                Endpoint("DELETE", one, rooms.delete, admin=True),
            ]
        return found

    def me(self, call: Call) -> JSONResponse:
        """The caller."""
        found = self._store.get(call.principal.kind, call.principal.principal_id)
        body = found.to_json(self._store.groups(found.principal_id), [])
        body.setdefault("userName", found.name)  # what clients read, also of a service principal
        return JSONResponse(body, headers={"X-Databricks-Org-Id": ORGANISATION})


class _Kind:
    """The six routes of one kind of principal."""

    def __init__(self, store: IdentityStore, kind: str) -> None:
        self._store, self._kind = store, kind

    def _json(self, found: Record) -> Data:
        members = self._store.members(found.principal_id) if self._kind == "group" else []
        return found.to_json(self._store.groups(found.principal_id), members)

    def _found(self, call: Call) -> Record:
        given = call.path["id"]
        if not given.isdecimal() or len(given) > 18:
            raise no_such(self._kind, given)
        return self._store.get(self._kind, int(given))

    def list(self, call: Call) -> Data:
        """Those that a filter lets through, a page at a time (`startIndex` counts from 1)."""
        start, count = number(call.data, "startIndex", 1), number(call.data, "count", MOST_PER_PAGE)
        start, count = max(1, start), max(0, min(count, MOST_PER_PAGE))
        found = self._store.all(self._kind)
        given = text(call.data, "filter", "")
        if given.strip():
            wanted = filters.parse(given)
            resources = [resource for resource in map(self._json, found) if wanted(resource)]
        else:
            # only what the page shows is looked up in full
            total = len(found)
            resources = [self._json(one) for one in found[start - 1 : start - 1 + count]]
            return _listed(_sorted(resources, call.data), total, start)
        page = _sorted(resources, call.data)[start - 1 : start - 1 + count]
        return _listed(page, len(resources), start)

    def create(self, call: Call) -> Response:
        """A new one."""
        principal_id = self._store.add(record(self._kind, call.data))
        return JSONResponse(self._json(self._store.get(self._kind, principal_id)), status_code=201)

    def get(self, call: Call) -> Data:
        """One."""
        return self._json(self._found(call))

    def replace(self, call: Call) -> Data:
        """Put what is sent in its place."""
        before = self._found(call)
        self._store.replace(record(self._kind, call.data, before))
        return self._json(self._found(call))

    def patch(self, call: Call) -> Data:
        """Change some of it."""
        before = self._found(call)
        operations = next((value for name, value in call.data.items() if name.lower() == "operations"), None)
        self._store.replace(record(self._kind, patched(self._json(before), operations), before))
        return self._json(self._found(call))

    def delete(self, call: Call) -> Response:
        """Remove it."""
        found = self._found(call)
        if found.principal_id == call.principal.principal_id:
            raise invalid("Nobody can remove themselves")
        self._store.remove(self._kind, found.principal_id)
        return Response(status_code=204)


def _sorted(resources: list[Data], data: Data) -> list[Data]:
    by = text(data, "sortBy", "")
    if not by:
        return resources

    def place(resource: Data) -> str:
        return " ".join(str(value).casefold() for value in filters.values(resource, by))

    return sorted(resources, key=place, reverse=text(data, "sortOrder", "ascending").lower().startswith("desc"))


def _listed(page: list[Any], total: int, start: int) -> Data:
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(page),
        "Resources": page,
    }
