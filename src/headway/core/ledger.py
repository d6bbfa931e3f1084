"""What is known of an environment: its state, and the journal of each deployment. Pure values of JSON files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

STATE_SCHEMA = "headway.state/1"
DEPLOYMENT_SCHEMA = "headway.deployment/1"

Outcome = Literal["running", "converged", "rolled back", "mixed"]
StepStatus = Literal["planned", "done", "failed", "taken back"]


@dataclass(frozen=True)
class Verdict:
    """What the gates of an environment said of a version. `evidence` has an entry per job that ran."""

    version: str
    passed: bool
    at: str
    artifacts: Mapping[str, str]
    evidence: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Standing:
    """One converged deployment of an environment, in the order in which they came."""

    deployment: str
    version: str | None
    at: str


@dataclass(frozen=True)
class EnvironmentState:
    """What stands in an environment. `serial` rises with each write; `artifacts` are digests by name."""

    serial: int = 0
    version: str | None = None
    deployment: str | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None
    history: tuple[Standing, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The content of `state.json`."""
        return {"schema": STATE_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "EnvironmentState":
        """Raise ValueError where the schema is not ours."""
        if data.get("schema") != STATE_SCHEMA:
            raise ValueError(f"state.json has schema {data.get('schema')!r}; this Headway reads {STATE_SCHEMA}")
        fields = {key: value for key, value in data.items() if key != "schema"}
        verdict = fields["verdict"]
        fields["verdict"] = None if verdict is None else Verdict(**{**verdict, "evidence": tuple(verdict["evidence"])})
        fields["history"] = tuple(Standing(**entry) for entry in fields["history"])
        return cls(**fields)

    def next(self, **changes: Any) -> "EnvironmentState":
        """The state that follows."""
        return replace(self, serial=self.serial + 1, **changes)

    def before(self) -> Standing | None:
        """What stood here before the present version: where a rollback goes when it is not told."""
        others = [entry for entry in self.history if entry.version != self.version]
        return others[-1] if others else None


@dataclass(frozen=True)
class JournalStep:
    """One step of a deployment. `before` and `after` are whole settings; None where there is no job then."""

    action: Literal["create", "reset", "delete"]
    key: str
    job_id: int | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    status: StepStatus = "planned"
    message: str = ""


@dataclass(frozen=True)
class Deployment:
    """The journal of one deployment: written before its first call, and again when it has ended.

    `settings` are those of every job of the environment as this deployment leaves them.
    """

    id: str
    app: str
    environment: str
    version: str | None
    previous: str | None
    owner: str
    started_at: str
    outcome: Outcome
    steps: tuple[JournalStep, ...]
    settings: Mapping[str, Mapping[str, Any]]
    artifacts: Mapping[str, str]
    ended_at: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of its file."""
        return {"schema": DEPLOYMENT_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Deployment":
        """Raise ValueError where the schema is not ours."""
        if data.get("schema") != DEPLOYMENT_SCHEMA:
            raise ValueError(f"a deployment has schema {data.get('schema')!r}; this Headway reads {DEPLOYMENT_SCHEMA}")
        fields = {key: value for key, value in data.items() if key != "schema"}
        fields["steps"] = tuple(JournalStep(**step) for step in fields["steps"])
        return cls(**fields)
