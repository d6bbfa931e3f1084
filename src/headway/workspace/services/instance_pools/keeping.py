"""The drivers of pools: kept ready, handed out to clusters, started anew in the place of those that were used.

On Databricks a pool holds machines, and one given back is used again. Here it holds drivers, and a driver
is never used by a second cluster: in the place of one that was given back a fresh one is started, which then stays as
long as the given one would have.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from headway.workspace.catalogue import Catalogue
from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError
from headway.workspace.runtime.fleet import session_settings
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec, FileRoots
from headway.workspace.services.instance_pools.model import Pool

logger = logging.getLogger(__name__)
RETRY_MS = 30_000


class Fleet(Protocol):
    """Where drivers come from (`runtime.fleet.DriverFleet`)."""

    def acquire(self, spec: DriverSpec) -> Any:
        """A fresh driver. Raise DriverFailed."""

    def adopt(self, spec: DriverSpec) -> Any:
        """The driver that lives in the spec's folder. Raise DriverFailed."""

    def discard(self, driver: Any) -> None:
        """End it."""


@dataclass(eq=False)
class Kept:
    """A pool in memory. `starting` are being made ready; `waiting` clusters wait for one of those, for `cold` ones a
    driver of their own is being started. `extra` are the times at which one more than `min_idle` is not wanted any
    more. All is read and set with the lock held."""

    pool: Pool
    idle: list[Any] = field(default_factory=list)
    used: set[Any] = field(default_factory=set)
    starting: int = 0
    waiting: int = 0
    cold: int = 0
    extra: list[int] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    retry_ms: int = 0
    deleted: bool = False

    @property
    def count(self) -> int:
        """How many there are, or will be."""
        return len(self.idle) + len(self.used) + self.starting + self.cold

    @property
    def wanted(self) -> int:
        """How many should stand ready."""
        return self.pool.min_idle + len(self.extra)

    @property
    def lacks(self) -> bool:
        """Whether another one should be made ready."""
        full = self.pool.capacity is not None and self.count >= self.pool.capacity
        return not full and len(self.idle) + self.starting < self.wanted

    @property
    def stats(self) -> dict[str, int]:
        """`stats` of the API."""
        return {
            "used_count": len(self.used),
            "idle_count": len(self.idle),
            "pending_used_count": self.cold + self.waiting,
            "pending_idle_count": self.starting,
        }


