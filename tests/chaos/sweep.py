"""Kill the deployer, or disturb it, at each of its calls; let somebody go on; look at the whole fleet."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.deployer import Deployers
from chaos.fleet import Fleet
from chaos.proxy import FAULTS, KILLS, FaultProxy, Kind
from support.served_workspace import serving

REPORT = Path("build/chaos.json")
# A point waits more than it works: for a process to start, for a pause to end.
WORKERS = 2 * len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Scenario:
    """What is disturbed: `command`, from release `old`; whole, it ends at `new`."""

    name: str
    command: tuple[str, ...]
    old: int
    new: int
    kinds: tuple[Kind, ...]


SCENARIOS = (
    # 3 resets, 2 creations, 2 deletions, permissions
    Scenario("deploy", ("deploy", "stage", "--version", "1.0.2"), 1, 2, (*KILLS, *FAULTS)),
    # the same the other way round
    Scenario("rollback", ("rollback", "stage", "--to", "1.0.1"), 2, 1, (*KILLS, *FAULTS)),
    # one job is refused, so that it takes itself back: the calls of that as well
    Scenario("failing deploy", ("deploy", "stage", "--version", "1.0.3"), 1, 1, (*KILLS, *FAULTS)),
)
# How somebody goes on after a kill.
RECOVERIES = (
    ("resume", "stage"),
    ("deploy", "stage", "--version", "1.0.2"),
    ("resume", "stage", "--back"),
)


@dataclass(frozen=True)
class Point:
    """One disturbance, and what came of it. `status` is the command's exit status, `stands` where the fleet stands."""

    scenario: str
    kind: Kind
    at: int
    call: str
    status: int
    recovery: str
    stands: str
    converged: bool
    seconds: float
    told: str


class Sweep:
    """A fleet, its workspace, the proxy between, the processes that deploy."""

    def __init__(self, fleet: Fleet, proxy: FaultProxy, deployers: Deployers) -> None:
        self.fleet, self.proxy, self.deployers = fleet, proxy, deployers
        self.at = 0  # the release at which the fleet is known to stand whole; 0 where that is not known

    def stand_at(self, build: int) -> None:
        """Bring the fleet to a release, undisturbed, unless it was just found there."""
        if self.at != build:
            self.fleet.stand_at(build)
        self.at = 0

    def headway(self, *arguments: str, folder: Path | None = None) -> int:
        """Run a command in the application's folder, or in another copy of it; return its exit status."""
        place = folder or self.fleet.folder / "app"
        pid = self.deployers.start(arguments, place, self.fleet.variables(self.proxy.url))
        self.proxy.aim(pid)
        return self.deployers.wait()

    def calls(self, scenario: Scenario) -> int:
        """How many calls the scenario makes when nothing is wrong."""
        self.stand_at(scenario.old)
        plan = self.proxy.arm()
        self.headway(*scenario.command)
        stands = self.fleet.where(scenario.new)
        assert stands == f"1.0.{scenario.new}", f"undisturbed, {scenario.name} fails: {stands}\n{self.deployers.told()}"
        self.at = scenario.new
        return len(plan.calls)

    def point(self, scenario: Scenario, kind: Kind, at: int) -> Point:
        """Disturb one call."""
        self.stand_at(scenario.old)
        began = time.monotonic()
        plan = self.proxy.arm(kind, at)
        status = self.headway(*scenario.command)
        told = self.deployers.told()
        self.proxy.arm()
        recovery: tuple[str, ...] = ()
        wanted = {f"1.0.{scenario.new}"}
        if kind in KILLS and plan.hit:
            recovery = RECOVERIES[at % len(RECOVERIES)]
            if scenario.name == "deploy" and recovery[0] == "deploy":
                wanted = {"1.0.2"}
            else:
                wanted |= {f"1.0.{scenario.old}"}
            if recovery[0] == "deploy" and scenario.name != "deploy":
                recovery = RECOVERIES[0]
            self.headway(*recovery)
            told += self.deployers.told()
        stands = self.fleet.where(scenario.new, scenario.old)
        killed = status == -9 if kind in KILLS and plan.hit else True
        right = stands in wanted and killed
        self.at = int(stands[-1]) if right else 0
        return Point(
            scenario.name,
            kind,
            at,
            plan.hit,
            status,
            " ".join(recovery),
            stands,
            right,
            round(time.monotonic() - began, 2),
            "" if right else told,
        )


