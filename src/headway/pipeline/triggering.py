"""From a webhook or a look at a remote to a run, in one transaction: a push is never lost, and never run twice."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from headway.core.errors import HeadwayError
from headway.pipeline import hooks
from headway.pipeline.database import now_ms, storable
from headway.pipeline.model import App, Delivery, Provider, Run, Trigger
from headway.pipeline.service import PipelineService, wanted_branch
from headway.pipeline.tables import apps, deliveries, runs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a sender is told: an HTTP status, a line, the run where one was set off."""

    status: int
    message: str
    run: int | None = None


class Triggers:
    """Takes what providers send and what polling finds. `key` is the server's own."""

    def __init__(self, service: PipelineService, key: bytes) -> None:
        self._service, self._key = service, key

    def secret(self, app: App) -> str:
        """The secret that the provider signs an application's webhooks with."""
        return hooks.secret_of(self._key, app)

    def receive(self, provider: Provider, name: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """A webhook for application `name`. Nothing of the body is read before its signature was found good; an
        unknown application and a wrong signature look the same to the sender. Raise HeadwayError PIPELINE_DATABASE."""
        try:
            app: App | None = self._service.app(name)
        except HeadwayError as error:
            if error.code != "APP_UNKNOWN":
                raise
            app = None
        secret = self.secret(app) if app is not None else hooks.secret_of(self._key, App(name, ""))
        if not hooks.genuine(provider, secret, headers, body) or app is None:
            logger.warning("a webhook of %s for %.80r was refused: its signature is wrong", provider, name)
            return Answer(401, "the signature is missing or wrong")
        found = hooks.envelope(provider, headers, body)
        if found is None:
            return self._refused(app, f"the headers are not those of a {provider} webhook")
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            return self._refused(app, "the body is not JSON; choose the content type application/json")
        if not isinstance(data, dict):
            return self._refused(app, "the body is not a JSON object")
        told = hooks.read(provider, found.event, data)
        if not isinstance(told, hooks.Nothing) and not hooks.about(app, provider, data):
            told = hooks.Nothing(f"it is about another repository than the one of {app.name}")
        return self._take(app, found, told)

    @staticmethod
    def _refused(app: App, why: str) -> Answer:
        logger.warning("a webhook for %s was refused: %s", app.name, why)
        return Answer(400, why)

    def _take(self, app: App, found: hooks.Envelope, told: hooks.Told) -> Answer:
        values, why = self._values(app, told)

        def work(connection: Connection) -> tuple[int | None, str]:
            query = select(deliveries.c.run).where(
                deliveries.c.app == app.name,
                deliveries.c.provider == found.provider,
                deliveries.c.delivery == found.delivery,
            )
            if connection.execute(query).first() is not None:
                raise _Replayed
            run, outcome = (None, storable(why)) if values is None else self._add(connection, values)
            delivery = Delivery(found.provider, found.delivery, app.name, found.event, now_ms(), outcome, run)
            self._service.records.received(connection, delivery)
            return run, outcome

        try:
            run_id, outcome = self._service.database.run(work)
        except (_Replayed, IntegrityError):
            logger.warning("a webhook for %s came again (delivery %s); nothing is done twice", app.name, found.delivery)
            return Answer(200, "this delivery came before; nothing is done twice")
        if run_id is None:
            return Answer(200, outcome)
        self._service.set_off(app, self._service.run(run_id))
        return Answer(202, outcome, run_id)

    def _values(self, app: App, told: hooks.Told) -> tuple[dict[str, Any] | None, str]:
        match told:
            case hooks.Nothing(why):
                return None, why
            case hooks.Push(branch, commit, message, author, by):
                if not wanted_branch(app, branch):
                    return None, f"{app.name} is not delivered from branch {branch}"
                return self._line(app, branch, commit, "push", by, message, author), ""
            case hooks.PullRequest(number, branch, commit, title, by, fork):
                if app.pull_requests == "off":
                    return None, f"{app.name} does not look at pull requests"
                if fork and app.pull_requests != "all":
                    return None, f"pull request {number} comes from a fork, and {app.name} runs none of those"
                values = self._line(app, branch, commit, "pull_request", by, title, by)
                return {**values, "kind": "pull_request", "pull_request": number, "trusted": not fork}, ""

    @staticmethod
    def _line(
        app: App, branch: str, commit: str, trigger: Trigger, by: str, message: str, author: str
    ) -> dict[str, Any]:
        return {
            "app": app.name,
            "kind": "line",
            "commit": commit,
            "branch": storable(branch),
            "message": storable(message),
            "author": storable(author),
            "trigger": trigger,
            "triggered_by": storable(by),
        }

    def _add(self, connection: Connection, values: Mapping[str, Any]) -> tuple[int, str]:
        """A new run; the one there is where the branch's newest run is of this very commit (polling saw it first)."""
        # The application's row is the lock: a webhook and polling, or two servers, may see one push at once.
        connection.execute(update(apps).where(apps.c.name == values["app"]).values(name=values["app"]))
        query = (
            select(runs.c.id, runs.c.commit)
            .where(
                runs.c.app == values["app"],
                runs.c.branch == values["branch"],
                runs.c.kind == values["kind"],
                runs.c.pull_request == values.get("pull_request"),
            )
            .order_by(runs.c.id.desc())
            .limit(1)
        )
        newest = connection.execute(query).first()
        if newest is not None and newest.commit == values["commit"]:
            return int(newest.id), f"run {newest.id} is of this commit already"
        run = self._service.runs.add(connection, values)
        return run, f"run {run}"

    def found(self, app: App, branch: str, commit: str) -> Run | None:
        """Polling saw a branch's head. None where its newest run is of that commit."""
        values = self._line(app, branch, commit, "poll", "polling", "", "")

        def work(connection: Connection) -> int | None:
            run, outcome = self._add(connection, values)
            return run if outcome == f"run {run}" else None

        run_id = self._service.database.run(work)
        return None if run_id is None else self._service.set_off(app, self._service.run(run_id))


class _Replayed(Exception):
    pass
