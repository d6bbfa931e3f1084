"""Logged models in the database."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError, invalid, missing
from headway.workspace.services.mlflow.logged_models import PENDING, LoggedModel
from headway.workspace.services.mlflow.model import ACTIVE, Experiment, Metric, new_params
from headway.workspace.services.mlflow.store import metric_of
from headway.workspace.services.mlflow.tables import logged_models, metrics


class LoggedModelStore:
    """Models by id. Methods may raise ApiError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, experiment: Experiment, values: Mapping[str, Any]) -> LoggedModel:
        """A new one that is pending. `values` are its name, type, run, creator, params and tags."""
        if experiment.lifecycle_stage != ACTIVE:
            raise ApiError("INVALID_STATE", f"The experiment {experiment.experiment_id} must be in the 'active' state.")
        model_id, now = f"m-{uuid.uuid4().hex}", now_ms()
        row = {
            "model_id": model_id,
            "experiment_id": experiment.experiment_id,
            "status": PENDING,
            "artifact_uri": f"{experiment.artifact_location}/models/{model_id}/artifacts",
            "created_ms": now,
            "updated_ms": now,
            "deleted": False,
            **values,
        }
        with self._engine.begin() as connection:
            connection.execute(insert(logged_models).values(row))
        return LoggedModel(**row)

    def get(self, model_id: str, *, deleted: bool = False) -> LoggedModel:
        """One; one that was deleted only with `deleted`."""
        with self._engine.connect() as connection:
            return self._get(connection, model_id, deleted)

    def _get(self, connection: Connection, model_id: str, deleted: bool) -> LoggedModel:
        query = select(logged_models).where(logged_models.c.model_id == model_id)
        row = connection.execute(query).one_or_none()
        if row is None or (row.deleted and not deleted):
            raise missing(f"Logged model with ID '{model_id[:100]}' not found.")
        return _with_metrics(connection, [row])[0]

    def of_experiment(self, model_id: str, experiment_id: int) -> LoggedModel:
        """One of an experiment: who may read that may read it."""
        found = self.get(model_id)
        if found.experiment_id != experiment_id:
            raise invalid(f"Logged model {model_id} is not of experiment {experiment_id}")
        return found

    def of_experiments(self, experiment_ids: Sequence[int]) -> list[LoggedModel]:
        """All of these experiments that were not deleted."""
        among = logged_models.c.experiment_id.in_(experiment_ids) & logged_models.c.deleted.is_(False)
        with self._engine.connect() as connection:
            return _with_metrics(connection, list(connection.execute(select(logged_models).where(among))))

    def change(self, model_id: str, **values: Any) -> LoggedModel:
        """Set columns."""
        query = update(logged_models).where(logged_models.c.model_id == model_id)
        with self._engine.begin() as connection:
            self._get(connection, model_id, False)
            connection.execute(query.values(updated_ms=now_ms(), **values))
            return self._get(connection, model_id, True)

    def add_params(self, model_id: str, given: Mapping[str, str]) -> LoggedModel:
        """More parameters, each of which is logged once."""
        return self.change(model_id, params=new_params(self.get(model_id).params, given, model_id))


def _with_metrics(connection: Connection, rows: Sequence[Row[Any]]) -> list[LoggedModel]:
    ids = [row.model_id for row in rows]
    last: dict[str, dict[tuple[Any, ...], Metric]] = {}
    query = select(metrics).where(metrics.c.model_id.in_(ids)).order_by(metrics.c.step, metrics.c.metric_id)
    for row in connection.execute(query) if ids else ():
        found = metric_of(row)
        last.setdefault(row.model_id, {})[(found.key, found.dataset_name, found.dataset_digest)] = found
    return [LoggedModel(**row._mapping, metrics=tuple(last.get(row.model_id, {}).values())) for row in rows]
