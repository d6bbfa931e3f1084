"""What is known of an environment: its state, and the journal of each deployment. Pure values of JSON files."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

STATE_SCHEMA = "headway.state/1"
DEPLOYMENT_SCHEMA = "headway.deployment/2"

Outcome = Literal["running", "converged", "rolled back", "mixed"]
StepStatus = Literal["planned", "begun", "done", "failed", "taken back"]
Action = Literal["create", "reset", "adopt", "permissions", "restart", "delete", "set policy", "delete policy"]
Kind = Literal["deploy", "rollback", "adopt"]
Event = Literal[
    "begun", "done", "failed", "undoing", "undone", "not undone",
    "taken over", "interrupted", "back", "commit", "converged", "rolled back", "mixed",
]  # fmt: skip


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
    kind: Kind = "deploy"


@dataclass(frozen=True)
class EnvironmentState:
    """What stands in an environment. `serial` rises with each write; `artifacts` are digests by name. `adopted` are the
    keys of jobs that were there before us and that no release which stood here has defined yet."""

    serial: int = 0
    version: str | None = None
    deployment: str | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None
    history: tuple[Standing, ...] = ()
    adopted: tuple[str, ...] = ()

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
        fields["adopted"] = tuple(fields.get("adopted", ()))
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
    """One step of a deployment, as it is known by now. `before` and `after` are whole settings; None where there is
    no job then. Of `permissions` they hold that one field; of `restart` neither."""

    action: Action
    key: str
    job_id: int | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    status: StepStatus = "planned"
    message: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of a journal, never changed once it is written. `step` is the number of a step; None where the entry
    is the deployment's. A step's `begun` is written before its call, `done` or `failed` after it."""

    event: Event
    at: str
    step: int | None = None
    job_id: int | None = None
    message: str = ""


@dataclass(frozen=True)
class Deployment:
    """One deployment: what it set out to do (written once, before its first call) and what its journal says of it
    since.

    `id` is a number that rises without gaps in its environment. `settings` are those of every job of the environment as
    this deployment leaves them. `direction` is `back` from when it is being taken back; `committed` from when every
    step but the ledger's own is done: then it is only ever finished."""

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
    kind: Kind = "deploy"
    direction: Literal["forward", "back"] = "forward"
    committed: bool = False
    message: str = ""

    @property
    def finished(self) -> bool:
        """Whether nobody need do anything about it."""
        return self.outcome in ("converged", "rolled back")

    def to_json(self) -> dict[str, Any]:
        """The content of its file."""
        # Not `asdict`: that copies every value of a thousand jobs' settings.
        return {"schema": DEPLOYMENT_SCHEMA, **vars(self), "steps": [vars(step) for step in self.steps]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Deployment":
        """Raise ValueError where the schema is not ours."""
        if data.get("schema") != DEPLOYMENT_SCHEMA:
            raise ValueError(f"a deployment has schema {data.get('schema')!r}; this Headway reads {DEPLOYMENT_SCHEMA}")
        fields = {key: value for key, value in data.items() if key != "schema"}
        fields["steps"] = tuple(JournalStep(**step) for step in fields["steps"])
        return cls(**fields)


_STATUS: Mapping[str, StepStatus] = {
    "begun": "begun",
    "done": "done",
    "failed": "failed",
    "undoing": "begun",
    "undone": "taken back",
    "not undone": "failed",
}
_OUTCOME: Mapping[str, Outcome] = {"converged": "converged", "rolled back": "rolled back", "mixed": "mixed"}


def folded(deployment: Deployment, entries: Iterable[Entry]) -> Deployment:
    """A deployment as its journal's entries leave it."""
    steps = list(deployment.steps)
    changes: dict[str, Any] = {}
    for entry in entries:
        if entry.step is not None:
            old = steps[entry.step]
            job_id = entry.job_id if entry.job_id is not None else old.job_id
            # What a restart found when it began is needed as long as it is not undone.
            message = entry.message or (old.message if old.action == "restart" else "")
            steps[entry.step] = replace(old, status=_STATUS[entry.event], job_id=job_id, message=message)
        elif entry.event in _OUTCOME:
            changes |= {"outcome": _OUTCOME[entry.event], "ended_at": entry.at, "message": entry.message}
        elif entry.event == "taken over":
            changes |= {"owner": entry.message, "outcome": "running", "ended_at": None}
        elif entry.event == "back":
            changes |= {"direction": "back", "message": entry.message}
        elif entry.event == "commit":
            changes |= {"committed": True, "ended_at": entry.at}
    return replace(deployment, steps=tuple(steps), **changes)


def following(state: EnvironmentState, deployment: Deployment) -> EnvironmentState:
    """The state that a committed deployment leaves. Whoever computes it gets the same."""
    adopting = deployment.kind == "adopt"
    new = tuple(step.key for step in deployment.steps if step.action == "adopt") if adopting else ()
    adopted = tuple(key for key in dict.fromkeys((*state.adopted, *new)) if adopting or key not in deployment.settings)
    kept = {*deployment.settings, *adopted}
    jobs = {key: job_id for key, job_id in state.jobs.items() if key in kept}
    jobs |= {step.key: step.job_id for step in deployment.steps if step.action != "delete" and step.job_id is not None}
    return state.next(
        version=deployment.version,
        deployment=deployment.id,
        artifacts=deployment.artifacts,
        jobs=jobs,
        verdict=None,
        history=(
            *state.history,
            Standing(deployment.id, deployment.version, deployment.ended_at or "", deployment.kind),
        ),
        adopted=adopted,
    )
