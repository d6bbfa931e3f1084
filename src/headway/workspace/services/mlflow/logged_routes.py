"""Logged models over HTTP: `/api/2.0/mlflow/logged-models`, as MLflow 3 calls it."""

from collections.abc import Sequence

from headway.workspace.errors import malformed
from headway.workspace.http import Call, Data, Endpoint, flag, number, text
from headway.workspace.services.mlflow import model, search
from headway.workspace.services.mlflow.logged_models import check_name, check_type, ended
from headway.workspace.services.mlflow.logged_store import LoggedModelStore
from headway.workspace.services.mlflow.routes import page
from headway.workspace.services.mlflow.store import TrackingStore

MOST_FOUND = 50


class LoggedModelRoutes:
    """The routes. Who may read or edit a model's experiment may do so with the model."""

    def __init__(self, store: TrackingStore, models: LoggedModelStore) -> None:
        self._store, self._models = store, models

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        one = "/mlflow/logged-models/{model_id}"
        return [
            Endpoint("POST", "/mlflow/logged-models", self.create),
            Endpoint("POST", "/mlflow/logged-models/search", self.search),
            Endpoint("GET", one, self.get),
            Endpoint("PATCH", one, self.finalize),
            Endpoint("DELETE", one, self.delete),
            Endpoint("POST", f"{one}/params", self.add_params),
            Endpoint("PATCH", f"{one}/tags", self.set_tags),
            Endpoint("DELETE", f"{one}/tags/{{tag_key}}", self.delete_tag),
        ]

    def create(self, call: Call) -> Data:
        """A new one, pending until it is finalized; its files go below its `artifact_uri`."""
        experiment = self._store.experiment(number(call.data, "experiment_id"))
        run_id = text(call.data, "source_run_id", "")
        if run_id and self._store.run(run_id).experiment_id != experiment.experiment_id:
            raise malformed(f"Could not parse request object: run {run_id} is not of this experiment")
        values = {
            "name": check_name(text(call.data, "name", "") or "model"),
            "model_type": check_type(text(call.data, "model_type", "")),
            "source_run_id": run_id,
            "creator": call.user,
            "params": model.mapping(call.data.get("params"), "params", model.MAX_PARAMETER),
            "tags": model.mapping(call.data.get("tags"), "tags", model.MAX_TAG),
        }
        return {"model": self._models.create(experiment, values).to_json()}

    def get(self, call: Call) -> Data:
        """One."""
        found = self._models.get(call.path["model_id"], deleted=flag(call.data, "allow_deleted"))
        return {"model": found.to_json()}

    def finalize(self, call: Call) -> Data:
        """Its files are there, or could not be brought."""
        found = self._models.change(call.path["model_id"], status=ended(call.data.get("status")))
        return {"model": found.to_json()}

    def delete(self, call: Call) -> Data:
        """Forget one; its files stay."""
        self._models.change(call.path["model_id"], deleted=True)
        return {}

    def add_params(self, call: Call) -> Data:
        """More parameters."""
        given = model.mapping(call.data.get("params"), "params", model.MAX_PARAMETER)
        self._models.add_params(call.path["model_id"], given)
        return {}

    def set_tags(self, call: Call) -> Data:
        """More tags, or other values."""
        found = self._models.get(call.path["model_id"])
        given = model.mapping(call.data.get("tags"), "tags", model.MAX_TAG)
        return {"model": self._models.change(found.model_id, tags={**found.tags, **given}).to_json()}

    def delete_tag(self, call: Call) -> Data:
        """One tag less."""
        found, key = self._models.get(call.path["model_id"]), call.path["tag_key"]
        self._models.change(found.model_id, tags={name: value for name, value in found.tags.items() if name != key})
        return {}

    def search(self, call: Call) -> Data:
        """Those of experiments that a filter holds for, in order."""
        conditions = search.parse_filter(text(call.data, "filter", ""))
        given = call.data.get("experiment_ids") or []
        if not isinstance(given, list):
            raise malformed("Could not parse request object: Expected array for field experiment_ids")
        ids = [self._store.experiment(number({"id": entry}, "id")).experiment_id for entry in given]
        for experiment_id in ids:
            call.require("experiments", experiment_id, "CAN_READ")
        wanted = [
            (text(entry, "dataset_name"), entry.get("dataset_digest"))
            for entry in model.objects(call.data.get("datasets"), "datasets")
        ]
        order = [
            (text(entry, "field_name"), flag(entry, "ascending", True))
            for entry in model.objects(call.data.get("order_by"), "order_by")
        ]
        found = [search.on_datasets(one, wanted) for one in self._models.of_experiments(ids)]
        ordered = search.models_in_order([one for one in found if search.matches_model(one, conditions)], order)
        shown, following = page(ordered, call.data, MOST_FOUND)
        return {"models": [self._models.get(one.model_id).to_json() for one in shown], **following}
