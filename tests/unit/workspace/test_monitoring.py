"""The figures of runs, from an event log that a real driver wrote (Spark 4.3.0), and logs read piece by piece.

The log holds two runs: 11-0 repartitions 1,000 rows, sorts (and is made to spill), writes, reads and counts them in
seven groups; the Python UDF of 12-0 fails. Names of call sites and accumulators were left out of it.
"""

import os
from pathlib import Path

from headway.workspace.services.monitoring.model import NAMES, EventLog, added, no_metrics
from headway.workspace.services.monitoring.store import EventLogs, piece

RECORDED = Path(__file__).parent / "recorded" / "eventlog-4.3.0.jsonl"


def read() -> EventLog:
    """All of it."""
    log = EventLog()
    for line in RECORDED.read_text().splitlines():
        log.feed(line)
    return log


def test_a_run_that_shuffles_spills_reads_and_writes() -> None:
    assert read().of("11-0") == {
        "jobs": 3,
        "failed_jobs": 0,
        "stages": 5,
        "failed_stages": 0,
        "tasks": 9,
        "failed_tasks": 0,
        "executor_run_ms": 2702,
        "executor_cpu_ms": 647,
        "deserialize_ms": 298,
        "gc_ms": 190,
        "result_bytes": 32483,
        "memory_spilled_bytes": 159383552,
        "disk_spilled_bytes": 15006,
        "input_bytes": 1172,
        "input_records": 2000,  # generated, and read back
        "output_bytes": 5599,
        "output_records": 1000,
        "shuffle_remote_read_bytes": 0,
        "shuffle_local_read_bytes": 9255,
        "shuffle_read_records": 1007,  # the rows, and the seven groups
        "shuffle_fetch_wait_ms": 0,
        "shuffle_write_bytes": 9255,
        "shuffle_write_records": 1007,
        "peak_execution_memory_bytes": 8650752,
        "peak_heap_bytes": 146880064,
    }


def test_a_run_that_fails_is_kept_apart() -> None:
    assert read().driver_runs() == {"11-0", "12-0"}
    failed = read().of("12-0")
    told = {name: failed[name] for name in ("jobs", "failed_jobs", "failed_stages", "tasks", "failed_tasks")}
    assert told == {"jobs": 1, "failed_jobs": 1, "failed_stages": 1, "tasks": 2, "failed_tasks": 2}
    assert read().of("1-0") == no_metrics()  # of no other run whose name is alike


def test_the_notebooks_that_a_run_runs_count_for_it() -> None:
    log = EventLog()
    for line in RECORDED.read_text().replace("run-12-0", "run-11-0.child1").splitlines():
        log.feed(line)
    both = log.of("11-0")
    assert (both["jobs"], both["failed_jobs"], both["tasks"]) == (4, 1, 11)
    assert both["peak_heap_bytes"] == 146880064
    assert set(added([both])) == set(NAMES)


def test_all_of_an_application_that_names_its_run_is_of_that_run() -> None:
    log = EventLog()
    log.feed('{"Event":"SparkListenerEnvironmentUpdate","Spark Properties":{"spark.headway.run":"run-13-0"}}')
    for line in RECORDED.read_text().replace('"spark.job.tags":"run-1', '"spark.job.tags":"x').splitlines():
        log.feed(line)
    assert log.driver_runs() == {"13-0"}
    assert (log.of("13-0")["jobs"], log.of("13-0")["tasks"]) == (5, 14)


def test_a_log_is_read_as_it_grows_and_after_it_is_renamed(tmp_path: Path) -> None:
    lines = RECORDED.read_bytes().splitlines(keepends=True)
    folder = tmp_path / "eventlog"
    folder.mkdir()
    growing = folder / "local-1.inprogress"
    logs = EventLogs()
    assert logs.metrics([tmp_path], "11-0") is None
    half = len(lines) // 2
    growing.write_bytes(b"".join(lines[:half]) + lines[half][:30])
    before = logs.metrics([tmp_path], "11-0")
    assert before is not None
    assert before["tasks"] < 9 or before["jobs"] < 3 or not logs.metrics([tmp_path], "12-0")
    with growing.open("ab") as target:
        target.write(lines[half][30:] + b"".join(lines[half + 1 :]))
    growing.rename(folder / "local-1")
    assert logs.metrics([tmp_path], "11-0") == read().of("11-0")
    assert logs.metrics([tmp_path, tmp_path / "none"], "12-0") == read().of("12-0")


def test_a_piece_of_a_growing_log_ends_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\nthr")
    assert piece(log, 0, growing=True) == ("one\ntwo\n", 8, 11)
    assert piece(log, 8, growing=True) == ("", 8, 11)
    assert piece(log, 8, growing=False) == ("thr", 11, 11)
    assert piece(log, -3, growing=False) == ("thr", 11, 11)
    assert piece(log, 50, growing=False) == ("", 11, 11)
    assert piece(tmp_path / "none", 5, growing=True) == ("", 0, 0)
    os.truncate(log, 0)
    log.write_bytes(b"x" * (3 << 20))
    told, after, size = piece(log, 0, growing=True)
    assert (len(told), after, size) == (1 << 20, 1 << 20, 3 << 20)
