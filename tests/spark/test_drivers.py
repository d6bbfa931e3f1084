"""Drivers as processes: their death, the fleet, the workspace around them."""

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from headway.core.errors import HeadwayError
from headway.workspace.process import start, status, stop
from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.fleet import DriverFleet
from headway.workspace.runtime.leftovers import end_leftovers
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec, PythonFileTask, TaskRequest
from headway.workspace.settings import WorkspaceSettings
from support.served_workspace import until

pytestmark = pytest.mark.spark


def test_a_driver_keeps_logs_and_event_log_and_leaves_no_scratch(spec: DriverSpec, cache: Path, tmp_path: Path) -> None:
    hush = 'a "word" with \\ and # spaces'
    conf = {**spec.spark_conf, "spark.my.phrase": hush}
    own = replace(spec, folder=tmp_path / "own", spark_conf=conf, secret_conf=frozenset({"spark.my.phrase"}))
    driver = Driver.start(own, cache)
    program = tmp_path / "p.py"
    program.write_text(
        "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nspark.range(9).count()\n"
        f"assert spark.conf.get('spark.my.phrase') == {hush!r}\n"
    )
    assert hush.encode() not in Path(f"/proc/{driver.pid}/cmdline").read_bytes()
    assert driver.run(TaskRequest("r1", PythonFileTask(program), (), tmp_path / "log")).state == "SUCCESS"
    assert (driver.folder / "driver.json").stat().st_mode & 0o777 == 0o600
    driver.stop()
    assert not driver.alive
    assert not (driver.folder / "tmp").exists()
    assert "Running Spark version" in (driver.folder / "logs" / "log4j").read_text()
    (events,) = (driver.folder / "eventlog").iterdir()
    assert '"spark.my.phrase":"*********(redacted)"' in events.read_text()
    assert "with \\\\ and # spaces" not in events.read_text()
    assert not (driver.folder / "settings.json").exists()
    tags = [
        json.loads(line)["Properties"].get("spark.job.tags", "")
        for line in events.read_text().splitlines()
        if "SparkListenerJobStart" in line
    ]
    assert any("run-r1" in tag for tag in tags)


def test_the_death_of_a_driver_is_told_to_its_run(spec: DriverSpec, cache: Path, tmp_path: Path) -> None:
    driver = Driver.start(replace(spec, folder=tmp_path / "own"), cache)
    program = tmp_path / "p.py"
    program.write_text("import time\nprint('up', flush=True)\ntime.sleep(300)\n")
    raised: list[DriverFailed] = []

    def run() -> None:
        try:
            driver.run(TaskRequest("r1", PythonFileTask(program), (), tmp_path / "log"))
        except DriverFailed as failed:
            raised.append(failed)

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "log").exists() or "up" not in (tmp_path / "log").read_text():
        assert thread.is_alive()
    os.kill(driver.pid, signal.SIGKILL)
    thread.join(30)
    assert [failed.reason for failed in raised] == ["DRIVER_UNREACHABLE"]
    assert "killed" in raised[0].message
    driver.stop()


def test_what_a_killed_workspace_left_behind_is_ended(spec: DriverSpec, cache: Path, tmp_path: Path) -> None:
    driver = Driver.start(replace(spec, folder=tmp_path / "clusters" / "own"), cache)
    other = tmp_path / "clusters" / "other"
    other.mkdir()
    (other / "driver.json").write_text(json.dumps({"pid": os.getpid()}))
    assert end_leftovers(tmp_path / "clusters") == [driver.pid]
    until(lambda: not driver.alive)
    assert list((tmp_path / "clusters").iterdir()) == []
    driver.stop()


def test_a_driver_that_cannot_start_says_why(spec: DriverSpec, cache: Path, tmp_path: Path) -> None:
    bad = replace(spec, folder=tmp_path / "own", spark_conf={"spark.sql.extensions": "", "spark.executor.cores": "x"})
    with pytest.raises(DriverFailed) as caught:
        Driver.start(bad, cache)
    assert caught.value.reason == "SPARK_STARTUP_FAILURE"
    assert "spark.executor.cores" in caught.value.message


def test_the_fleet_hands_a_warm_driver_out_once(spec: DriverSpec, cache: Path, tmp_path: Path) -> None:
    fleet = DriverFleet(spec.runtime, spec.roots, cache, tmp_path, standby=1)
    fleet.open()
    try:
        first, second = (fleet.acquire(replace(spec, folder=tmp_path / name)) for name in ("a", "b"))
        assert first.pid != second.pid
        assert "standby" in first.folder.name
        fleet.discard(first)
        assert not first.alive
    finally:
        fleet.close()
    assert not second.alive


def test_a_workspace_starts_once_tells_of_itself_and_stops(tmp_path: Path) -> None:
    settings = WorkspaceSettings(data=tmp_path / "data", port=0, standby=0)
    begun = start(settings)
    try:
        assert status(settings.data) == begun
        with pytest.raises(HeadwayError, match=r"runs on .* already"):
            start(settings)
    finally:
        stop(settings.data)
    assert not status(settings.data).running
    # A process id that another process has by now is never taken for the workspace.
    said = {"url": begun.url, "pid": os.getpid(), "started": "1", "token_file": "t", "version": "0"}
    (settings.data / "server.json").write_text(json.dumps(said))
    assert not stop(settings.data).running


def test_a_workspace_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "workspace.db").write_text("this is no database, but it is long enough to be one" * 100)
    with pytest.raises(HeadwayError) as caught:
        start(WorkspaceSettings(data=tmp_path / "data", port=0, standby=0))
    assert caught.value.code == "WORKSPACE_DID_NOT_START"
    assert "not a database" in caught.value.message


def test_the_ui_of_a_driver_lets_in_its_supervisor_only(driver: Driver) -> None:
    port, secret = driver.ui()
    address = f"http://127.0.0.1:{port}/jobs/"
    assert requests.get(address, timeout=60).status_code == 403
    assert requests.get(address, headers={"X-Headway-Secret": "guess"}, timeout=60).status_code == 403
    assert "Spark Jobs" in requests.get(address, headers={"X-Headway-Secret": secret}, timeout=60).text
    assert driver.ui() == (port, secret)
    # Nobody outside the machine reaches it.
    listening = [
        line.split()[1:4] for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()
    ]
    (place,) = [local for local, _, state in listening if state == "0A" and local.endswith(f":{port:04X}")]
    assert place in (f"0100007F:{port:04X}", f"0000000000000000FFFF00000100007F:{port:04X}")