@contextmanager
def sweeping(bucket: str = "") -> Iterator[Sweep]:
    """Everything set up, in a folder of its own; the store is a folder too, unless a bucket's URL is given."""
    with tempfile.TemporaryDirectory(prefix="headway-chaos-") as scratch:
        folder = Path(scratch)
        with serving(folder / "workspace", allow=("127.0.0.1",)) as served:
            proxy, deployers = FaultProxy(served.url), Deployers(folder)
            try:
                fleet = Fleet(served, folder / "fleet", bucket)
                fleet.prepare()
                yield Sweep(fleet, proxy, deployers)
            finally:
                deployers.close()
                proxy.close()


def every_point(sweep: Sweep, every: int = 1, first: int = 0) -> Iterator[Point]:
    """Every `every`-th disturbance of every scenario, beginning with number `first`.

    Next comes one that begins where the fleet stands, if there is any: after a deploy that went through, a rollback.
    """
    points = [
        (scenario, kind, at)
        for scenario in SCENARIOS
        for at in range(1, sweep.calls(scenario) + 1)
        for kind in scenario.kinds
    ]
    left = {scenario: deque[tuple[Kind, int]]() for scenario in SCENARIOS}
    for scenario, kind, at in points[first::every]:
        left[scenario].append((kind, at))
    while any(left.values()):
        scenario = max(SCENARIOS, key=lambda one: (bool(left[one]), one.old == sweep.at, len(left[one])))
        yield sweep.point(scenario, *left[scenario].popleft())


def report(points: Sequence[Point], seconds: float) -> dict[str, object]:
    """What `build/chaos.json` holds."""
    kinds: dict[str, dict[str, int]] = {}
    for kind, count in Counter(point.kind for point in points).items():
        good = sum(point.converged for point in points if point.kind == kind)
        kinds[kind] = {"points": count, "converged": good}
    return {
        "points": len(points),
        "converged": sum(point.converged for point in points),
        "kinds": kinds,
        "scenarios": dict(Counter(point.scenario for point in points)),
        "calls": dict(Counter(point.call for point in points if point.call)),
        "recoveries": dict(Counter(point.recovery for point in points if point.recovery)),
        "ended": dict(Counter(f"{point.scenario}: {point.stands}" for point in points if point.converged)),
        "seconds": round(seconds, 1),
        "failed": [asdict(point) for point in points if not point.converged],
    }


def share(first: int, of: int) -> None:
    """One worker's share of the sweep, with a workspace of its own: its points as JSON lines on standard output."""
    with sweeping() as sweep:
        for point in every_point(sweep, of, first):
            sys.stdout.write(json.dumps(asdict(point)) + "\n")
            sys.stdout.flush()


def swept(workers: int) -> Iterator[Point]:
    """Every point, by workers that run side by side: most of a point is waiting, for processes and for backoff. Raise
    CalledProcessError where one of them fails."""
    found: queue.Queue[Point | subprocess.Popen[str]] = queue.Queue()

    def read(process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            found.put(Point(**json.loads(line)))
        process.wait()
        found.put(process)

    for first in range(workers):
        command = [sys.executable, "-m", "chaos.sweep", str(first), str(workers)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=read, args=(process,)).start()
    while workers:
        entry = found.get()
        if isinstance(entry, Point):
            yield entry
            continue
        workers -= 1
        if entry.returncode:
            raise subprocess.CalledProcessError(entry.returncode, entry.args)


def main(say: Callable[[str], object] = sys.stderr.write) -> int:
    """The whole sweep; 1 unless all converged."""
    began = time.monotonic()
    points: list[Point] = []
    for point in swept(WORKERS):
        points.append(point)
        if not point.converged:
            say(f"NOT CONVERGED {point.scenario}, {point.kind} at {point.at} ({point.call}): {point.stands}\n")
        elif len(points) % 50 == 0:
            say(f"chaos: {len(points)} points, {time.monotonic() - began:.0f} s\n")
    found = report(points, time.monotonic() - began)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=1) + "\n")
    say(f"chaos: {found['converged']} of {found['points']} points converged in {found['seconds']} s ({REPORT})\n")
    return 0 if points and found["points"] == found["converged"] else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        share(int(sys.argv[1]), int(sys.argv[2]))
    else:
        sys.exit(main())
