"""Experiments, runs and what they logged, as the MLflow REST API tells of them. Pure.

Source: MLflow documentation, "REST API" (2.0), and Databricks, "MLflow experiments" (names are absolute paths).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headway.workspace.errors import invalid, malformed

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
ACTIVE, DELETED = "active", "deleted"
MAX_KEY, MAX_PARAMETER, MAX_TAG = 250, 6000, 8000
MAX_HISTORY = 1_000_000
MAX_METRICS, MAX_PARAMETERS, MAX_TAGS, MAX_BATCH = 1000, 100, 100, 1000
RUN_NAME = "mlflow.runName"
HISTORY = "mlflow.log-model.history"


@dataclass(frozen=True)
class Experiment:
    """An experiment. Times in milliseconds since 1970."""

    experiment_id: int
    name: str
    artifact_location: str
    lifecycle_stage: str
    creation_time: int
    last_update_time: int
    tags: Mapping[str, str] = field(default_factory=dict)
    creator: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `experiments/get` answers it."""
        return {
            "experiment_id": str(self.experiment_id),
            "name": self.name,
            "artifact_location": self.artifact_location,
            "lifecycle_stage": self.lifecycle_stage,
            "creation_time": self.creation_time,
            "last_update_time": self.last_update_time,
            "tags": pairs(self.tags),
        }


@dataclass(frozen=True)
class Metric:
    """One logged value; of a logged model where `model_id` names one, on a data set where that is named."""

    key: str
    value: float
    timestamp: int
    step: int
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the API answers it: JSON has neither NaN nor infinities, so these are text."""
        value: float | str = self.value
        if math.isnan(self.value):
            value = "NaN"
        elif math.isinf(self.value):
            value = "Infinity" if self.value > 0 else "-Infinity"
        about = {
            name: getattr(self, name)
            for name in ("model_id", "dataset_name", "dataset_digest")
            if getattr(self, name) is not None
        }
        return {"key": self.key, "value": value, "timestamp": self.timestamp, "step": self.step, **about}


@dataclass(frozen=True)
class TrackedRun:
    """A run. `metrics` are the last values by key, `models` the logged models that are its `inputs` and `outputs`."""

    run_id: str
    experiment_id: int
    run_name: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None
    artifact_uri: str
    lifecycle_stage: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    inputs: Sequence[Mapping[str, Any]]
    models: Mapping[str, Any] | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def info(self) -> dict[str, Any]:
        """The `info` block."""
        data: dict[str, Any] = {
            "run_id": self.run_id,
            "run_uuid": self.run_id,
            "run_name": self.run_name,
            "experiment_id": str(self.experiment_id),
            "user_id": self.user_id,
            "status": self.status,
            "start_time": self.start_time,
            "artifact_uri": self.artifact_uri,
            "lifecycle_stage": self.lifecycle_stage,
        }
        if self.end_time is not None:
            data["end_time"] = self.end_time
        return data

    def to_json(self) -> dict[str, Any]:
        """As `runs/get` answers it."""
        return {
            "info": self.info(),
            "data": {
                "metrics": [metric.to_json() for metric in self.metrics.values()],
                "params": pairs(self.params),
                "tags": pairs(self.tags),
            },
            "inputs": {"dataset_inputs": list(self.inputs), "model_inputs": (self.models or {}).get("inputs", [])},
            "outputs": {"model_outputs": (self.models or {}).get("outputs", [])},
        }


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as MLflow's list of keys and values."""
    return [{"key": key, "value": value} for key, value in values.items()]


def mapping(entries: object, name: str, longest: int) -> dict[str, str]:
    """The mapping behind such a list. Raise ApiError where it is none, or a key or value is too long."""
    found: dict[str, str] = {}
    for entry in objects(entries, name):
        key, value = entry.get("key"), entry.get("value", "")
        if not isinstance(key, str) or not key or len(key) > MAX_KEY:
            raise invalid(f"{name}: a key must be text of 1 to {MAX_KEY} characters")
        if not isinstance(value, str) or len(value) > longest:
            raise invalid(f"{name}: the value of {key} must be text of at most {longest} characters")
        found[key] = value
    return found


def objects(entries: object, name: str) -> list[Mapping[str, Any]]:
    """A list of objects; an absent one is empty. Raise ApiError."""
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise malformed(f"Could not parse request object: Expected array of objects for field {name}")
    return entries


def metric(entry: Mapping[str, Any], now: int) -> Metric:
    """A metric as a client sends it. Raise ApiError."""
    key = entry.get("key")
    if not isinstance(key, str) or not key or len(key) > MAX_KEY:
        raise invalid(f"A metric's key must be text of 1 to {MAX_KEY} characters")
    try:
        if isinstance(entry.get("value"), bool):
            raise TypeError
        value = float(entry["value"])
        timestamp, step = int(entry.get("timestamp", now)), int(entry.get("step", 0))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise invalid(f"Metric {key}: value, timestamp and step must be numbers") from None
    if not all(-(2**63) <= number < 2**63 for number in (timestamp, step)):
        raise invalid(f"Metric {key}: timestamp and step must fit 64 bits")
    about = {name: entry.get(name) or None for name in ("model_id", "dataset_name", "dataset_digest")}
    if not all(found is None or (isinstance(found, str) and len(found) <= 500) for found in about.values()):
        raise invalid(f"Metric {key}: {', '.join(about)} must be text of at most 500 characters")
    return Metric(key, value, timestamp, step, **about)


def check_name(name: str) -> str:
    """Raise ApiError where an experiment cannot have that name."""
    if not name.startswith("/") or len(name) > 500:
        raise invalid(
            f"Got an invalid experiment name '{name}'. An experiment name must be an absolute path within the "
            "workspace, such as '/Users/<some-username>/my-experiment', of at most 500 characters."
        )
    return name


def new_params(known: Mapping[str, str], given: Mapping[str, str], run_id: str) -> dict[str, str]:
    """The parameters after `given` were logged: each once. Raise ApiError where one would change."""
    for key, value in given.items():
        if known.get(key, value) != value:
            raise invalid(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{known[key]}' for run ID='{run_id}'. Attempted logging new value '{value}'."
            )
    return {**known, **given}


def latest(history: Sequence[Metric]) -> dict[str, Metric]:
    """The last values by key: of the highest step, then the latest, then the greatest; as MLflow has it."""
    found: dict[str, Metric] = {}
    for entry in history:
        held = found.get(entry.key)
        if held is None or (entry.step, entry.timestamp, entry.value) >= (held.step, held.timestamp, held.value):
            found[entry.key] = entry
    return found


def with_model(run: TrackedRun, text: str) -> str:
    """The tag that lists the models which a run has logged, with one more. Raise ApiError where that is none."""
    try:
        entry, known = json.loads(text), json.loads(run.tags.get(HISTORY, "[]"))
    except (ValueError, RecursionError):
        raise invalid(f"Malformed model info. \n {text[:200]} \n is not a valid JSON object.") from None
    if not isinstance(entry, dict) or not isinstance(entry.get("artifact_path"), str) or not isinstance(known, list):
        raise invalid("Model json must be an object with at least artifact_path and flavors.")
    found = json.dumps([*known, entry])
    if len(found) > MAX_HISTORY:
        raise invalid(f"the models that run {run.run_id} has logged are told in more than {MAX_HISTORY} characters")
    return found
