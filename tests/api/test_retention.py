"""What is kept of runs, and for how long; on a clock that the test turns."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.core import DatabricksError
from sqlalchemy import func, select
from typer.testing import CliRunner

from headway.cli.main import app
from headway.workspace.clock import now_ms
from headway.workspace.database import open_database, runs
from headway.workspace.engine.retention import DAY_MS
from headway.workspace.services.clusters.tables import cluster_events, clusters
from support.fake_timers import FakeTimers
from support.job_making import CLUSTER, create, ended, results, task, wait_for_cancel
from support.served_workspace import Served, serving, until

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def timers() -> FakeTimers:
    """A clock that begins today."""
    return FakeTimers(now_ms())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, timers: FakeTimers) -> Iterator[Served]:
    """A workspace on that clock."""
    with serving(tmp_path_factory.mktemp("kept"), timers=timers) as found:
        yield found


def run_ids(served: Served, job_id: int) -> list[Any]:
    """The runs of a job."""
    return [run.run_id for run in served.client.jobs.list_runs(job_id=job_id)]


def test_runs_stay_when_their_job_is_reset_or_deleted(kept: Served) -> None:
    job_id = create(kept.client, task("first"))
    run = ended(kept.client, kept.client.jobs.run_now(job_id).run_id)
    new = {"name": "other", "job_clusters": [CLUSTER], "tasks": [task("second")]}
    kept.client.api_client.do("POST", "/api/2.2/jobs/reset", body={"job_id": job_id, "new_settings": new})
    assert run_ids(kept, job_id) == [run.run_id]
    assert results(kept.client.jobs.get_run(run.run_id or 0)) == {"run": "SUCCESS", "first": "SUCCESS"}
    kept.client.jobs.delete(job_id)
    assert results(kept.client.jobs.get_run(run.run_id or 0)) == {"run": "SUCCESS", "first": "SUCCESS"}


def test_runs_are_forgotten_with_their_logs_after_sixty_days_unless_they_go_on(
    kept: Served, timers: FakeTimers
) -> None:
    kept.fleet.acts["endless"] = wait_for_cancel
    endless = create(kept.client, task("endless"))
    going = kept.client.jobs.run_now(endless).run_id
    until(lambda: kept.client.jobs.get_run(going).state.life_cycle_state.value == "RUNNING")  # type: ignore[union-attr]
    old, young = create(kept.client, task("quick")), create(kept.client, task("quick"))
    first = ended(kept.client, kept.client.jobs.run_now(old).run_id)
    timers.turn(30 * DAY_MS)
    second = ended(kept.client, kept.client.jobs.run_now(young).run_id)
    assert run_ids(kept, old) == [first.run_id]
    timers.turn(31 * DAY_MS)
    until(lambda: run_ids(kept, old) == [])
    with pytest.raises(DatabricksError, match="does not exist"):
        kept.client.jobs.get_run(first.run_id or 0)
    assert not (kept.data / "runs" / str(first.run_id)).exists()
    assert run_ids(kept, young) == [second.run_id]
    assert (kept.data / "runs" / str(second.run_id)).is_dir()
    assert run_ids(kept, endless) == [going]
    kept.client.jobs.cancel_run(going)
    ended(kept.client, going)


def test_a_run_is_queued_for_48_hours_at_most(kept: Served, timers: FakeTimers) -> None:
    kept.fleet.acts["holding"] = wait_for_cancel
    job_id = create(kept.client, task("holding"), max_concurrent_runs=1, queue={"enabled": True})
    holding = kept.client.jobs.run_now(job_id).run_id
    # A run is made at the machine's time, which the tests above have left behind.
    waiting = kept.client.jobs.run_now(job_id).run_id
    assert kept.client.jobs.get_run(waiting).state.life_cycle_state.value == "QUEUED"  # type: ignore[union-attr]
    timers.turn(49 * HOUR_MS)
    found = ended(kept.client, waiting)
    assert found.state.life_cycle_state.value == "SKIPPED"  # type: ignore[union-attr]
    assert "48 hours" in (found.state.state_message or "")  # type: ignore[union-attr]
    kept.client.jobs.cancel_run(holding)
    ended(kept.client, holding)


def test_the_program_prunes_a_workspace_whether_it_runs_or_not(kept: Served, tmp_path: Path) -> None:
    job_id = create(kept.client, task("quick"))
    run = ended(kept.client, kept.client.jobs.run_now(job_id).run_id)
    # The clock of this workspace is far ahead of the program's: its runs have not ended yet, seen from there.
    shutil.copytree(kept.data, tmp_path / "stopped")
    database = open_database(tmp_path / "stopped" / "workspace.db")
    with database.begin() as connection:
        connection.execute(runs.update().values(ended_ms=now_ms() - 2 * DAY_MS))
        ran_on = select(func.count()).select_from(clusters).where(clusters.c.run_id == run.run_id)
        assert connection.execute(ran_on).scalar_one() == 1
    for name, days in ("young", 2), ("old", 4):  # drivers of all-purpose clusters
        folder = tmp_path / "stopped" / "cluster-logs" / f"c-{name}" / "driver"
        (folder / "eventlog").mkdir(parents=True)
        os.utime(folder, (time.time() - days * 86400,) * 2)
    for days, forgotten in (3, 0), (1, 4):
        said = CliRunner().invoke(
            app,
            ["workspace", "prune", "--data", str(tmp_path / "stopped"), "--keep-runs-days", str(days), "--output",
             "json"],
        )  # fmt: skip
        assert said.exit_code == 0, said.output
        count = json.loads(said.stdout)["forgotten"]
        assert count >= forgotten if forgotten else count == 0
        assert not (tmp_path / "stopped" / "cluster-logs" / "c-old").exists()
        assert (tmp_path / "stopped" / "cluster-logs" / "c-young").exists() == (days == 3)
    with database.connect() as connection:
        for table in (runs, cluster_events):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
    assert list((tmp_path / "stopped" / "runs").iterdir()) == []
    assert run_ids(kept, job_id) == [run.run_id]
    database.dispose()
    nowhere = CliRunner().invoke(app, ["workspace", "prune", "--data", str(tmp_path / "nowhere")])
    assert "there is no workspace in" in str(nowhere.exception)
