"""What the CI engine speaks of: registered applications, runs and their steps, approvals, events. Pure values.

Times are milliseconds since 1970 (UTC) and end in `_ms`; durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from headway.core.events import StepName
from headway.core.ledger import EnvironmentState

Provider = Literal["github", "gitlab", "gitea", "git"]
PullRequests = Literal["off", "same-repository", "all"]
Kind = Literal["line", "pull_request", "rollback"]
Trigger = Literal["push", "poll", "pull_request", "manual"]
RunState = Literal[
    "waiting",  # for its turn to be tested and built
    "making",  # being checked out, tested, built, stored
    "ready",  # stored; waits for its turn to be deployed
    "delivering",  # environment by environment
    "awaiting_approval",  # a named person has to accept a plan; holds no place
    "succeeded",
    "failed",
    "refused",  # by a gate: the release was taken back
    "superseded",  # a newer commit came while it waited
    "cancelled",
]
StepState = Literal["running", "ok", "failed", "skipped", "cancelled"]
ApprovalState = Literal["pending", "approved", "rejected", "outdated"]
Role = Literal["viewer", "developer", "approver", "admin"]

RUN_STATES: tuple[RunState, ...] = get_args(RunState)
ENDED: frozenset[RunState] = frozenset({"succeeded", "failed", "refused", "superseded", "cancelled"})
# What a newer commit of the same branch may supersede: runs that wait. One that is deploying, never.
SUPERSEDABLE: frozenset[RunState] = frozenset({"waiting", "ready", "awaiting_approval"})
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class App:
    """A registered repository.

    `full_name` is `owner/name` as the provider's webhooks say it. `branches` are shell patterns; empty means the
    branch that `headway.toml` names. `folder` is where `headway.toml` lies. `credential_env` and `status_token_env`
    name environment variables of the server: no secret is kept. `poll_seconds` 0 means that it is not polled.
    `problem` says why the repository cannot be used at present.
    """

    name: str
    repository: str
    provider: Provider = "git"
    full_name: str = ""
    branches: tuple[str, ...] = ()
    folder: str = ""
    pull_requests: PullRequests = "same-repository"
    supersede: bool = True
    poll_seconds: float = 0
    api_base: str = ""
    status_token_env: str = ""
    credential_env: str = ""
    webhook_salt: str = ""
    created_ms: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Run:
    """All that one commit set off, or one rollback. `version` is None until one was taken."""

    id: int
    app: str
    kind: Kind
    commit: str
    branch: str
    message: str
    author: str
    trigger: Trigger
    triggered_by: str
    state: RunState
    created_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    committed_ms: int | None = None
    reason: str = ""
    error_code: str = ""
    hint: str = ""
    superseded_by: int | None = None
    version: str | None = None
    attempt: int = 1
    pull_request: int | None = None
    trusted: bool = True
    cancel_requested: str = ""
    worker: str = ""
    environment: str = ""
    to_version: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it, unless somebody retries it."""
        return self.state in ENDED


@dataclass(frozen=True)
class Step:
    """One step of a run. `number` counts from 1 over all attempts; its log is known by it. `data` is evidence for
    machines: the plan of a `plan` step, the gate's evidence of a `gate` step."""

    run: int
    number: int
    attempt: int
    name: StepName
    environment: str | None
    what: str
    state: StepState
    started_ms: int
    seconds: float | None = None
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TestCase:
    """A case of the run's JUnit XML. `message` is the first line of what a failing one said, `text` the rest."""

    __test__ = False

    run: int
    step: str
    class_name: str
    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""
    text: str = ""


@dataclass(frozen=True)
class LogPage:
    """Lines of a step's log. `next` is what to ask for next; `ended` says that no more will come."""

    lines: tuple[str, ...]
    next: int
    ended: bool


@dataclass(frozen=True)
class Approval:
    """A plan that waits, or waited, for a named person. `plan` is `core.plan.Plan.to_json()`, `digest` its digest."""

    id: int
    run: int
    app: str
    environment: str
    version: str
    digest: str
    plan: Mapping[str, Any]
    text: str
    state: ApprovalState
    asked_ms: int
    decided_ms: int | None = None
    decided_by: str = ""
    comment: str = ""


@dataclass(frozen=True)
class DeploymentRecord:
    """One deployment of an environment, for the report. `outcome`: `converged` stood at its end; `refused` was taken
    back after a gate; `failed` never stood; `rollback` brought an earlier version back. `committed_ms` is the commit's
    time, None where the run had none."""

    id: int
    app: str
    environment: str
    run: int
    version: str | None
    outcome: Literal["converged", "refused", "failed", "rollback"]
    committed_ms: int | None
    started_ms: int
    ended_ms: int


@dataclass(frozen=True)
class Delivery:
    """A webhook that came. `outcome` says what it set off, or why nothing."""

    provider: str
    delivery: str
    app: str
    event: str
    received_ms: int
    outcome: str
    run: int | None


@dataclass(frozen=True)
class Notification:
    """A message to people: `event` is failure, recovery, promotion or approval; `problem` why it could not be sent."""

    id: int
    run: int
    event: str
    channel: str
    text: str
    created_ms: int
    sent_ms: int | None
    problem: str


@dataclass(frozen=True)
class EventRecord:
    """Something happened: for the pages that follow a run. `seq` rises; `kind` is `run`, `step`, `log` or
    `approval`; `data` is small."""

    seq: int
    run: int
    app: str
    kind: Literal["run", "step", "log", "approval"]
    data: Mapping[str, Any]
    at_ms: int


@dataclass(frozen=True)
class EnvironmentView:
    """An application's environment. `drifted` are the keys of jobs that somebody changed; None where it was not asked
    or could not be (`problem`). `run` is the run that brought the present version, where the engine did."""

    name: str
    after: str | None
    host: str
    approval: bool
    state: EnvironmentState
    drifted: tuple[str, ...] | None
    problem: str
    run: int | None


@dataclass(frozen=True)
class Identity:
    """Who calls."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this identity has `role` or a stronger one."""
        return ROLES.index(self.role) >= ROLES.index(role)
