"""The contexts that live now. They are lost when their cluster's driver is, and when the workspace restarts."""

import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from headway.workspace.directory import ClusterDirectory
from headway.workspace.errors import ApiError, invalid
from headway.workspace.runtime.tasks import ApiAccess, CommandOutcome, ContextFailed, ContextLanguage, DriverFailed
from headway.workspace.services.commands.model import Command, status

logger = logging.getLogger(__name__)
KEPT_COMMANDS = 100
MOST_CONTEXTS = 150  # of a cluster, as on Databricks
GONE = "The cluster was restarted or has ended: the context is gone"


class Access(Protocol):
    """What lets the code of a context call the workspace."""

    def begin(self, user: str, context_id: str) -> ApiAccess:
        """A token of the user for a context."""

    def end(self, context_id: str) -> None:
        """Take it back."""


class Context:
    """A context of a cluster: its commands run one after the other, in a thread of its own."""

    def __init__(
        self, clusters: ClusterDirectory, access: Access, cluster_id: str, language: ContextLanguage, user: str
    ) -> None:
        self.context_id = uuid.uuid4().hex[:20]
        self.cluster_id, self.language, self.user = cluster_id, language, user
        self.status, self.problem = "Pending", ""
        self.driver: Any = None
        self._clusters, self._access = clusters, access
        self._inner = ""
        self._closed = False
        self._commands: OrderedDict[str, Command] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"context-{self.context_id}")
        self._thread.submit(self._open)

    def _open(self) -> None:
        told: Mapping[str, str] = {"cluster_id": self.cluster_id, "user": self.user}
        try:
            with self._clusters.driver(self.cluster_id, start=False) as driver:
                inner = driver.create_context((), told, self._access.begin(self.user, self.context_id))
                with self._lock:
                    if not self._closed:
                        self.driver, self._inner, self.status = driver, inner, "Running"
                        return
                driver.destroy_context(inner)
        except (ApiError, ContextFailed, DriverFailed) as failed:
            self.lose(str(failed))
        except Exception as failed:
            logger.exception("context %s", self.context_id)
            self.lose(f"internal error: {type(failed).__name__}")

    def lose(self, why: str) -> None:
        """It is gone: its commands fail from now on."""
        self.status, self.problem = "Error", why
        self._access.end(self.context_id)

    def execute(self, language: ContextLanguage, text: str) -> Command:
        """Queue a command. Raise ApiError where the context is gone."""
        if self.status == "Error":
            raise invalid(f"ContextNotFoundException: Context {self.context_id} is gone: {self.problem}")
        command = Command(uuid.uuid4().hex, language, text)
        with self._lock:
            self._commands[command.command_id] = command
            ended = [key for key, one in self._commands.items() if one.outcome is not None]
            for key in ended[: max(0, len(self._commands) - KEPT_COMMANDS)]:
                del self._commands[key]
            if not self._closed:
                self._thread.submit(self._run, command)
        return command

    def _run(self, command: Command) -> None:
        with self._lock:
            if command.status != "Queued":
                return
            command.status = "Running"
        try:
            outcome = self._outcome(command)
        except (ApiError, DriverFailed) as failed:
            outcome = CommandOutcome("ERROR", summary=str(failed), lost=True)
        except Exception as failed:
            logger.exception("command %s", command.command_id)
            outcome = CommandOutcome("ERROR", summary=f"internal error: {type(failed).__name__}", lost=True)
        if outcome.lost and self.status != "Error":
            self.lose(outcome.summary)
        with self._lock:
            command.outcome, command.status = outcome, status(outcome)

    def _outcome(self, command: Command) -> CommandOutcome:
        if self.status != "Running":
            return CommandOutcome("ERROR", summary=self.problem or GONE, lost=True)
        with self._clusters.driver(self.cluster_id, start=False) as driver:
            if driver is not self.driver:
                return CommandOutcome("ERROR", summary=GONE, lost=True)
            outcome: CommandOutcome = driver.execute(self._inner, command.language, command.text)
            return outcome

    def command(self, command_id: str) -> Command:
        """Raise ApiError."""
        with self._lock:
            found = self._commands.get(command_id)
        if found is None:
            raise invalid(f"CommandNotFoundException: Command {command_id[:50]} not found")
        return found

    def cancel(self, command: Command) -> None:
        """End a command, or take it from the queue; nothing happens to one that has ended."""
        with self._lock:
            if command.status == "Queued":
                command.status, command.outcome = "Cancelled", CommandOutcome("CANCELED")
                return
            if command.status != "Running":
                return
            command.status = "Cancelling"
        try:
            self.driver.cancel_command(self._inner)
        except DriverFailed as failed:
            logger.warning("context %s: %s", self.context_id, failed)

    def close(self) -> None:
        """End it with everything it runs."""
        with self._lock:
            self._closed = True
            driver = self.driver
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._access.end(self.context_id)
        if driver is not None and driver.alive:
            try:
                driver.destroy_context(self._inner)
            except DriverFailed as failed:
                logger.warning("context %s: %s", self.context_id, failed)


class Contexts:
    """Contexts by id."""

    def __init__(self, clusters: ClusterDirectory, access: Access) -> None:
        self._clusters, self._access = clusters, access
        self._known: dict[str, Context] = {}
        self._lock = threading.Lock()

    def create(self, cluster_id: str, language: ContextLanguage, user: str) -> Context:
        """Raise ApiError where the cluster does not exist or does not run, or has as many contexts as it may."""
        state = self._clusters.state(cluster_id)
        if state not in ("RUNNING", "PENDING", "RESTARTING", "RESIZING"):
            raise ApiError("INVALID_STATE", f"Cluster {cluster_id} is in unexpected state {state.capitalize()}.")
        with self._lock:
            here = [one for one in self._known.values() if one.cluster_id == cluster_id]
            for one in [one for one in here if one.status == "Error"][:-MOST_CONTEXTS]:
                del self._known[one.context_id]
            if sum(one.status != "Error" for one in here) >= MOST_CONTEXTS:
                raise ApiError("RESOURCE_EXHAUSTED", f"Cluster {cluster_id} has {MOST_CONTEXTS} contexts", 429)
            context = Context(self._clusters, self._access, cluster_id, language, user)
            self._known[context.context_id] = context
        return context

    def get(self, cluster_id: str, context_id: str, user: str, is_admin: bool) -> Context:
        """Raise ApiError. A context is its creator's own."""
        with self._lock:
            found = self._known.get(context_id)
        if found is None or found.cluster_id != cluster_id:
            raise invalid(f"ContextNotFoundException: Context {context_id[:50]} not found")
        if found.user != user and not is_admin:
            raise ApiError("PERMISSION_DENIED", f"{user} does not own the context {context_id}", 403)
        return found

    def destroy(self, context: Context) -> None:
        """End one."""
        with self._lock:
            self._known.pop(context.context_id, None)
        context.close()

    def driver_taken_over(self, cluster_id: str, driver: Any) -> None:
        """A driver that an earlier process left may hold contexts that nobody knows the ids of any more: end them."""
        for log in (driver.folder / "logs").glob("context-*"):
            name = log.name.removeprefix("context-")
            if name.isalnum():
                driver.destroy_context(name)

    def driver_ended(self, cluster_id: str, driver: Any) -> None:
        """The contexts on it are gone."""
        with self._lock:
            found = [one for one in self._known.values() if one.cluster_id == cluster_id and one.driver is driver]
        for context in found:
            context.lose(GONE)

    def close(self) -> None:
        """End all."""
        with self._lock:
            found = list(self._known.values())
            self._known.clear()
        for context in found:
            context.close()
