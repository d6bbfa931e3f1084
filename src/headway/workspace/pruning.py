"""Forgets what runs left behind: their rows and clusters, their logs, what they were shown of secrets, what they have
cost; and the logs of drivers of all-purpose clusters."""

import contextlib
import shutil
from pathlib import Path

from sqlalchemy import Engine

from headway.core.errors import HeadwayError
from headway.workspace.clock import now_ms
from headway.workspace.database import open_database
from headway.workspace.engine.retention import DAY_MS, prune
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.jobs.run_store import RunStore
from headway.workspace.services.monitoring import keeping
from headway.workspace.services.secrets.store import forget_runs
from headway.workspace.writing import Writer


def prune_workspace(database: Engine, runs: RunStore, clusters: ClusterStore, data: Path, before_ms: int) -> int:
    """Forget the runs that ended before then, and the logs of drivers that did; return how many runs they were."""
    also = (
        clusters.forget_runs,
        lambda run_ids: forget_runs(database, run_ids),
        lambda run_ids: keeping.forget_runs(database, run_ids),
    )
    count = prune(runs, data / "runs", before_ms, also)
    for folder in (data / "cluster-logs").glob("*/*"):  # one of each driver, made when it ended
        if folder.stat().st_mtime * 1000 < before_ms:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # there are others in it
                folder.parent.rmdir()
    return count


def prune_folder(data: Path, days: int) -> int:
    """The same of the workspace in a folder, whether it runs or not: of runs that ended more than `days` ago. Raise
    HeadwayError WORKSPACE_MISSING."""
    path = data / "workspace.db"
    if not path.is_file():
        raise HeadwayError("WORKSPACE_MISSING", data=data)
    database = open_database(path)
    try:
        runs, clusters = RunStore(database, Writer(database)), ClusterStore(database)
        return prune_workspace(database, runs, clusters, data, now_ms() - days * DAY_MS)
    finally:
        database.dispose()