class PoolDrivers:
    """Drivers for clusters (`services.clusters.lifecycle.Drivers`): from their pool, where they have one."""

    def __init__(
        self,
        fleet: Fleet,
        catalogue: Catalogue,
        roots: FileRoots,
        folder: Path,
        now: Callable[[], int] = now_ms,
        seconds: float = 1.0,
    ) -> None:
        self._fleet, self._catalogue, self._roots, self._folder = fleet, catalogue, roots, folder
        self._now, self._seconds = now, seconds
        self._changed = threading.Condition()
        self._pools: dict[str, Kept] = {}
        self._owner: dict[Any, Kept] = {}
        self._doomed: list[Any] = []
        self._closed = False
        self._thread = threading.Thread(target=self._keep, name="instance-pools", daemon=True)

    def start(self) -> None:
        """Begin to make drivers ready."""
        self._thread.start()

    def close(self) -> None:
        """End those that stand ready. Those that clusters use end with their clusters."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        with self._changed:
            idle = [driver for kept in self._pools.values() for driver in kept.idle] + self._doomed
            self._doomed = []
            for kept in self._pools.values():
                kept.idle.clear()
        self._end(idle)

    def put(self, pool: Pool) -> None:
        """There is such a pool now, or it has changed."""
        with self._changed:
            kept = self._pools.setdefault(pool.instance_pool_id, Kept(pool))
            kept.pool, kept.retry_ms = pool, 0
            self._changed.notify_all()

    def drop(self, instance_pool_id: str) -> None:
        """There is none any more: what stands ready ends, clusters keep what they have."""
        with self._changed:
            kept = self._pools.pop(instance_pool_id, None)
            if kept is not None:
                kept.deleted = True
                self._doomed += kept.idle
                kept.idle.clear()
            self._changed.notify_all()

    def told(self, instance_pool_id: str) -> tuple[dict[str, int], list[dict[str, str]]]:
        """Its counts, and why those could not start that are missing."""
        with self._changed:
            kept = self._pools.get(instance_pool_id)
            return ({}, []) if kept is None else (kept.stats, list(kept.errors))

    # what clusters ask

    def acquire(self, spec: DriverSpec, pool: str | None = None) -> Any:
        """A fresh driver. Raise DriverFailed.

        One that stands ready is used where runtime and size are the same and a running session can take every setting;
        else one is started, within the pool's capacity.
        """
        if pool is None:
            return self._fleet.acquire(spec)
        with self._changed:
            kept = self._pools.get(pool)
        if kept is None:
            raise DriverFailed("INSTANCE_POOL_NOT_FOUND", f"Instance pool {pool} does not exist")
        if self._fits(spec, kept.pool):
            driver = self._ready(kept)
            if driver is not None:
                driver.session_settings = dict(spec.spark_conf)
                return driver
        return self._cold(kept, spec)

    def adopt(self, spec: DriverSpec, pool: str | None = None) -> Any:
        """The driver that an earlier process left in the spec's folder. Raise DriverFailed where none answers there."""
        driver = self._fleet.adopt(spec)
        with self._changed:
            kept = None if pool is None else self._pools.get(pool)
            if kept is not None:
                self._use(kept, driver)
        return driver

    def discard(self, driver: Any) -> None:
        """End a driver that was handed out; its pool gets another one."""
        try:
            self._fleet.discard(driver)
        finally:
            with self._changed:
                kept = self._owner.pop(driver, None)
                if kept is not None:
                    kept.used.discard(driver)
                    if kept.pool.idle_ms:
                        kept.extra.append(self._now() + kept.pool.idle_ms)
                    self._changed.notify_all()

    def _use(self, kept: Kept, driver: Any) -> None:
        kept.used.add(driver)
        self._owner[driver] = kept

    def _ready(self, kept: Kept) -> Any | None:
        with self._changed:
            kept.waiting += 1
            # One that is being made ready comes sooner than one that is begun now.
            self._changed.wait_for(lambda: self._closed or kept.idle or kept.waiting > kept.starting)
            kept.waiting -= 1
            while kept.idle:
                driver = kept.idle.pop(0)
                if driver.alive:
                    self._use(kept, driver)
                    if kept.extra:
                        kept.extra.pop(0)
                    self._changed.notify_all()
                    return driver
                self._doomed.append(driver)
            return None

    def _cold(self, kept: Kept, spec: DriverSpec) -> Any:
        limit, victim = kept.pool.capacity, None
        with self._changed:
            while limit is not None and kept.count >= limit and not self._closed:
                if kept.idle:
                    victim = kept.idle.pop(0)
                elif kept.starting:
                    self._changed.wait()
                else:
                    message = f"Instance pool {kept.pool.name} has reached its maximum of {limit} instances"
                    raise DriverFailed("INSTANCE_POOL_MAX_CAPACITY_REACHED", message)
            kept.cold += 1
        driver = None
        try:
            if victim is not None:
                self._end([victim])
            driver = self._fleet.acquire(spec)
            return driver
        finally:
            with self._changed:
                kept.cold -= 1
                if driver is not None:
                    self._use(kept, driver)
                self._changed.notify_all()

    def _fits(self, spec: DriverSpec, pool: Pool) -> bool:
        try:
            own = self._spec(pool, "")
        except ApiError:  # its runtime was removed
            return False
        same = (own.runtime, own.memory_mb, own.cores, own.quick) == (
            spec.runtime,
            spec.memory_mb,
            spec.cores,
            spec.quick,
        )
        return (
            same
            and spec.executors is None
            and not spec.env
            and not spec.init_scripts
            and not spec.secret_conf
            and session_settings(spec) == spec.spark_conf
        )

    def _spec(self, pool: Pool, name: str) -> DriverSpec:
        size = self._catalogue.node_type(pool.node_type_id)
        runtime = self._catalogue.runtime(pool.spark_version or next(iter(self._catalogue.runtimes), None))
        return DriverSpec(name, runtime, self._folder / name, self._roots, size.memory_mb, size.cores, size.quick)

    # the thread

    def _keep(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                ending, kept = self._look()
            self._end(ending)
            if kept is not None:
                self._make_ready(kept)
                continue
            with self._changed:
                if not self._closed and not self._doomed and not any(one.lacks for one in self._able()):
                    self._changed.wait(self._seconds)

    def _able(self) -> list[Kept]:
        now = self._now()
        return [kept for kept in self._pools.values() if kept.retry_ms <= now]

    def _look(self) -> tuple[list[Any], Kept | None]:
        """What is to be ended now, and the pool that gets another driver; that counts as begun."""
        ending, self._doomed = self._doomed, []
        now = self._now()
        for kept in self._pools.values():
            ending += [driver for driver in kept.idle if not driver.alive]
            kept.idle = [driver for driver in kept.idle if driver.alive]
            kept.extra = [until for until in kept.extra if until > now]
            while len(kept.idle) > kept.wanted:
                ending.append(kept.idle.pop())
            if len(kept.idle) >= kept.pool.min_idle:
                kept.errors.clear()
        found = next((kept for kept in self._able() if kept.lacks), None)
        if found is not None:
            found.starting += 1
        return ending, found

    def _make_ready(self, kept: Kept) -> None:
        name = f"{kept.pool.instance_pool_id}-{time.time_ns()}"
        driver, why = None, ""
        try:
            driver = self._fleet.acquire(self._spec(kept.pool, name))
        except (ApiError, DriverFailed) as failed:
            why = failed.message
        except Exception as error:
            logger.exception("instance pool %s", kept.pool.instance_pool_id)
            why = f"internal error: {type(error).__name__}: {error}"
        with self._changed:
            kept.starting -= 1
            if driver is None:
                kept.errors = [*kept.errors, {"instance_id": name, "message": why}][-max(1, kept.pool.min_idle) :]
                kept.retry_ms = self._now() + RETRY_MS
            elif kept.deleted or self._closed:
                self._doomed.append(driver)
            else:
                kept.idle.append(driver)
            self._changed.notify_all()

    def _end(self, drivers: list[Any]) -> None:
        for driver in drivers:
            try:
                self._fleet.discard(driver)
            except Exception:
                logger.exception("a driver of an instance pool")
