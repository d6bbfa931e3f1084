"""MLflow tracking over HTTP: `/api/2.0/mlflow/…`, as the official client calls it."""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.workspace.clock import now_ms
from headway.workspace.errors import ApiError, invalid, malformed
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.services.mlflow import model, search
from headway.workspace.services.mlflow.logged_store import LoggedModelStore
from headway.workspace.services.mlflow.store import TrackingStore

MAX_RESULTS = 50_000
VIEWS = {
    "ACTIVE_ONLY": (model.ACTIVE,),
    "DELETED_ONLY": (model.DELETED,),
    "ALL": (model.ACTIVE, model.DELETED),
}
# What lists the files below a `dbfs:/` folder: (path, is_dir, size in bytes).
ListFiles = Callable[[str], list[tuple[str, bool, int]]]


class TrackingRoutes:
    """The routes, over one store. `files` lists artifacts; it may raise ApiError."""

    def __init__(self, store: TrackingStore, models: LoggedModelStore, files: ListFiles) -> None:
        self._store, self._models, self._files = store, models, files

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        served: list[tuple[str, str, Callable[[Call], Data]]] = [
            ("POST", "experiments/create", self.create_experiment),
            ("GET", "experiments/get", self.get_experiment),
            ("GET", "experiments/get-by-name", self.get_experiment_by_name),
            ("GET", "experiments/list", self.list_experiments),
            ("POST", "experiments/search", self.search_experiments),
            ("POST", "experiments/update", self.update_experiment),
            ("POST", "experiments/delete", self.delete_experiment),
            ("POST", "experiments/restore", self.restore_experiment),
            ("POST", "experiments/set-experiment-tag", self.set_experiment_tag),
            ("POST", "runs/create", self.create_run),
            ("GET", "runs/get", self.get_run),
            ("POST", "runs/update", self.update_run),
            ("POST", "runs/delete", self.delete_run),
            ("POST", "runs/restore", self.restore_run),
            ("POST", "runs/search", self.search_runs),
            ("POST", "runs/log-metric", self.log_metric),
            ("POST", "runs/log-parameter", self.log_parameter),
            ("POST", "runs/set-tag", self.set_tag),
            ("POST", "runs/delete-tag", self.delete_tag),
            ("POST", "runs/log-batch", self.log_batch),
            ("POST", "runs/log-inputs", self.log_inputs),
            ("POST", "runs/outputs", self.log_outputs),
            ("POST", "runs/log-model", self.log_model),
            ("GET", "metrics/get-history", self.metric_history),
            ("GET", "artifacts/list", self.list_artifacts),
        ]
        return [Endpoint(method, f"/mlflow/{path}", handler) for method, path, handler in served]

    # experiments

    def create_experiment(self, call: Call) -> Data:
        """A new experiment; its name is an absolute path."""
        name = model.check_name(text(call.data, "name"))
        location = text(call.data, "artifact_location", "") or None
        tags = model.mapping(call.data.get("tags"), "tags", model.MAX_TAG)
        return {"experiment_id": str(self._store.create_experiment(name, location, tags, call.user))}

    def get_experiment(self, call: Call) -> Data:
        """One."""
        return {"experiment": self._store.experiment(number(call.data, "experiment_id")).to_json()}

    def get_experiment_by_name(self, call: Call) -> Data:
        """One."""
        return {"experiment": self._store.experiment_by_name(text(call.data, "experiment_name")).to_json()}

    def list_experiments(self, call: Call) -> Data:
        """Those of a view."""
        return self.search_experiments(call)

    def search_experiments(self, call: Call) -> Data:
        """Those that a filter holds for."""
        conditions = search.parse_filter(text(call.data, "filter", ""))
        stages = _view(call.data, "view_type")
        found = [
            experiment
            for experiment in self._store.experiments()
            if experiment.lifecycle_stage in stages
            and search.matches_experiment(experiment, conditions)
            and call.allows("experiments", experiment.experiment_id, "CAN_READ")
        ]
        shown, following = page(found, call.data)
        return {"experiments": [experiment.to_json() for experiment in shown], **following}

    def update_experiment(self, call: Call) -> Data:
        """Another name."""
        name = model.check_name(text(call.data, "new_name"))
        call.require("new-paths", name, "CAN_EDIT")
        self._store.change_experiment(number(call.data, "experiment_id"), name=name)
        return {}

    def delete_experiment(self, call: Call) -> Data:
        """Mark one as deleted; it can be restored."""
        self._store.change_experiment(number(call.data, "experiment_id"), lifecycle_stage=model.DELETED)
        return {}

    def restore_experiment(self, call: Call) -> Data:
        """Take that back."""
        self._store.change_experiment(number(call.data, "experiment_id"), lifecycle_stage=model.ACTIVE)
        return {}

    def set_experiment_tag(self, call: Call) -> Data:
        """One tag."""
        found = self._store.experiment(number(call.data, "experiment_id"))
        given = model.mapping([call.data], "tag", model.MAX_TAG)
        self._store.change_experiment(found.experiment_id, tags={**found.tags, **given})
        return {}

    # runs

    def create_run(self, call: Call) -> Data:
        """A run that has begun."""
        tags = model.mapping(call.data.get("tags"), "tags", model.MAX_TAG)
        name = text(call.data, "run_name", "") or tags.get(model.RUN_NAME) or f"run-{now_ms()}"
        started = number(call.data, "start_time", -1)
        experiment = number(call.data, "experiment_id")
        user = text(call.data, "user_id", "") or call.user
        run = self._store.create_run(experiment, name, user, None if started < 0 else started, tags)
        return {"run": run.to_json()}

    def get_run(self, call: Call) -> Data:
        """One."""
        return {"run": self._store.run(_run_id(call.data)).to_json()}

    def update_run(self, call: Call) -> Data:
        """Its status, end or name."""
        values: dict[str, Any] = {}
        run = self._store.run(_run_id(call.data))
        if "status" in call.data:
            status = call.data["status"]
            if status not in model.STATUSES:
                raise invalid(f"Invalid run status {status!r}. One of {', '.join(model.STATUSES)}")
            values["status"] = status
        if "end_time" in call.data:
            values["end_time"] = number(call.data, "end_time")
        if call.data.get("run_name"):
            values["run_name"] = text(call.data, "run_name")
            values["tags"] = {**run.tags, model.RUN_NAME: values["run_name"]}
        return {"run_info": self._store.change_run(run.run_id, **values).info()}

    def delete_run(self, call: Call) -> Data:
        """Mark one as deleted; it can be restored."""
        self._store.change_run(_run_id(call.data), lifecycle_stage=model.DELETED)
        return {}

    def restore_run(self, call: Call) -> Data:
        """Take that back."""
        self._store.change_run(_run_id(call.data), lifecycle_stage=model.ACTIVE)
        return {}

    def search_runs(self, call: Call) -> Data:
        """Runs of experiments that a filter holds for, in order."""
        conditions = search.parse_filter(text(call.data, "filter", ""))
        given = call.data.get("experiment_ids") or []
        order = call.data.get("order_by") or []
        if not isinstance(given, list) or not isinstance(order, list) or not all(isinstance(o, str) for o in order):
            raise malformed("Could not parse request object: Expected array for experiment_ids and order_by")
        ids = [number({"experiment_id": entry}, "experiment_id") for entry in given]
        for experiment_id in ids:
            call.require("experiments", experiment_id, "CAN_READ")
        runs = self._store.runs(ids, _view(call.data, "run_view_type"))
        found = search.ordered([run for run in runs if search.matches_run(run, conditions)], order)
        shown, following = page(found, call.data)
        return {"runs": [run.to_json() for run in shown], **following}

    def log_metric(self, call: Call) -> Data:
        """One value."""
        self._log(_run_id(call.data), [model.metric(call.data, now_ms())], {}, {})
        return {}

    def log_parameter(self, call: Call) -> Data:
        """One parameter, which never changes."""
        given = model.mapping([call.data], "param", model.MAX_PARAMETER)
        self._store.log(_run_id(call.data), [], given, {})
        return {}

    def set_tag(self, call: Call) -> Data:
        """One tag."""
        self._store.log(_run_id(call.data), [], {}, model.mapping([call.data], "tag", model.MAX_TAG))
        return {}

    def delete_tag(self, call: Call) -> Data:
        """Remove one."""
        self._store.remove_tag(_run_id(call.data), text(call.data, "key"))
        return {}

    def log_batch(self, call: Call) -> Data:
        """Many at once, all of them or none."""
        metrics = model.objects(call.data.get("metrics"), "metrics")
        params = model.objects(call.data.get("params"), "params")
        tags = model.objects(call.data.get("tags"), "tags")
        limits = (
            (metrics, model.MAX_METRICS, "metrics"),
            (params, model.MAX_PARAMETERS, "params"),
            (tags, model.MAX_TAGS, "tags"),
        )
        for entries, most, name in limits:
            if len(entries) > most:
                raise invalid(f"A batch logging request can contain at most {most} {name}. Got {len(entries)}.")
        self._log(
            _run_id(call.data),
            [model.metric(entry, now_ms()) for entry in metrics],
            model.mapping(params, "params", model.MAX_PARAMETER),
            model.mapping(tags, "tags", model.MAX_TAG),
        )
        return {}

    def _log(
        self, run_id: str, metrics: Sequence[model.Metric], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Keep what was logged. Metrics may tell of logged models, but only of those of the run's own experiment."""
        named = {found.model_id for found in metrics if found.model_id is not None}
        for model_id in named:
            self._models.of_experiment(model_id, self._store.run(run_id).experiment_id)
        self._store.log(run_id, metrics, params, tags)

    def log_inputs(self, call: Call) -> Data:
        """The data sets and the logged models that a run read."""
        run = self._store.run(_run_id(call.data))
        given = model.objects(call.data.get("datasets"), "datasets")
        self._store.change_run(run.run_id, inputs=[*run.inputs, *given], models=self._with(call, run, "inputs"))
        return {}

    def log_outputs(self, call: Call) -> Data:
        """The logged models that a run made."""
        run = self._store.run(_run_id(call.data))
        self._store.change_run(run.run_id, models=self._with(call, run, "outputs"))
        return {}

    def _with(self, call: Call, run: model.TrackedRun, what: str) -> Data:
        """The models of a run with those that are told now: of the run's own experiment, each once."""
        held = dict(run.models or {})
        for entry in model.objects(call.data.get("models"), "models"):
            model_id = text(entry, "model_id")
            self._models.of_experiment(model_id, run.experiment_id)
            told = {"model_id": model_id, **({"step": number(entry, "step", 0)} if what == "outputs" else {})}
            held[what] = [one for one in held.get(what, []) if one != told] + [told]
        return held

    def log_model(self, call: Call) -> Data:
        """What MLflow 2 tells of a model that it has logged as a run's artifact: kept as MLflow's own server does."""
        run = self._store.run(_run_id(call.data))
        self._store.log(run.run_id, [], {}, {model.HISTORY: model.with_model(run, text(call.data, "model_json"))})
        return {}

    def metric_history(self, call: Call) -> Data:
        """Every value of a metric."""
        found = self._store.history(_run_id(call.data), text(call.data, "metric_key"))
        shown, following = page(found, call.data, MAX_RESULTS)
        return {"metrics": [entry.to_json() for entry in shown], **following}

    def list_artifacts(self, call: Call) -> Data:
        """The files below a run's artifact folder."""
        run = self._store.run(_run_id(call.data))
        below = text(call.data, "path", "").strip("/")
        if ".." in below.split("/"):
            raise invalid(f"Invalid path: {below}")
        root = run.artifact_uri
        if not root.startswith("dbfs:/"):
            raise invalid(f"artifacts of this run are at {root}, which this workspace cannot list")
        base = root.removeprefix("dbfs:")
        try:
            found = self._files(posixpath.join(base, below) if below else base)
        except ApiError as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            found = []
        files = [
            {"path": posixpath.relpath(path, base), "is_dir": is_dir, **({} if is_dir else {"file_size": size})}
            for path, is_dir, size in found
        ]
        return {"root_uri": root, "files": files}


def _run_id(data: Data) -> str:
    """Old clients send `run_uuid`."""
    return text(data, "run_id" if data.get("run_id") else "run_uuid")


def _view(data: Data, name: str) -> tuple[str, ...]:
    given = data.get(name) or "ACTIVE_ONLY"
    if not isinstance(given, str) or given not in VIEWS:
        raise invalid(f"Invalid {name} {given!r:.100}. One of {', '.join(VIEWS)}")
    return VIEWS[given]


def page(found: Sequence[Any], data: Data, default: int = model.MAX_BATCH) -> tuple[Sequence[Any], Data]:
    """The page that `page_token` and `max_results` name, and the token of the next."""
    most = number(data, "max_results", default) or default
    if not 0 < most <= MAX_RESULTS:
        raise invalid(f"Invalid value {most} for parameter 'max_results': it must be from 1 to {MAX_RESULTS}")
    first = number(data, "page_token", 0) if data.get("page_token") else 0
    if first < 0:
        raise invalid("page_token is not one that this workspace gave")
    rest = {"next_page_token": str(first + most)} if first + most < len(found) else {}
    return found[first : first + most], rest
