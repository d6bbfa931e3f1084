"""Experiments and runs in the database."""

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError, conflict, missing
from headway.workspace.services.mlflow.model import ACTIVE, RUN_NAME, Experiment, Metric, TrackedRun, latest, new_params
from headway.workspace.services.mlflow.tables import experiments, metrics, runs

ARTIFACTS = "dbfs:/mlflow-artifacts"


class TrackingStore:
    """Experiments by id and name, runs by id. Methods may raise ApiError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_experiment(self, name: str, location: str | None, tags: Mapping[str, str], creator: str) -> int:
        """A new one. Raise ApiError RESOURCE_ALREADY_EXISTS."""
        now = now_ms()
        row = {
            "name": name,
            "artifact_location": location or "",
            "lifecycle_stage": ACTIVE,
            "creation_time": now,
            "last_update_time": now,
            "tags": dict(tags),
            "creator": creator,
        }
        try:
            with self._engine.begin() as connection:
                created = connection.execute(insert(experiments).values(row)).inserted_primary_key
                key = int(created[0]) if created else 0
                if not location:
                    place = f"{ARTIFACTS}/{key}"
                    query = update(experiments).where(experiments.c.experiment_id == key)
                    connection.execute(query.values(artifact_location=place))
        except IntegrityError:
            raise conflict(f"Node named '{name}' already exists") from None
        return key

    def experiment(self, experiment_id: int) -> Experiment:
        """Raise ApiError."""
        return self._one(experiments.c.experiment_id == experiment_id, f"No experiment with ID {experiment_id} exists")

    def experiment_by_name(self, name: str) -> Experiment:
        """Raise ApiError."""
        return self._one(experiments.c.name == name, f"Node {name} does not exist.")

    def _one(self, condition: Any, message: str) -> Experiment:
        with self._engine.connect() as connection:
            row = connection.execute(select(experiments).where(condition)).one_or_none()
        if row is None:
            raise missing(message)
        return Experiment(**row._mapping)

    def experiments(self) -> list[Experiment]:
        """All, the newest change first."""
        query = select(experiments).order_by(experiments.c.last_update_time.desc(), experiments.c.experiment_id.desc())
        with self._engine.connect() as connection:
            return [Experiment(**row._mapping) for row in connection.execute(query)]

    def change_experiment(self, experiment_id: int, **values: Any) -> None:
        """Set columns. Raise ApiError."""
        self.experiment(experiment_id)
        query = update(experiments).where(experiments.c.experiment_id == experiment_id)
        try:
            with self._engine.begin() as connection:
                connection.execute(query.values(last_update_time=now_ms(), **values))
        except IntegrityError:
            raise conflict(f"Node named '{values.get('name')}' already exists") from None

    def create_run(
        self, experiment_id: int, name: str, user: str, started: int | None, tags: Mapping[str, str]
    ) -> TrackedRun:
        """A new run of an active experiment. Raise ApiError."""
        found = self.experiment(experiment_id)
        if found.lifecycle_stage != ACTIVE:
            raise ApiError("INVALID_STATE", f"The experiment {experiment_id} must be in the 'active' state.")
        run_id = uuid.uuid4().hex
        row: dict[str, Any] = {
            "run_id": run_id,
            "experiment_id": experiment_id,
            "run_name": name,
            "user_id": user,
            "status": "RUNNING",
            "start_time": now_ms() if started is None else started,
            "end_time": None,
            "artifact_uri": f"{found.artifact_location}/{run_id}/artifacts",
            "lifecycle_stage": ACTIVE,
            "params": {},
            "tags": {**tags, RUN_NAME: name},
            "inputs": [],
        }
        with self._engine.begin() as connection:
            connection.execute(insert(runs).values(row))
        return TrackedRun(**row)

    def run(self, run_id: str) -> TrackedRun:
        """Raise ApiError."""
        with self._engine.connect() as connection:
            return self._run(connection, run_id)

    def _run(self, connection: Connection, run_id: str) -> TrackedRun:
        row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
        if row is None:
            raise missing(f"Run '{run_id}' not found.")
        query = select(metrics).where(metrics.c.run_id == run_id).order_by(metrics.c.metric_id)
        return TrackedRun(**row._mapping, metrics=latest([metric_of(found) for found in connection.execute(query)]))

    def runs(self, experiment_ids: Sequence[int], stages: Sequence[str]) -> list[TrackedRun]:
        """Every run of these experiments, with its last metrics."""
        among = runs.c.experiment_id.in_(experiment_ids) & runs.c.lifecycle_stage.in_(stages)
        logged = select(metrics).join(runs, runs.c.run_id == metrics.c.run_id).where(among)
        history: dict[str, list[Metric]] = {}
        with self._engine.connect() as connection:
            rows = list(connection.execute(select(runs).where(among)))
            for found in connection.execute(logged.order_by(metrics.c.metric_id)):
                history.setdefault(found.run_id, []).append(metric_of(found))
        return [TrackedRun(**row._mapping, metrics=latest(history.get(row.run_id, []))) for row in rows]

    def change_run(self, run_id: str, **values: Any) -> TrackedRun:
        """Set columns. Raise ApiError."""
        with self._engine.begin() as connection:
            self._run(connection, run_id)
            if values:
                connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))
            return self._run(connection, run_id)

    def log(self, run_id: str, logged: Sequence[Metric], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Keep what was logged, all of it or nothing. Raise ApiError."""
        rows = [
            {
                "run_id": run_id,
                "key": entry.key,
                "value": entry.value if math.isfinite(entry.value) else None,
                "text": None if math.isfinite(entry.value) else str(entry.value),
                "timestamp": entry.timestamp,
                "step": entry.step,
                "model_id": entry.model_id,
                "dataset_name": entry.dataset_name,
                "dataset_digest": entry.dataset_digest,
            }
            for entry in logged
        ]
        with self._engine.begin() as connection:
            found = self._run(connection, run_id)
            if found.lifecycle_stage != ACTIVE:
                raise ApiError("INVALID_STATE", f"The run {run_id} must be in the 'active' state.")
            values: dict[str, Any] = {}
            if params:
                values["params"] = new_params(found.params, params, run_id)
            if tags:
                values["tags"] = {**found.tags, **tags}
                values["run_name"] = tags.get(RUN_NAME, found.run_name)
            if values:
                connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))
            if rows:
                connection.execute(insert(metrics), rows)

    def remove_tag(self, run_id: str, key: str) -> None:
        """Raise ApiError where the run has no such tag."""
        found = self.run(run_id)
        if key not in found.tags:
            raise missing(f"No tag with name: {key} in run with id {run_id}")
        self.change_run(run_id, tags={name: value for name, value in found.tags.items() if name != key})

    def history(self, run_id: str, key: str) -> list[Metric]:
        """Every value of a metric, in the order in which it was logged. Raise ApiError."""
        self.run(run_id)
        query = select(metrics).where(metrics.c.run_id == run_id, metrics.c.key == key).order_by(metrics.c.metric_id)
        with self._engine.connect() as connection:
            return [metric_of(row) for row in connection.execute(query)]


def metric_of(row: Row[Any]) -> Metric:
    """A row of the table of metrics."""
    value = row.value if row.text is None else float(row.text)
    return Metric(row.key, value, row.timestamp, row.step, row.model_id, row.dataset_name, row.dataset_digest)
