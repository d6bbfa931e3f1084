"""Command execution over HTTP: `/api/1.2/contexts/…` and `/api/1.2/commands/…`."""

from collections.abc import Sequence

from headway.workspace.http import Call, Data, Endpoint, text
from headway.workspace.services.commands.model import language, required
from headway.workspace.services.commands.store import Context, Contexts


class CommandRoutes:
    """The routes."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        served = (
            ("POST", "/contexts/create", self.create),
            ("GET", "/contexts/status", self.status),
            ("POST", "/contexts/destroy", self.destroy),
            ("POST", "/commands/execute", self.execute),
            ("GET", "/commands/status", self.command_status),
            ("POST", "/commands/cancel", self.cancel),
        )
        return [Endpoint(method, path, handler, ("1.2",)) for method, path, handler in served]

    def create(self, call: Call) -> Data:
        """A context on a cluster that runs."""
        cluster = required(text(call.data, "clusterId", ""), "clusterId")
        wanted = language(text(call.data, "language", "python"))
        return {"id": self._contexts.create(cluster, wanted, call.user).context_id}

    def status(self, call: Call) -> Data:
        """Pending, Running or Error."""
        context = self._context(call)
        return {"id": context.context_id, "status": context.status}

    def destroy(self, call: Call) -> Data:
        """End one."""
        context = self._context(call)
        self._contexts.destroy(context)
        return {"id": context.context_id}

    def execute(self, call: Call) -> Data:
        """Queue a command."""
        context = self._context(call)
        wanted = language(text(call.data, "language", context.language))
        return {"id": context.execute(wanted, required(text(call.data, "command", ""), "command")).command_id}

    def command_status(self, call: Call) -> Data:
        """How far a command is, and what it gave."""
        return self._context(call).command(required(text(call.data, "commandId", ""), "commandId")).to_json()

    def cancel(self, call: Call) -> Data:
        """End a command."""
        context = self._context(call)
        command = context.command(required(text(call.data, "commandId", ""), "commandId"))
        context.cancel(command)
        return {"id": command.command_id}

    def _context(self, call: Call) -> Context:
        cluster = required(text(call.data, "clusterId", ""), "clusterId")
        context = required(text(call.data, "contextId", ""), "contextId")
        return self._contexts.get(cluster, context, call.user, call.principal.is_admin)
