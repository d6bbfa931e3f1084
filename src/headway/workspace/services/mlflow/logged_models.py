"""Models that runs have logged (MLflow 3), as the MLflow REST API tells of them. Pure.

Source: MLflow documentation, "REST API" (LoggedModel); Databricks REST API, Experiments (logged models).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import invalid
from headway.workspace.services.mlflow.model import Metric, pairs

PENDING, READY, FAILED = "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"


@dataclass(frozen=True)
class LoggedModel:
    """A model. `artifact_uri` is the folder of its files; `metrics` are those that name it, the last of each key and
    data set. Times in milliseconds since 1970."""

    model_id: str
    experiment_id: int
    name: str
    model_type: str
    source_run_id: str
    status: str
    artifact_uri: str
    created_ms: int
    updated_ms: int
    deleted: bool
    creator: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Sequence[Metric] = ()

    def to_json(self) -> dict[str, Any]:
        """As `logged-models/{id}` answers it."""
        return {
            "info": {
                "model_id": self.model_id,
                "experiment_id": str(self.experiment_id),
                "name": self.name,
                "model_type": self.model_type,
                "source_run_id": self.source_run_id,
                "status": self.status,
                "artifact_uri": self.artifact_uri,
                "creation_timestamp_ms": self.created_ms,
                "last_updated_timestamp_ms": self.updated_ms,
                "tags": pairs(self.tags),
            },
            "data": {"params": pairs(self.params), "metrics": [found.to_json() for found in self.metrics]},
        }


def check_name(name: str) -> str:
    """Raise ApiError where a model cannot have that name."""
    if not name or len(name) > 250 or any(letter in name for letter in "/:.%\"'"):
        raise invalid(f"Invalid model name ('{name[:100]}'): 1 to 250 characters, and none of / : . % \" '")
    return name


def check_type(text: str) -> str:
    """Raise ApiError where a model's type is too long."""
    if len(text) > 250:
        raise invalid("model_type has at most 250 characters")
    return text


def ended(status: object) -> str:
    """The status that finalizes a model. Raise ApiError."""
    if status not in (READY, FAILED):
        raise invalid(f"Invalid model status {status!r:.60}: a model ends as {READY} or {FAILED}")
    return str(status)
