"""What the line itself costs per commit: wall time less the application's tests, its build and its Spark runs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.rows import Row

GOAL_SECONDS = 2.0
# Steps whose time is the application's own: its tests, its build, its runs on Spark.
OWN = ("test", "build")


def measure(say: Callable[[str], None]) -> list[Row]:
    """Run the demo's commits once and take the median over those that reached production.

    HEADWAY_BENCH_DEMO names what `headway demo --output json` printed where it has just run on this machine.
    """
    say("bench: the line's own overhead, on the demo's commits")
    told = os.environ.get("HEADWAY_BENCH_DEMO")
    demo = json.loads(Path(told).read_text() if told else _demo())
    delivered = [scenario for scenario in demo["scenarios"] if scenario["outcome"] == "production"]
    overheads = sorted(overhead(scenario) for scenario in delivered)
    totals = sorted(sum(step["seconds"] for step in scenario["steps"]) for scenario in delivered)
    value, total = overheads[len(overheads) // 2], totals[len(totals) // 2]
    return [
        Row(
            name="line_overhead_s",
            value=value,
            unit="s",
            against="the whole line of the same commit",
            ratio=value / total,
            goal=f"at most {GOAL_SECONDS:g} s beyond the application's tests, build and Spark time",
            met=value <= GOAL_SECONDS,
        )
    ]


def _demo() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "headway.cli", "demo", "--folder", f"{folder}/demo", "--output", "json"]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def overhead(scenario: dict[str, Any]) -> float:
    """Seconds of the line's steps, less tests and build, less what its runs took by the workspace's own account."""
    steps = [step for step in scenario["steps"] if step["step"] not in OWN]
    return float(sum(step["seconds"] for step in steps) - scenario["spark_seconds"])
