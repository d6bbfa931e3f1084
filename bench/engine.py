"""What the CI engine costs: from a push to its first test line, per run, and under 200 pushes at once.

A real server on SQLite, real git remotes, signed webhooks; the applications' commands take milliseconds and the
workspace's drivers run functions, so that what is measured is the engine.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.rows import Row
from support.served_ci import Ci, Remote, copy_files
from support.served_workspace import FunctionFleet, serving

APPS, PUSHES = 20, 10
OVERHEAD_GOAL_SECONDS, FIRST_GOAL_SECONDS = 2.0, 2.0
SAMPLES = 5
_LOOK_SECONDS, _MOST_SECONDS = 1.0, 600.0


def measure(say: Callable[[str], None]) -> list[Row]:
    """The rows."""
    say("bench: the CI engine, push by push and 200 at once")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fleet = FunctionFleet(acts={"deployJar": copy_files})
        with serving(folder / "workspace", fleet, allow=("127.0.0.1",)) as workspace:
            ci = Ci(folder / "ci", workspace, ("--builds", "4", "--deliveries", "4")).start()
            try:
                return [*_one_by_one(ci, folder), _at_once(ci, folder)]
            finally:
                ci.close()


def _one_by_one(ci: Ci, folder: Path) -> list[Row]:
    remote = Remote(folder / "remotes", "single")
    lines = folder / "lines"
    lines.mkdir()
    remote.write("test.sh", f"date +%s.%N > {lines}/$HEADWAY_COMMIT; mkdir -p reports")
    ci.add(remote)
    first, overheads, walls = [], [], []
    for number in range(SAMPLES + 1):
        commit = remote.commit(f"change {number}")
        pushed = time.time()
        run = ci.ended(ci.push(remote, commit).json()["run"])
        assert run["state"] == "succeeded", run["reason"]
        if number:  # the first one also fills caches
            first.append(float((lines / commit).read_text()) - pushed)
            wall = (run["ended_ms"] - run["created_ms"]) / 1000
            overheads.append(wall - sum(step["seconds"] for step in run["steps"]))
            walls.append(wall)
    began, overhead, wall = sorted(first)[SAMPLES // 2], sorted(overheads)[SAMPLES // 2], sorted(walls)[SAMPLES // 2]
    return [
        Row(
            name="push_to_first_test_s",
            value=began,
            unit="s",
            against="the whole run of the same commit",
            ratio=began / wall,
            goal=f"the first line of the tests at most {FIRST_GOAL_SECONDS:g} s after the webhook",
            met=began <= FIRST_GOAL_SECONDS,
        ),
        Row(
            name="engine_overhead_s",
            value=overhead,
            unit="s",
            against="the whole run of the same commit",
            ratio=overhead / wall,
            goal=f"at most {OVERHEAD_GOAL_SECONDS:g} s of a run are not in its steps",
            met=overhead <= OVERHEAD_GOAL_SECONDS,
        ),
    ]


def _at_once(ci: Ci, folder: Path) -> Row:
    remotes = [Remote(folder / "remotes", f"app-{number}") for number in range(APPS)]
    secrets, commits = {}, {}
    for remote in remotes:
        # Every push is to be seen: none is superseded.
        toml = (remote.clone / "headway.toml").read_text()
        remote.write("headway.toml", toml[: toml.index("[[environments.stage.gates]]")])
        ci.add(remote, supersede=False)
        secrets[remote.name] = ci.ask("GET", f"/apps/{remote.name}/webhook")["secret"]
        commits[remote.name] = [remote.commit(f"change {number}") for number in range(PUSHES)]
    refused: list[str] = []

    def push_all(remote: Remote) -> None:
        for commit in commits[remote.name]:
            answer = ci.push(remote, commit, secret=secrets[remote.name])
            if answer.status_code != 202:
                refused.append(answer.text)

    threads = [threading.Thread(target=push_all, args=(remote,)) for remote in remotes]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def every_run() -> list[dict[str, Any]]:
        names = {remote.name for remote in remotes}
        found = ci.ask("GET", "/runs", limit=500)["runs"]
        return [run for run in found if run["app"] in names]

    # What has not ended by then is lost.
    while time.monotonic() < began + _MOST_SECONDS and not all(run["ended_ms"] for run in every_run()):
        time.sleep(_LOOK_SECONDS)
    runs = every_run()
    seconds = time.monotonic() - began
    lost = len(refused)
    for remote in remotes:
        mine = sorted((run for run in runs if run["app"] == remote.name), key=lambda run: run["id"])
        good = [run["commit"] for run in mine if run["state"] == "succeeded"]
        lost += sum(commit not in good for commit in commits[remote.name])
        order = [run["commit"] for run in sorted(mine, key=lambda run: run["ended_ms"] or float("inf"))]
        lost += order != commits[remote.name]
        versions = [int(run["version"].rpartition(".")[2]) for run in mine if run["version"]]
        lost += versions != list(range(1, PUSHES + 1))
    total = APPS * PUSHES
    return Row(
        name="pushes_lost",
        value=lost,
        unit="pushes",
        against=f"{total} pushes to {APPS} applications at once, all through in {seconds:.0f} s",
        ratio=lost / total,
        goal="none lost, each application's deployed in order",
        met=lost == 0,
    )
