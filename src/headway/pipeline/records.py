"""Approvals, deployments, webhook deliveries and notifications, in the database."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.core.errors import HeadwayError
from headway.core.plan import Plan
from headway.core.rendering import as_text
from headway.pipeline.database import Database, now_ms
from headway.pipeline.events import Events
from headway.pipeline.model import (
    Approval,
    ApprovalState,
    Delivery,
    DeploymentRecord,
    Notification,
    Run,
)
from headway.pipeline.tables import approvals, deliveries, deployments, notifications


class Records:
    """The tables of what people decided and what was told."""

    def __init__(self, database: Database, events: Events) -> None:
        self._db, self._events = database, events

    # --- approvals

    def ask(self, run: Run, environment: str, plan: Plan) -> Approval:
        """Ask for an approval of `plan`; the one that waits already where it is for the same digest. One that waits
        for another digest is outdated by this."""

        def work(connection: Connection) -> int:
            mine = (approvals.c.run == run.id) & (approvals.c.environment == environment)
            waiting = mine & (approvals.c.state == "pending")
            same = connection.execute(select(approvals.c.id).where(waiting, approvals.c.digest == plan.digest)).scalar()
            if same is not None:
                return int(same)
            old = mine & approvals.c.state.in_(("pending", "approved"))
            connection.execute(update(approvals).where(old).values(state="outdated", decided_ms=now_ms()))
            values = {
                "run": run.id,
                "app": run.app,
                "environment": environment,
                "version": plan.version or "",
                "digest": plan.digest,
                "plan": plan.to_json(),
                "text": as_text(plan),
                "state": "pending",
                "asked_ms": now_ms(),
                "decided_by": "",
                "comment": "",
            }
            made = connection.execute(insert(approvals).values(values))
            self._events.write(
                connection, run.id, run.app, "approval", {"environment": environment, "state": "pending"}
            )
            return int(made.inserted_primary_key[0])  # type: ignore[index]

        found = self._db.run(work)
        self._events.told()
        return self.approval(found)

    def approval(self, id_: int) -> Approval:
        """One of them."""
        row = self._db.run(lambda c: c.execute(select(approvals).where(approvals.c.id == id_)).mappings().one())
        return Approval(**row)

    def approvals(self, run_id: int | None = None, *, state: ApprovalState | None = None) -> list[Approval]:
        """Approvals, the newest first."""
        query = select(approvals).order_by(approvals.c.id.desc())
        if run_id is not None:
            query = query.where(approvals.c.run == run_id)
        if state is not None:
            query = query.where(approvals.c.state == state)
        return [Approval(**row) for row in self._db.run(lambda c: c.execute(query).mappings().all())]

    def decide(self, run: Run, digest: str, state: ApprovalState, by: str, comment: str) -> Approval:
        """Approve or reject the plan of that digest. Raise HeadwayError APPROVAL_NOT_ASKED, APPROVAL_OUTDATED."""

        def work(connection: Connection) -> int:
            query = select(approvals).where(approvals.c.run == run.id).order_by(approvals.c.id.desc())
            rows = connection.execute(query).mappings().all()
            waiting = next((row for row in rows if row["state"] == "pending"), None)
            if waiting is None:
                raise HeadwayError("APPROVAL_NOT_ASKED", run=run.id)
            if waiting["digest"] != digest:
                raise HeadwayError("APPROVAL_OUTDATED", run=run.id, given=digest[:12], digest=waiting["digest"][:12])
            changed = connection.execute(
                update(approvals)
                .where(approvals.c.id == waiting["id"], approvals.c.state == "pending")
                .values(state=state, decided_ms=now_ms(), decided_by=by, comment=comment)
            ).rowcount
            if not changed:
                raise HeadwayError("APPROVAL_NOT_ASKED", run=run.id)
            told = {"environment": waiting["environment"], "state": state, "by": by}
            self._events.write(connection, run.id, run.app, "approval", told)
            return int(waiting["id"])

        found = self._db.run(work)
        self._events.told()
        return self.approval(found)

    def approved(self, run_id: int, environment: str) -> Approval | None:
        """The approval that holds for a run in an environment."""
        found = [a for a in self.approvals(run_id, state="approved") if a.environment == environment]
        return found[0] if found else None

    # --- deployments

    def deployed(self, run: Run, environment: str, values: Mapping[str, Any]) -> None:
        """Record a deployment for the report, once."""
        row = {"app": run.app, "run": run.id, "environment": environment, "attempt": run.attempt, **values}
        try:
            self._db.run(lambda c: c.execute(insert(deployments).values(row)))
        except IntegrityError:
            return  # its step was taken up again

    def deployments(
        self, app: str | None = None, environment: str | None = None, *, since_ms: int = 0
    ) -> list[DeploymentRecord]:
        """Deployments, the oldest first."""
        query = select(deployments).where(deployments.c.ended_ms >= since_ms).order_by(deployments.c.id)
        if app is not None:
            query = query.where(deployments.c.app == app)
        if environment is not None:
            query = query.where(deployments.c.environment == environment)
        rows = self._db.run(lambda c: c.execute(query).mappings().all())
        return [DeploymentRecord(**{k: v for k, v in row.items() if k != "attempt"}) for row in rows]

    # --- webhook deliveries

    def received(self, connection: Connection, delivery: Delivery) -> None:
        """Keep a delivery within the caller's transaction. Raise IntegrityError where it came before."""
        connection.execute(
            insert(deliveries).values(
                provider=delivery.provider,
                delivery=delivery.delivery,
                app=delivery.app,
                event=delivery.event,
                received_ms=delivery.received_ms,
                outcome=delivery.outcome,
                run=delivery.run,
            )
        )

    def deliveries(self, app: str | None = None, limit: int = 100) -> list[Delivery]:
        """Webhooks that came, the newest first."""
        query = select(deliveries).order_by(deliveries.c.received_ms.desc()).limit(limit)
        if app is not None:
            query = query.where(deliveries.c.app == app)
        return [Delivery(**row) for row in self._db.run(lambda c: c.execute(query).mappings().all())]

    # --- notifications

    def notify(self, run_id: int, event: str, channel: str, text: str, dedupe: str) -> int | None:
        """Put a message in the outbox; None where the same news is there already."""
        row = {
            "run": run_id,
            "event": event,
            "channel": channel,
            "text": text,
            "created_ms": now_ms(),
            "problem": "",
            "dedupe": dedupe,
        }
        try:
            made = self._db.run(lambda c: c.execute(insert(notifications).values(row)).inserted_primary_key)
        except IntegrityError:
            return None
        return int(made[0])  # type: ignore[index]

    def unsent(self, since_ms: int) -> list[Notification]:
        """Messages that nobody has taken yet, the oldest first."""
        query = (
            select(notifications)
            .where(notifications.c.sent_ms.is_(None), notifications.c.created_ms > since_ms)
            .order_by(notifications.c.id)
        )
        rows = self._db.run(lambda c: c.execute(query).mappings().all())
        return [Notification(**{k: v for k, v in row.items() if k != "dedupe"}) for row in rows]

    def notified(self, id_: int, problem: str) -> None:
        """A message was sent, or could not be."""
        values: dict[str, Any] = {"problem": problem}
        if not problem:
            values["sent_ms"] = now_ms()
        self._db.run(lambda c: c.execute(update(notifications).where(notifications.c.id == id_).values(values)))

    def notifications(self, run_id: int | None = None, limit: int = 100) -> list[Notification]:
        """Messages, the newest first."""
        query = select(notifications).order_by(notifications.c.id.desc()).limit(limit)
        if run_id is not None:
            query = query.where(notifications.c.run == run_id)
        rows = self._db.run(lambda c: c.execute(query).mappings().all())
        return [Notification(**{k: v for k, v in row.items() if k != "dedupe"}) for row in rows]
