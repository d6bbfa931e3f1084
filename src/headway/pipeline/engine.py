"""Durable runs: DBOS workflows over SQLite or PostgreSQL. Killed anywhere, a run goes on from its last finished step.

A run has two workflows: `make` (checkout, test, build, store) and `deliver` (environment by environment). Each lies in
a queue that is partitioned by application, one at a time: so an application's runs come in order, while the next commit
is tested as the former one is deployed. An approval ends `deliver` and takes no place; the answer starts another one
that finds what is done. DBOS is one per process, and so is the engine.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID, WorkflowStatus
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import create_engine, make_url

from headway.core.errors import HeadwayError
from headway.pipeline.database import Database
from headway.pipeline.delivering import HELD
from headway.pipeline.execution import Executor
from headway.pipeline.making import FOLLOWING
from headway.pipeline.model import Run, RunState
from headway.pipeline.service import PipelineService
from headway.pipeline.settings import ServerSettings
from headway.pipeline.work import WORKING
from headway.pipeline.workers import Workers

logger = logging.getLogger(__name__)

# DBOS takes up only workflows of its own application version. Ours say with each step what they did, so that any
# newer Headway can go on with them: the version changes only when the steps themselves do.
APPLICATION_VERSION = "headway-line-1"
MAKE, DELIVER = "headway-make", "headway-deliver"
POLL_SECONDS = 0.2
RECONCILE_SECONDS = 15.0
_AT_ONCE = 500
_LOST: tuple[str, ...] = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")

Perform = Callable[..., Any]
_perform: list[Perform] = []  # what the workflows call; DBOS registers functions by name, once per process


def _step(name: str, run_id: int, attempt: int, environment: str = "") -> Any:
    label = f"{name} {environment}".strip()
    return DBOS.run_step({"name": label}, _perform[-1], name, run_id, attempt, environment)


@DBOS.workflow(name="headway.make", max_recovery_attempts=1000)
def make(run_id: int, attempt: int) -> str:
    """From a commit to a release."""
    if not _step("begin", run_id, attempt):
        return "not begun"
    kind = _step("checkout", run_id, attempt)
    for name in FOLLOWING.get(kind or "", ()):
        if not _step(name, run_id, attempt):
            return f"ended in {name}"
    return "done" if kind else "ended in checkout"


@DBOS.workflow(name="headway.deliver", max_recovery_attempts=1000)
def deliver(run_id: int, attempt: int) -> str:
    """From a release to the environments."""
    steps = _step("begin_delivery", run_id, attempt)
    if steps is None:
        return "not begun"
    for name, environment in steps:
        if not _step(name, run_id, attempt, environment):
            return f"ended in {name} {environment}"
    _step("finish_delivery", run_id, attempt)
    return "done"


class Engine:
    """Starts and ends the workflows. `executor` does their steps; with `builds` and `deliveries` 0 this process only
    hands out work."""

    def __init__(
        self,
        database: Database,
        service: PipelineService,
        executor: Executor,
        workers: Workers,
        settings: ServerSettings,
    ) -> None:
        self._database, self._service, self._executor = database, service, executor
        self._workers, self._settings = workers, settings
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Launch DBOS; take up what was left behind."""
        logging.getLogger("dbos").setLevel(logging.WARNING)
        _perform[:] = [self._executor.perform]
        let_readers_be(system_url(self._database.engine))
        DBOS(
            config={
                "name": "headway",
                "system_database_url": system_url(self._database.engine),
                "application_version": APPLICATION_VERSION,
                "executor_id": self._workers.id,
                "log_level": "WARNING",
                "run_migrations": True,
            }
        )
        here = [name for name, places in self._places() if places]
        DBOS.listen_queues(here)
        DBOS.launch()
        for name, places in self._places():
            if places or name not in {queue.name for queue in DBOS.list_queues()}:
                DBOS.register_queue(
                    name,
                    worker_concurrency=places or None,
                    partition_concurrency=1,
                    polling_interval_sec=POLL_SECONDS,
                    on_conflict="always_update",
                )
        self.reconcile()
        for target in (self._look_after_workers, self._reconcile_now_and_then):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _places(self) -> list[tuple[str, int]]:
        return [(MAKE, self._settings.builds), (DELIVER, self._settings.deliveries)]

    def stop(self, *, parked: int = 0) -> None:
        """Take no more work. What is `parked` never ends in this process, and is taken up at the next start."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        if not parked:
            DBOS.destroy(workflow_completion_timeout_sec=5)
        self._workers.leave()

    def dispatch(self, run: Run) -> None:
        """Give a run its place. Doing it twice changes nothing; one that could not be given is, at the next
        reconciliation: the run is written down already."""
        # In a thread of its own: a workflow must not be started from within a step, and this may be called in one.
        try:
            with ThreadPoolExecutor(1) as outside:
                outside.submit(_enqueue, run).result()
        except Exception as error:  # noqa: BLE001  (whatever the queue's database said)
            logger.warning("run %s gets its place later: %s", run.id, error)

    def reconcile(self) -> None:
        """Runs that wait have their place, also those whose server was killed before it gave them one; runs that work
        have a workflow that does; those whose plan was decided go on."""
        waiting: tuple[RunState, ...] = ("waiting", "ready")
        found = self._service.runs.newest(states=waiting, limit=10_000)
        placed = {status.workflow_id for status in _statuses([workflow_id(run) for run in found])}
        for run in reversed(found):
            if workflow_id(run) not in placed:
                self.dispatch(run)
        for run in self._service.runs.newest(states=HELD, limit=10_000):
            self._service.settle(run)
        for run in self._service.runs.newest(states=WORKING, limit=10_000):
            status = DBOS.get_workflow_status(workflow_id(run))
            now = self._service.run(run.id)
            word = status.status if status is not None else "not there"
            if (status is None or word in _LOST) and (now.state, now.attempt) == (run.state, run.attempt):
                self._executor.lost(run, f"the engine lost it (its workflow is {word}); retry it")

    def _look_after_workers(self) -> None:
        beat = self._settings.worker_timeout_seconds / 5
        while not self._ended.wait(beat):
            for dead in self._workers.beat():
                try:
                    DBOS._recover_pending_workflows([dead])
                    self._workers.bury(dead)
                    logger.warning("worker %s has ended: its runs are taken up", dead)
                except Exception:  # the next beat tries again
                    logger.exception("the runs of worker %s could not be taken up", dead)

    def _reconcile_now_and_then(self) -> None:
        while not self._ended.wait(RECONCILE_SECONDS):
            began = time.monotonic()
            try:
                self.reconcile()
            except HeadwayError as error:
                logger.warning("waiting for the database: %s", error.message)
            except Exception:
                logger.exception("reconciling failed after %.1f s", time.monotonic() - began)


def workflow_id(run: Run) -> str:
    """A run has one workflow of a kind per attempt."""
    kind = "deliver" if run.state in ("ready", "delivering") else "make"
    return f"run-{run.id}-{run.attempt}-{kind}"


def partition(run: Run) -> str:
    """What comes one after the other: an application's runs, and beside them its pull requests."""
    return f"{run.app}/pull-requests" if run.kind == "pull_request" else run.app


def _statuses(ids: list[str]) -> list[WorkflowStatus]:
    found: list[WorkflowStatus] = []
    for first in range(0, len(ids), _AT_ONCE):
        part = ids[first : first + _AT_ONCE]
        found += DBOS.list_workflows(workflow_ids=part, load_input=False, load_output=False)
    return found


def system_url(engine: SqlEngine) -> str:
    """Where DBOS keeps its tables: on SQLite in a file beside ours, on PostgreSQL in a schema of the same database."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}.dbos"
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def let_readers_be(url: str) -> None:
    """On SQLite: who reads does not wait for who writes, and a commit takes one sync of the disk, not three. DBOS
    leaves its file as it finds it."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        engine.dispose()


def _enqueue(run: Run) -> None:
    queue, workflow = (DELIVER, deliver) if run.state == "ready" else (MAKE, make)
    with (
        SetWorkflowID(workflow_id(run)),
        SetEnqueueOptions(priority=run.id, queue_partition_key=partition(run)),
    ):
        DBOS.enqueue_workflow(queue, workflow, run.id, run.attempt)
