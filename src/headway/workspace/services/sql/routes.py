"""SQL over HTTP: `/api/2.0/sql/warehouses` and `/api/2.0/sql/statements`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from starlette.responses import Response

from headway.workspace.errors import ApiError, invalid
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.services.sql import model
from headway.workspace.services.sql.model import Warehouse
from headway.workspace.services.sql.statements import LINK_SECONDS, Statement, Statements
from headway.workspace.services.sql.store import WarehouseStore


class Machines(Protocol):
    """The clusters behind warehouses. Methods may raise ApiError."""

    def make(self, name: str, user: str, size: str, idle_minutes: int) -> str:
        """A new cluster of that node type, which starts; return its id."""

    def change(self, cluster_id: str, user: str, size: str, idle_minutes: int) -> None:
        """Another size or idle time; a cluster that runs is restarted."""

    def start(self, cluster_id: str, user: str) -> None:
        """Start it, unless it runs."""

    def stop(self, cluster_id: str, user: str) -> None:
        """End it, unless it has ended."""

    def remove(self, cluster_id: str, user: str) -> None:
        """Forget it."""

    def state(self, cluster_id: str) -> str:
        """Its state."""


class SqlRoutes:
    """The routes."""

    def __init__(self, store: WarehouseStore, statements: Statements, machines: Machines) -> None:
        self._store, self._statements, self._machines = store, statements, machines

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        served: list[tuple[str, str, Callable[[Call], Data]]] = [
            ("POST", "warehouses", self.create),
            ("GET", "warehouses", self.list),
            ("GET", "warehouses/{id}", self.get),
            ("POST", "warehouses/{id}/edit", self.edit),
            ("POST", "warehouses/{id}/start", self.start),
            ("POST", "warehouses/{id}/stop", self.stop),
            ("DELETE", "warehouses/{id}", self.delete),
            ("GET", "statements/{statement_id}", self.statement),
            ("GET", "statements/{statement_id}/result/chunks/{chunk_index}", self.chunk),
            ("POST", "statements/{statement_id}/cancel", self.cancel),
        ]
        return [
            *(Endpoint(method, f"/sql/{path}", handler) for method, path, handler in served),
            Endpoint("POST", "/sql/statements", self.execute, waits=True),
            Endpoint("POST", "/sql/statements/", self.execute, waits=True),
            Endpoint("GET", "/sql/statement-results/{key}", self.linked, public=True),
        ]

    # warehouses

    def create(self, call: Call) -> Data:
        """A new warehouse, which starts."""
        name, settings = model.named(call.data), model.warehouse_settings(call.data)
        self._store.free(name)
        cluster = self._machines.make(f"warehouse-{name}", call.user, *_machine(settings))
        try:
            return {"id": self._store.add(name, call.user, cluster, settings).warehouse_id}
        except ApiError:
            self._machines.remove(cluster, call.user)
            raise

    def list(self, call: Call) -> Data:
        """All."""
        return {"warehouses": [self._json(found, call) for found in self._store.list()]}

    def get(self, call: Call) -> Data:
        """One."""
        return self._json(self._named(call), call)

    def _json(self, found: Warehouse, call: Call) -> Data:
        return found.to_json(self._machines.state(found.cluster_id), call.base_url)

    def edit(self, call: Call) -> Data:
        """Other settings; a running warehouse whose size or idle time changes is restarted."""
        found = self._named(call)
        name = model.named(call.data, found.name)
        settings: Mapping[str, Any] = {**found.settings, **model.warehouse_settings(call.data)}
        if name != found.name:
            self._store.free(name)
        if _machine(settings) != _machine(found.settings):
            self._machines.change(found.cluster_id, call.user, *_machine(settings))
        self._store.change(found.warehouse_id, name, settings)
        return {}

    def start(self, call: Call) -> Data:
        """Start one that is stopped."""
        self._machines.start(self._named(call).cluster_id, call.user)
        return {}

    def stop(self, call: Call) -> Data:
        """Stop one."""
        self._machines.stop(self._named(call).cluster_id, call.user)
        return {}

    def delete(self, call: Call) -> Data:
        """Remove one."""
        found = self._named(call)
        self._machines.remove(found.cluster_id, call.user)
        self._store.remove(found.warehouse_id)
        return {}

    def _named(self, call: Call) -> Warehouse:
        return self._store.get(call.path["id"])

    # statements

    def execute(self, call: Call) -> Data:
        """Begin a statement, and wait for its end as long as asked."""
        asked = model.asked(call.data)
        warehouse = self._store.get(text(call.data, "warehouse_id"))
        statement = self._statements.submit(warehouse.cluster_id, asked, call.user)
        if not statement.ended.wait(asked.seconds) and asked.cancel:
            self._statements.cancel(statement)
        return self._told(statement, call)

    def statement(self, call: Call) -> Data:
        """How far it is, and what it gave."""
        return self._told(self._asked(call), call)

    def chunk(self, call: Call) -> Data:
        """A chunk of a result."""
        statement = self._asked(call)
        return self._chunk(statement, number(call.data, "chunk_index"), call)

    def cancel(self, call: Call) -> Data:
        """End one."""
        self._statements.cancel(self._asked(call))
        return {}

    def linked(self, call: Call) -> Response:
        """The chunk that a link leads to."""
        chunk, form = self._statements.linked(call.path["key"])
        kind = "text/csv; charset=utf-8" if form == "CSV" else "application/json"
        return Response(chunk.data, media_type=kind, headers={"Cache-Control": "no-store"})

    def _asked(self, call: Call) -> Statement:
        return self._statements.get(call.path["statement_id"], call.user, call.principal.is_admin)

    def _told(self, statement: Statement, call: Call) -> Data:
        status: Data = {"state": statement.state}
        if statement.state == "FAILED":
            status["error"] = {"error_code": statement.error_code, "message": statement.error}
            if statement.sql_state:
                status["sql_state"] = statement.sql_state
        data: Data = {"statement_id": statement.statement_id, "status": status}
        if statement.result is not None:
            data |= {"manifest": statement.result.manifest(), "result": self._chunk(statement, 0, call)}
        return data

    def _chunk(self, statement: Statement, index: int, call: Call) -> Data:
        held = statement.result
        try:
            if held is None:
                raise IndexError
            if not held.external:
                return held.chunk(index, statement.statement_id)
            expires = datetime.now(UTC) + timedelta(seconds=LINK_SECONDS)
            held.chunks[index]
            url = f"{call.base_url}/api/2.0/sql/statement-results/{self._statements.link(statement, index)}"
            return held.links(index, statement.statement_id, url, expires.isoformat(timespec="seconds"))
        except IndexError:
            raise invalid(f"The statement {statement.statement_id} has no result chunk {index}.") from None


def _machine(settings: Mapping[str, Any]) -> tuple[str, int]:
    """Node type and idle minutes."""
    known = {**model.DEFAULTS, **settings}
    return model.SIZES[known["cluster_size"]], int(known["auto_stop_mins"])
