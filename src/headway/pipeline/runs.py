"""Runs, their steps, tests and logs, in the database. Every change of state is a compare-and-set: who comes too late
changes nothing."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.core.errors import HeadwayError
from headway.core.events import StepName
from headway.pipeline.database import Database, now_ms
from headway.pipeline.events import Events
from headway.pipeline.model import ENDED, SUPERSEDABLE, LogPage, Run, RunState, Step, StepState, TestCase
from headway.pipeline.tables import approvals, log_chunks, runs, steps, tests

LIMIT = 100
# A run without its memory, which may be large. What is asked many times a second is built once.
_COLUMNS = [column for column in runs.c if column.name != "memory"]
_ONE = select(*_COLUMNS).where(runs.c.id == bindparam("run"))
_CANCELLED = select(runs.c.cancel_requested).where(runs.c.id == bindparam("run"))


def run_of(row: RowMapping) -> Run:
    """A row as a value."""
    return Run(**{str(key): value for key, value in row.items()})


class RunStore:
    """The tables of runs."""

    def __init__(self, database: Database, events: Events) -> None:
        self._db, self._events = database, events

    # --- runs

    def add(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """A new run in `waiting`, within the caller's transaction; the id."""
        defaults = {
            "author": "",
            "message": "",
            "reason": "",
            "error_code": "",
            "hint": "",
            "attempt": 1,
            "trusted": True,
            "cancel_requested": "",
            "worker": "",
            "environment": "",
            "to_version": "",
            "memory": {},
            "state": "waiting",
            "created_ms": now_ms(),
        }
        made = connection.execute(insert(runs).values(defaults | dict(values)))
        run_id = int(made.inserted_primary_key[0])  # type: ignore[index]
        self._events.write(connection, run_id, values["app"], "run", {"state": "waiting"})
        return run_id

    def get(self, run_id: int) -> Run:
        """Raise HeadwayError RUN_UNKNOWN."""
        row = self._db.run(lambda c: c.execute(_ONE, {"run": run_id}).mappings().first())
        if row is None:
            raise HeadwayError("RUN_UNKNOWN", run=run_id)
        return run_of(row)

    def cancelled_by(self, run_id: int) -> str:
        """Who asked for the run's end; empty where nobody did."""
        return str(self._db.run(lambda c: c.execute(_CANCELLED, {"run": run_id}).scalar()) or "")

    def newest(
        self,
        app: str | None = None,
        *,
        states: Collection[RunState] | None = None,
        branch: str | None = None,
        before: int | None = None,
        limit: int = LIMIT,
    ) -> list[Run]:
        """Runs, the newest first. `before` is the id to go on from."""
        query = select(*_COLUMNS).order_by(runs.c.id.desc()).limit(limit)
        if app is not None:
            query = query.where(runs.c.app == app)
        if states is not None:
            query = query.where(runs.c.state.in_(states))
        if branch is not None:
            query = query.where(runs.c.branch == branch)
        if before is not None:
            query = query.where(runs.c.id < before)
        return [run_of(row) for row in self._db.run(lambda c: c.execute(query).mappings().all())]

    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        query = select(runs.c.state, func.count()).group_by(runs.c.state)
        return {str(state): int(count) for state, count in self._db.run(lambda c: c.execute(query).all())}

    def move(
        self,
        run_id: int,
        come_from: RunState | Collection[RunState],
        to: RunState,
        *,
        of_attempt: int | None = None,
        **values: Any,
    ) -> bool:
        """Bring a run from (one of) `come_from` to `to`; False where it is in none of them (by now), or is at another
        attempt. A run that ends waits for nobody: its open approvals end too."""
        states = (come_from,) if isinstance(come_from, str) else tuple(come_from)
        here = (runs.c.id == run_id) & runs.c.state.in_(states)
        if of_attempt is not None:
            here &= runs.c.attempt == of_attempt

        def work(connection: Connection) -> bool:
            done = connection.execute(
                update(runs).where(here).values(state=to, **({"ended_ms": now_ms()} if to in ENDED else {}), **values)
            ).rowcount
            if done and to in ENDED:
                left = (steps.c.run == run_id) & (steps.c.state == "running")
                ended = {"state": "cancelled", "detail": f"the run was {to} here"}
                connection.execute(update(steps).where(left).values(ended))
                asked = (approvals.c.run == run_id) & (approvals.c.state == "pending")
                connection.execute(update(approvals).where(asked).values(state="outdated", decided_ms=now_ms()))
            if done:
                app = connection.execute(select(runs.c.app).where(runs.c.id == run_id)).scalar_one()
                told = {key: value for key, value in values.items() if key in ("reason", "version", "superseded_by")}
                self._events.write(connection, run_id, app, "run", {"state": to, **told})
            return bool(done)

        moved = self._db.run(work)
        self._events.told()
        return moved

    def change(self, run_id: int, **values: Any) -> None:
        """Set fields that are not the state."""
        self._db.run(lambda c: c.execute(update(runs).where(runs.c.id == run_id).values(values)))

    def supersede(self, by: Run, states: Collection[RunState] = SUPERSEDABLE) -> list[Run]:
        """End the older runs of the same app and branch, or pull request, that wait in one of `states`; return them.
        One that somebody approved or retried was asked for by name, and keeps its place."""
        older = [
            run
            for run in self.newest(by.app, states=states, branch=by.branch, limit=1000)
            if run.id < by.id
            and (run.kind, run.pull_request) == (by.kind, by.pull_request)
            and (run.attempt == 1 or run.state == "awaiting_approval")
        ]
        reason = f"run {by.id} of the newer commit {by.commit[:12]} took its place"
        return [run for run in older if self.move(run.id, states, "superseded", superseded_by=by.id, reason=reason)]

    def memory(self, run_id: int) -> dict[str, Any]:
        """What the run's steps left for each other."""
        return dict(self._db.run(lambda c: c.execute(select(runs.c.memory).where(runs.c.id == run_id)).scalar_one()))

    def remember(self, run_id: int, key: str, value: Any, *, once: bool = False) -> Any:
        """Keep a JSON value; with `once` only where there is none. Return what is kept now."""

        def work(connection: Connection) -> Any:
            query = select(runs.c.memory).where(runs.c.id == run_id)
            memory = dict(connection.execute(query.with_for_update()).scalar_one())
            if once and key in memory:
                return memory[key]
            memory[key] = value
            connection.execute(update(runs).where(runs.c.id == run_id).values(memory=memory))
            return value

        return self._db.run(work)

    # --- steps

    def begin_step(self, run: Run, name: StepName, environment: str | None, what: str) -> int:
        """A step begins; its number. A step that a killed worker left running is ended first."""

        def work(connection: Connection) -> int:
            now = now_ms()
            left = (steps.c.run == run.id) & (steps.c.state == "running")
            for row in connection.execute(select(steps).where(left)).mappings().all():
                connection.execute(
                    update(steps)
                    .where(steps.c.run == run.id, steps.c.number == row["number"])
                    .values(state="failed", detail="its worker ended; it was taken up again")
                )
            last = connection.execute(select(func.max(steps.c.number)).where(steps.c.run == run.id)).scalar() or 0
            number = int(last) + 1
            connection.execute(
                insert(steps).values(
                    run=run.id,
                    number=number,
                    attempt=run.attempt,
                    name=name,
                    environment=environment,
                    what=what,
                    state="running",
                    started_ms=now,
                    detail="",
                    data={},
                )
            )
            told = {"step": number, "name": name, "environment": environment, "state": "running"}
            self._events.write(connection, run.id, run.app, "step", told)
            return number

        number = self._db.run(work)
        self._events.told()
        return number

    def end_step(
        self,
        run: Run,
        number: int,
        state: StepState,
        seconds: float | None,
        detail: str,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """A step ended."""
        values: dict[str, Any] = {"state": state, "seconds": seconds, "detail": detail}
        if data is not None:
            values["data"] = dict(data)

        def work(connection: Connection) -> None:
            connection.execute(update(steps).where(steps.c.run == run.id, steps.c.number == number).values(values))
            told = {"step": number, "state": state, "seconds": seconds, "detail": detail}
            self._events.write(connection, run.id, run.app, "step", told)

        self._db.run(work)
        self._events.told()

    def steps(self, run_id: int) -> list[Step]:
        """The run's steps, in order."""
        query = select(steps).where(steps.c.run == run_id).order_by(steps.c.number)
        return [Step(**row) for row in self._db.run(lambda c: c.execute(query).mappings().all())]

    # --- logs

    def append_log(self, run: Run, step: int, chunks: Sequence[tuple[int, str]]) -> None:
        """Add numbered pieces of whole lines to a step's log."""

        def work(connection: Connection) -> None:
            rows = [{"run": run.id, "step": step, "number": number, "text": text} for number, text in chunks]
            connection.execute(insert(log_chunks), rows)
            self._events.write(connection, run.id, run.app, "log", {"step": step, "next": chunks[-1][0] + 1})

        try:
            self._db.run(work)
        except IntegrityError:
            return  # the database went away after it had taken them
        self._events.told()

    def log(self, run_id: int, step: int, offset: int = 0, limit: int = 200) -> LogPage:
        """A step's log from `offset` on, which is 0 or a former page's `next`."""

        def work(connection: Connection) -> LogPage:
            state = connection.execute(
                select(steps.c.state).where(steps.c.run == run_id, steps.c.number == step)
            ).scalar()
            if state is None:
                raise HeadwayError("STEP_UNKNOWN", run=run_id, step=step)
            query = (
                select(log_chunks.c.number, log_chunks.c.text)
                .where(log_chunks.c.run == run_id, log_chunks.c.step == step, log_chunks.c.number >= offset)
                .order_by(log_chunks.c.number)
                .limit(limit)
            )
            rows = connection.execute(query).all()
            lines = tuple(line for _, text in rows for line in text.split("\n"))
            following = rows[-1][0] + 1 if rows else offset
            return LogPage(lines, following, state != "running" and len(rows) < limit)

        return self._db.run(work)

    def log_tail(self, run_id: int, step: int, chunks: int = 8) -> LogPage:
        """The newest pieces of a step's log. Raise HeadwayError STEP_UNKNOWN."""
        query = select(func.max(log_chunks.c.number)).where(log_chunks.c.run == run_id, log_chunks.c.step == step)
        last = self._db.run(lambda c: c.execute(query).scalar())
        return self.log(run_id, step, max(0, (last or 0) + 1 - chunks))

    def forget_logs(self, before_ms: int) -> int:
        """Drop the logs of runs that ended before; return how many pieces."""
        old = select(runs.c.id).where(runs.c.ended_ms < before_ms)
        return self._db.run(lambda c: c.execute(delete(log_chunks).where(log_chunks.c.run.in_(old))).rowcount)

    # --- tests

    def keep_tests(self, run_id: int, step: str, cases: Sequence[TestCase]) -> None:
        """The cases of one test step, in place of those that a former attempt left."""
        rows = [
            {
                "run": run_id,
                "step": case.step,
                "class_name": case.class_name,
                "name": case.name,
                "outcome": case.outcome,
                "seconds": case.seconds,
                "message": case.message,
                "text": case.text,
            }
            for case in cases
        ]

        def work(connection: Connection) -> None:
            connection.execute(tests.delete().where(tests.c.run == run_id, tests.c.step == step))
            if rows:
                connection.execute(insert(tests), rows)

        self._db.run(work)

    def tests(self, run_id: int) -> list[TestCase]:
        """The run's test cases; those that failed first."""
        query = select(tests).where(tests.c.run == run_id).order_by(tests.c.id)
        rows = self._db.run(lambda c: c.execute(query).mappings().all())
        cases = [TestCase(**{key: value for key, value in row.items() if key != "id"}) for row in rows]
        return sorted(cases, key=lambda case: case.outcome != "failed")
