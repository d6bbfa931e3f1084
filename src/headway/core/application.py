"""What an application says of itself in `headway.toml` and `jobs/*.yml`, as values.

References (`${…}`) stand unresolved in job settings; `core.references` resolves them against a release and an
environment. All paths are relative to the application's root, with forward slashes.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headway.core.compatibility import Allowance
from headway.core.diagnostics import Location

Json = Any  # a JSON value: None, bool, int, float, str, list, dict

ArtifactKind = Literal["jar", "wheel", "notebooks"]
Builder = Literal["scala", "wheel", "command", "notebooks"]


@dataclass(frozen=True)
class StoreSettings:
    """Where releases and ledgers are kept. `url` is `file:///folder` or `s3://bucket/prefix`."""

    url: str
    endpoint_url: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class TestStep:
    """One step of the application's tests, run in a clean checkout.

    Either `command` (a shell line, run at the root) or `artifact` with `sources` and `main`: Scala tests, compiled
    against that artifact's classes with the compiler inside Spark, whose `main` exits non-zero when a test fails.
    `junit` are glob patterns of JUnit XML files that the step leaves.
    """

    __test__ = False  # not a pytest class

    name: str
    command: str | None = None
    artifact: str | None = None
    sources: tuple[str, ...] = ()
    main: str | None = None
    junit: tuple[str, ...] = ()
    timeout_minutes: float = 30


@dataclass(frozen=True)
class ArtifactSettings:
    """How one artifact is built.

    `scala`: `sources` (folders of .scala and .java files), `resources` (folders copied in), `main_class` for the
    manifest. `wheel`: `path` is a folder with a pyproject.toml. `notebooks`: `path` is the folder. `command`:
    `command` is run at the root and must leave exactly one file that matches `output`.
    """

    name: str
    kind: ArtifactKind
    builder: Builder
    sources: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    main_class: str | None = None
    path: str | None = None
    command: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class GateSettings:
    """A gate of an environment. `run`: each of `jobs` (keys) must run to SUCCESS within `timeout_minutes`, in order.
    `parity`: the environment must not differ from `against`, but in what is allowed."""

    kind: Literal["run", "parity"]
    jobs: tuple[str, ...] = ()
    timeout_minutes: float = 60
    against: str | None = None


@dataclass(frozen=True)
class Environment:
    """A workspace, or a part of one, with the application's set of jobs.

    `token_env` names the environment variable that holds the token: a token is never written in a file.
    `prefix` is put before each job's name. `values` are the `${var.…}` of job settings. `after` names the
    environment whose gates a release must have passed before it may come here. `approval` says that a named person has
    to accept the exact plan first. `trigger_pause_status` is that of every schedule, trigger and continuous job which
    does not say its own; where neither says, what stands is kept. `jobs` are its own definitions where the jobs are
    those of a bundle, whose targets may differ in anything; None where the application's count. `bundle_target` is that
    target, `bundle_user` whom the bundle's `${workspace.current_user…}` means.
    """

    name: str
    host: str
    token_env: str
    prefix: str
    values: Mapping[str, Json] = field(default_factory=dict)
    gates: tuple[GateSettings, ...] = ()
    after: str | None = None
    approval: bool = False
    trigger_pause_status: Literal["PAUSED", "UNPAUSED"] | None = None
    bundle_target: str | None = None
    bundle_user: str | None = None
    jobs: "Mapping[str, JobDefinition] | None" = None


@dataclass(frozen=True)
class DeploySettings:
    """Where artifacts go in a workspace: `target` is where jobs read them, `library_folder` the workspace libraries,
    `notebook_folder` the imported notebooks (one folder per version beneath it); `node_type_id` is that of the cluster
    which copies artifacts; a stream that was started again must run for `settle_seconds`. `bundle` is a Databricks
    bundle's file, whose jobs count instead of those of `jobs`; `bundle_ignore` what of it stays with the bundle."""

    jobs: str = "jobs/*.yml"
    target: str = "dbfs:/FileStore/job-jars"
    library_folder: str = "/Shared/libraries"
    notebook_folder: str = "/Shared/headway"
    node_type_id: str = "local.small"
    settle_seconds: float = 30
    bundle: str | None = None
    bundle_ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class SigningSettings:
    """Whose signatures count. `public_keys` are key ids or PEM texts; with any, no other key counts, else those that
    this machine knows (`adapters.signing`). `required`: a release without a signed statement is refused, also one of
    a Headway that did not sign yet."""

    required: bool = False
    public_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParityAllowance:
    """A difference between environments that may be: patterns of the field's path and of the jobs' keys, the reason,
    and the last day on which it counts."""

    field: str
    jobs: tuple[str, ...]
    reason: str
    until: datetime.date | None = None


@dataclass(frozen=True)
class ParitySettings:
    """What environments that mirror each other may differ in. `strict` are patterns of fields that must be equal, also
    where `values` of headway.toml declare them different: a rehearsal on another runtime proves little."""

    strict: tuple[str, ...] = ("*.spark_version",)
    allow: tuple[ParityAllowance, ...] = ()


@dataclass(frozen=True)
class JobDefinition:
    """One job as the repository defines it. `settings` are those of the Jobs API 2.2, with unresolved references.

    `lines` gives the line of each field by its dotted path (`tasks.0.job_cluster_key`), `files` the file of those that
    stand in another one than the job.
    """

    key: str
    settings: Mapping[str, Json]
    location: Location
    lines: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Application:
    """A git repository with a `headway.toml`. `version` is (MAJOR, MINOR); `spark` the exact Spark it is built for."""

    name: str
    branch: str
    version: tuple[int, int]
    spark: str
    store: StoreSettings
    tests: tuple[TestStep, ...]
    artifacts: tuple[ArtifactSettings, ...]
    deploy: DeploySettings
    environments: Mapping[str, Environment]
    jobs: Mapping[str, JobDefinition]
    policies: "Mapping[str, JobDefinition]" = field(default_factory=dict)
    signing: SigningSettings = SigningSettings()
    allowed_mismatches: tuple[Allowance, ...] = ()
    parity: ParitySettings = ParitySettings()

    def jobs_in(self, environment: Environment) -> Mapping[str, JobDefinition]:
        """The jobs of an environment, by key."""
        return self.jobs if environment.jobs is None else environment.jobs
