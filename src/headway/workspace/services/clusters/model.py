"""A cluster as the API tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cluster:
    """The cluster of a job's run. Times in milliseconds since 1970. `folder` keeps its logs."""

    cluster_id: str
    name: str
    creator: str
    spec: Mapping[str, Any]
    state: str
    state_message: str
    started_ms: int
    ended_ms: int | None
    folder: str | None
    details: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As `clusters/get` answers it."""
        data: dict[str, Any] = {
            **self.spec,
            "cluster_id": self.cluster_id,
            "cluster_name": self.name,
            "creator_user_name": self.creator,
            "cluster_source": "JOB",
            "state": self.state,
            "state_message": self.state_message,
            "start_time": self.started_ms,
            **self.details,
        }
        if self.ended_ms is not None:
            data["terminated_time"] = self.ended_ms
        return data
