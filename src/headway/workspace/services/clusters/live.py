"""What the supervisor holds in memory of a cluster: its state, its driver, who uses it, why it has none."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from headway.workspace.directory import TaskDriver
from headway.workspace.runtime.tasks import DriverFailed
from headway.workspace.services.clusters.model import RESIZING, RUNNING, TERMINATED, Termination


@dataclass(eq=False)
class Seat:
    """A driver of a cluster and how many use it now. `leaving`: another takes its place, it ends with its last user."""

    driver: TaskDriver
    users: int = 0
    leaving: bool = False


@dataclass(eq=False)
class Live:
    """A cluster in memory. All but `changed` is read and set with `changed` held.

    `failed` is why it has no driver, as those get it who wait for one. `ending` is the end that was asked for while it
    starts. `keep` is where the logs of its drivers go.
    """

    cluster_id: str
    state: str
    for_job: bool
    keep: Path
    idle_minutes: int = 0
    used_ms: int = 0
    seat: Seat | None = None
    retired: list[Seat] = field(default_factory=list)
    failed: DriverFailed | None = None
    ending: Termination | None = None
    starts: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def usable(self) -> bool:
        """Whether a driver can be given out now."""
        return self.seat is not None and self.state in (RUNNING, RESIZING)

    @property
    def users(self) -> int:
        """How many use it, those of drivers that are being replaced among them."""
        return sum(seat.users for seat in (self.seat, *self.retired) if seat is not None)

    def has_ended(self) -> bool:
        """Whether it is TERMINATED."""
        return self.state == TERMINATED

    def idle_for(self, now_ms: int) -> bool:
        """Whether it has been idle for as long as it may."""
        return self.idle_minutes > 0 and now_ms - self.used_ms >= self.idle_minutes * 60_000

    def seats(self) -> list[Seat]:
        """Take all its drivers away from it."""
        found = [seat for seat in (self.seat, *self.retired) if seat is not None]
        self.seat = None
        self.retired = []
        return found
