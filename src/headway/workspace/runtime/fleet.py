"""The drivers of a workspace: a fresh one for each job cluster, taken from those that stand by where one fits."""

import shutil
import threading
import time
from pathlib import Path

from headway.workspace.runtime.driver import Driver, StartDriver
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec, FileRoots, Runtime

STANDBY_MEMORY_MB = 1024
STANDBY_CORES = 2
_RETRY_SECONDS = 30.0


class DriverFleet:
    """Starts drivers and keeps `standby` of them warm for the default runtime and the smallest node type.

    A driver is handed out once: the one that takes its place is started in the background.
    """

    def __init__(
        self,
        runtime: Runtime,
        roots: FileRoots,
        cache: Path,
        folder: Path,
        standby: int = 0,
        start: StartDriver = Driver.start,
    ) -> None:
        self._runtime, self._roots, self._cache, self._folder = runtime, roots, cache, folder
        self._wanted = standby
        self._start = start
        self._changed = threading.Condition()
        self._warm: list[Driver] = []
        self._taken: set[Driver] = set()
        self._count = 0
        self._starting = 0
        self._closed = False
        self._refiller = threading.Thread(target=self._refill, name="standby", daemon=True)

    def open(self) -> None:
        """Begin to keep warm drivers."""
        if self._wanted:
            self._refiller.start()

    def acquire(self, spec: DriverSpec) -> Driver:
        """A fresh driver for `spec`. Raise DriverFailed where it does not start.

        One that stands by is used where runtime, memory and cores are the same and every Spark setting can be
        set on a running session; its folder is its own then, not `spec.folder`.
        """
        if self._fits(spec):
            with self._changed:
                self._changed.wait_for(lambda: self._warm or not self._starting or self._closed)
                while self._warm:
                    driver = self._warm.pop()
                    self._changed.notify_all()
                    if driver.alive:
                        driver.session_settings = dict(spec.spark_conf)
                        self._taken.add(driver)
                        return driver
        driver = self._start(spec, self._cache)
        with self._changed:
            self._taken.add(driver)
        return driver

    def adopt(self, spec: DriverSpec) -> Driver:
        """The driver that an earlier process left in the spec's folder. Raise DriverFailed where none answers there."""
        driver = Driver.adopt(spec, self._cache)
        driver.session_settings = session_settings(spec)
        with self._changed:
            self._taken.add(driver)
        return driver

    def discard(self, driver: Driver) -> None:
        """End a driver that was handed out."""
        with self._changed:
            self._taken.discard(driver)
        driver.stop()

    def close(self) -> None:
        """End every driver."""
        with self._changed:
            self._closed = True
            drivers = [*self._warm, *self._taken]
            self._warm.clear()
            self._taken.clear()
            self._changed.notify_all()
        for driver in drivers:
            driver.stop()
        if self._refiller.is_alive():
            self._refiller.join(timeout=30)

    def _fits(self, spec: DriverSpec) -> bool:
        return (
            self._wanted > 0
            and spec.runtime == self._runtime
            and (spec.memory_mb, spec.cores) == (STANDBY_MEMORY_MB, STANDBY_CORES)
            and spec.quick
            and not spec.env
            and not spec.init_scripts
            and spec.executors is None
            and session_settings(spec) == spec.spark_conf
        )

    def _refill(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._warm) < self._wanted)
                if self._closed:
                    return
                self._count += 1
                self._starting += 1
                name = f"standby-{time.time_ns()}-{self._count}"
            driver = None
            folder = self._folder / name
            try:
                spec = DriverSpec(
                    name, self._runtime, folder, self._roots, STANDBY_MEMORY_MB, STANDBY_CORES, quick=True
                )
                driver = self._start(spec, self._cache)
            except DriverFailed:
                shutil.rmtree(folder, ignore_errors=True)
            with self._changed:
                self._starting -= 1
                if driver is not None and not self._closed:
                    self._warm.append(driver)
                self._changed.notify_all()
                if driver is None:
                    self._changed.wait_for(lambda: self._closed, timeout=_RETRY_SECONDS)
            if driver is not None and self._closed:
                driver.stop()


def session_settings(spec: DriverSpec) -> dict[str, str]:
    """Those of a driver's settings that a running session can take."""
    return {
        key: value
        for key, value in spec.spark_conf.items()
        if key.startswith("spark.sql.") and key not in STATIC_SETTINGS
    }


# Settings below spark.sql. that a running session cannot take (StaticSQLConf, Spark 4.3.0).
STATIC_SETTINGS = frozenset(
    {
        "spark.sql.warehouse.dir",
        "spark.sql.catalogImplementation",
        "spark.sql.extensions",
        "spark.sql.globalTempDatabase",
        "spark.sql.queryExecutionListeners",
        "spark.sql.streaming.streamingQueryListeners",
        "spark.sql.streaming.ui.enabled",
        "spark.sql.ui.retainedExecutions",
        "spark.sql.cache.serializer",
        "spark.sql.filesourceTableRelationCacheSize",
        "spark.sql.broadcastExchange.maxThreadThreshold",
        "spark.sql.event.truncate.length",
        "spark.sql.artifact.copyFromLocalToFs.allowDestLocal",
    }
)
