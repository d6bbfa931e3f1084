"""What a plan consists of: its steps, a closed union that renderer and interpreter both read. Values only.

`core.plan` makes them, `core.planfile` writes and reads them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headway.core.application import Json

TAG_APP, TAG_ENVIRONMENT, TAG_JOB = "headway_app", "headway_environment", "headway_job"
# A job whose run streams although it is not `continuous`: its run is drained and started again when it changes.
TAG_STREAMING = "headway_streaming"
PERMISSIONS = "permissions"

Settings = Mapping[str, Any]
FoundBy = Literal["tag", "ledger"]
Origin = Literal["release", "hand"]


@dataclass(frozen=True)
class ObservedJob:
    """A job as it stands in the workspace. `key` is that of its definition, read from its tag; or from the ledger's job
    ids, where somebody removed its tags. `settings` hold its `permissions` only where these were asked for."""

    key: str
    job_id: int
    settings: Settings
    found_by: FoundBy = "tag"


@dataclass(frozen=True)
class Change:
    """One field that differs. `before` is None where it was absent, `after` where it will be.

    `origin`: whether the release brings it, or it puts right what was changed by hand since the last deployment.
    """

    path: str
    before: Json
    after: Json
    origin: Origin = "release"


@dataclass(frozen=True)
class CreateJob:
    """A job that is not there."""

    key: str
    after: Settings
    reason: str = ""
    action: Literal["create"] = "create"


@dataclass(frozen=True)
class ResetJob:
    """A job whose settings differ. `after` is what is sent: what is wanted, with what is kept of `before`."""

    key: str
    job_id: int
    before: Settings
    after: Settings
    changes: tuple[Change, ...]
    reason: str = ""
    action: Literal["reset", "adopt"] = "reset"


@dataclass(frozen=True)
class AdoptJob(ResetJob):
    """A job that is known by the ledger only: its tags are put back with its settings."""

    action: Literal["reset", "adopt"] = "adopt"


@dataclass(frozen=True)
class DeleteJob:
    """A job of this application and environment that is not wanted any more."""

    key: str
    job_id: int
    before: Settings
    reason: str = ""
    action: Literal["delete"] = "delete"


@dataclass(frozen=True)
class SetPermissions:
    """Who may do what with a job, in a bundle's form (`level` and one principal). `job_id` is None where the job is
    created by this plan."""

    key: str
    job_id: int | None
    before: tuple[Mapping[str, str], ...]
    after: tuple[Mapping[str, str], ...]
    reason: str = ""
    action: Literal["permissions"] = "permissions"


@dataclass(frozen=True)
class RestartJob:
    """A continuous or streaming job that changed: its run is drained, started again, and watched until it
    progresses."""

    key: str
    job_id: int | None
    reason: str = ""
    action: Literal["restart"] = "restart"


@dataclass(frozen=True)
class SetPolicy:
    """A cluster policy that is created (`before` is None) or changed. `before` has its `policy_id`."""

    key: str
    before: Settings | None
    after: Settings
    changes: tuple[Change, ...] = ()
    reason: str = ""
    action: Literal["set policy"] = "set policy"


@dataclass(frozen=True)
class DeletePolicy:
    """A cluster policy that a deployment made and this one does not define."""

    key: str
    before: Settings
    reason: str = ""
    action: Literal["delete policy"] = "delete policy"


Step = CreateJob | ResetJob | DeleteJob | SetPermissions | RestartJob | SetPolicy | DeletePolicy


@dataclass(frozen=True)
class Orphan:
    """A job with this environment's tags that the plan leaves alone. `reason` says why."""

    key: str
    job_id: int
    name: str
    reason: str


@dataclass(frozen=True)
class ArtifactChange:
    """An artifact by its digest; None where there was none, or will be none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Plan:
    """What would be done. `serial` is that of the environment's state when it was made: it holds only for that.

    `version` is None where the environment is to be emptied. `settings` are those wanted of every job, by key: what the
    ledger records.
    """

    app: str
    environment: str
    version: str | None
    current: str | None
    serial: int
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...]
    orphans: tuple[Orphan, ...] = ()
    artifacts: tuple[ArtifactChange, ...] = ()
    settings: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    @property
    def digest(self) -> str:
        """What an approval names: SHA-256 of the plan's content."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The plan as data, secrets and all: `core.planfile` reads it again."""
        from headway.core.planfile import to_json

        return to_json(self)
