"""The engine in figures for Prometheus, read from the database when somebody asks."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from headway.pipeline.drift import DriftWatch
from headway.pipeline.model import RUN_STATES
from headway.pipeline.service import PipelineService
from headway.pipeline.tables import deliveries, deployments, notifications, runs, steps, workers

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class EngineCollector(Collector):
    """What the database knows, so that every server and worker would say the same and a restart loses nothing."""

    def __init__(self, service: PipelineService, drift: DriftWatch) -> None:
        self._db, self._drift = service.database, drift

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        by_state = dict.fromkeys(RUN_STATES, 0)
        rows = self._db.run(lambda c: c.execute(select(runs.c.state, func.count()).group_by(runs.c.state)).all())
        by_state |= {str(state): int(count) for state, count in rows}  # type: ignore[misc]
        gauge = GaugeMetricFamily("headway_runs", "Runs by state.", labels=["state"])
        for state, count in by_state.items():
            gauge.add_metric([state], count)
        yield gauge

        oldest = self._db.run(
            lambda c: c.execute(
                select(func.min(runs.c.created_ms)).where(runs.c.state.in_(("waiting", "ready")))
            ).scalar()
        )
        age = max(0.0, time.time() - oldest / 1000) if oldest else 0.0
        yield GaugeMetricFamily("headway_oldest_waiting_run_seconds", "Age of the oldest run that waits.", value=age)

        ended = CounterMetricFamily("headway_steps", "Steps that ended, by name and state.", labels=["step", "state"])
        took = CounterMetricFamily("headway_step_seconds", "Time in steps, by name.", labels=["step"])
        query = select(steps.c.name, steps.c.state, func.count(), func.sum(steps.c.seconds)).group_by(
            steps.c.name, steps.c.state
        )
        seconds: dict[str, float] = {}
        for name, state, count, total in self._db.run(lambda c: c.execute(query).all()):
            if state != "running":
                ended.add_metric([name, state], count)
            seconds[name] = seconds.get(name, 0.0) + float(total or 0)
        for name, value in seconds.items():
            took.add_metric([name], value)
        yield ended
        yield took

        deployed = CounterMetricFamily(
            "headway_deployments", "Deployments by outcome.", labels=["app", "environment", "outcome"]
        )
        grouped = (deployments.c.app, deployments.c.environment, deployments.c.outcome)
        for app, environment, outcome, count in self._db.run(
            lambda c: c.execute(select(*grouped, func.count()).group_by(*grouped)).all()
        ):
            deployed.add_metric([app, environment, outcome], count)
        yield deployed

        hooked = self._db.run(lambda c: c.execute(select(func.count()).select_from(deliveries)).scalar_one())
        yield CounterMetricFamily("headway_webhooks", "Webhooks that were genuine.", value=hooked)
        unsent = self._db.run(
            lambda c: c.execute(
                select(func.count()).select_from(notifications).where(notifications.c.sent_ms.is_(None))
            ).scalar_one()
        )
        yield GaugeMetricFamily("headway_unsent_notifications", "News that nobody has taken yet.", value=unsent)
        alive = self._db.run(
            lambda c: c.execute(
                select(func.count()).select_from(workers).where(workers.c.state == "alive")
            ).scalar_one()
        )
        yield GaugeMetricFamily("headway_workers", "Processes that execute runs.", value=alive)
        drifted = GaugeMetricFamily(
            "headway_drifted_jobs",
            "Jobs that were changed by hand, when the workspace was asked last.",
            labels=["app", "environment"],
        )
        for app, environment, count in self._drift.counts():
            drifted.add_metric([app, environment], count)
        yield drifted


def exposition(service: PipelineService, drift: DriftWatch) -> bytes:
    """The figures in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(EngineCollector(service, drift))
    return generate_latest(registry)
