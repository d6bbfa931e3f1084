"""`headway.toml` as an Application: every problem at once, each with its line. Pure."""

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headway.core.application import (
    Application,
    ArtifactSettings,
    DeploySettings,
    Environment,
    GateSettings,
    JobDefinition,
    ParityAllowance,
    ParitySettings,
    SigningSettings,
    StoreSettings,
    TestStep,
)
from headway.core.checking import check_environments
from headway.core.checking import suggestion as suggestion
from headway.core.compatibility import Allowance, CheckName
from headway.core.diagnostics import Diagnostic
from headway.core.jobfiles import KnownFields, check_jobs, read_jobs
from headway.core.policies import check_policies, read_policies
from headway.core.sources import Source, read_toml

FILE = "headway.toml"
_ENV = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
ArtifactName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
Minutes = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _App(_Strict):
    name: Name
    branch: str = "main"
    version: Annotated[str, Field(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)$")]
    spark: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]


class _Store(_Strict):
    url: Annotated[str, Field(pattern=r"^(file:///|s3://[^/])")]
    endpoint_url: str | None = None
    region: str | None = None


class _Test(_Strict):
    name: ArtifactName
    command: str | None = None
    artifact: str | None = None
    sources: list[str] = []
    main: str | None = None
    junit: list[str] = []
    timeout_minutes: Minutes = 30


class _Artifact(_Strict):
    name: ArtifactName
    kind: Literal["jar", "wheel", "notebooks"]
    builder: Literal["scala", "wheel", "command", "notebooks"]
    sources: list[str] = []
    resources: list[str] = []
    main_class: str | None = None
    path: str | None = None
    command: str | None = None
    output: str | None = None


class _Deploy(_Strict):
    jobs: str = "jobs/*.yml"
    target: Annotated[str, Field(pattern=r"^(dbfs:/|/Volumes/|/Workspace/)")] = "dbfs:/FileStore/job-jars"
    library_folder: Annotated[str, Field(pattern=r"^/")] = "/Shared/libraries"
    notebook_folder: Annotated[str, Field(pattern=r"^/")] = "/Shared/headway"
    node_type_id: str = "local.small"
    settle_seconds: Annotated[float, Field(ge=0)] = 30
    bundle: Annotated[str, Field(pattern=r"^[^/.*][^/*]*\.ya?ml$")] | None = None
    bundle_ignore: list[str] = []


KeyPin = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|-----BEGIN PUBLIC KEY-----\n[\s\S]+)$")]


Reason = Annotated[str, Field(min_length=3)]


class _Allowance(_Strict):
    check: CheckName
    artifact: str = "*"
    jobs: Annotated[list[str], Field(min_length=1)] = ["*"]
    reason: Reason


class _Compatibility(_Strict):
    allow: list[_Allowance] = []


class _Signing(_Strict):
    required: bool = False
    public_keys: list[KeyPin] = []


class _ParityAllowance(_Strict):
    field: Annotated[str, Field(min_length=1)]
    jobs: Annotated[list[str], Field(min_length=1)] = ["*"]
    reason: Reason
    until: datetime.date | None = None


class _Parity(_Strict):
    strict: list[str] = list(ParitySettings().strict)
    allow: list[_ParityAllowance] = []


class _Gate(_Strict):
    kind: Literal["run", "parity"]
    jobs: list[str] = []
    timeout_minutes: Minutes = 60
    against: str | None = None


class _Environment(_Strict):
    host: Annotated[str, Field(pattern=r"^https?://")]
    token_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    prefix: str
    values: dict[str, Any] = {}
    gates: list[_Gate] = []
    after: str | None = None
    approval: bool = False
    trigger_pause_status: Literal["PAUSED", "UNPAUSED"] | None = None
    bundle_target: str | None = None
    bundle_user: str | None = None


class _File(_Strict):
    app: _App
    store: _Store
    test: list[_Test] = []
    artifact: Annotated[list[_Artifact], Field(min_length=1)]
    deploy: _Deploy = _Deploy()
    signing: _Signing = _Signing()
    compatibility: _Compatibility = _Compatibility()
    parity: _Parity = _Parity()
    environments: Annotated[dict[Name, _Environment], Field(min_length=1)]


@dataclass(frozen=True)
class Files:
    """The configuration's texts: `headway.toml` and the job files that its `deploy.jobs` names, by path."""

    toml: str
    jobs: Mapping[str, str]


def jobs_pattern(toml: str) -> str:
    """The glob of the job files, readable even where the rest of the file is wrong."""
    source = read_toml(FILE, toml)
    deploy = source.data.get("deploy", {}) if isinstance(source, Source) else {}
    pattern = deploy.get("jobs") if isinstance(deploy, Mapping) else None
    return pattern if isinstance(pattern, str) else DeploySettings().jobs


def bundle_file(toml: str) -> str | None:
    """The bundle's main file, readable even where the rest of the file is wrong; None where there is none."""
    source = read_toml(FILE, toml)
    deploy = source.data.get("deploy", {}) if isinstance(source, Source) else {}
    found = deploy.get("bundle") if isinstance(deploy, Mapping) else None
    return found if isinstance(found, str) else None


def parse(
    files: Files, variables: Mapping[str, str], known: KnownFields, *, without_jobs: bool = False
) -> Application | tuple[Diagnostic, ...]:
    """The application, or everything that is wrong with it. `variables` are the process's environment. An application
    has jobs, unless `without_jobs` says that it may have none yet."""
    source = read_toml(FILE, files.toml)
    if isinstance(source, Diagnostic):
        return (source,)
    problems: list[Diagnostic] = []
    data = _with_variables(source, variables, problems)
    try:
        parsed = _File.model_validate(data)
    except ValidationError as error:
        problems.extend(_problems(error, source))
        if bundle_file(files.toml) is None:
            problems.extend(read_jobs(files.jobs, known)[1])
        return tuple(problems)
    if parsed.deploy.bundle is None:
        jobs, job_problems = read_jobs(files.jobs, known)
        policies, policy_problems = read_policies(files.jobs)
        app = replace(_application(parsed, jobs), policies=policies)
        job_problems = [*job_problems, *policy_problems]
    else:
        app, job_problems = _of_bundle(_application(parsed, {}), files, parsed.deploy.bundle, known)
    problems.extend(job_problems)
    problems.extend(_check(parsed, app, source))
    problems.extend(check_jobs(app))
    problems.extend(check_policies(app))
    if not files.jobs and parsed.deploy.bundle is None and not without_jobs:
        problems.append(Diagnostic(source.at("deploy.jobs"), "deploy.jobs", f"no file matches {parsed.deploy.jobs}"))
    if any(problem.severity == "error" for problem in problems):
        return tuple(problems)
    return app


def _of_bundle(app: Application, files: Files, main: str, known: KnownFields) -> tuple[Application, list[Diagnostic]]:
    """The application with the jobs of its bundle, each environment with those of its target."""
    from headway.core.bundles.reading import Reading, read_bundle  # most applications have none

    told: dict[Diagnostic, None] = {}
    environments: dict[str, Environment] = {}
    every: dict[str, JobDefinition] = {}
    for name, environment in app.environments.items():
        how = Reading(
            main=main,
            target=environment.bundle_target or name,
            artifacts=app.artifacts,
            values=environment.values,
            host=environment.host,
            branch=app.branch,
            user=environment.bundle_user,
            ignored=app.deploy.bundle_ignore,
        )
        jobs, problems = read_bundle(files.jobs, how, known)
        told |= dict.fromkeys(problems)
        environments[name] = replace(environment, jobs=jobs)
        every = {**jobs, **every}
    return replace(app, jobs=every, environments=environments), list(told)


def _with_variables(source: Source, variables: Mapping[str, str], problems: list[Diagnostic]) -> Any:
    def walk(value: Any, path: str) -> Any:
        if isinstance(value, str):
            return _ENV.sub(lambda match: replaced(match, path), value)
        if isinstance(value, dict):
            return {key: walk(entry, f"{path}.{key}" if path else key) for key, entry in value.items()}
        if isinstance(value, list):
            return [walk(entry, f"{path}.{number}") for number, entry in enumerate(value)]
        return value

    def replaced(match: re.Match[str], path: str) -> str:
        name, default = match.group(1), match.group(2)
        if name in variables:
            return variables[name]
        if default is not None:
            return default
        hint = f"Set {name}, or give a default: ${{env.{name}:-…}}"
        problems.append(Diagnostic(source.at(path), path, f"the environment variable {name} is not set", hint))
        return match.group(0)

    return walk(dict(source.data), "")


def env_names(files: Files) -> frozenset[str]:
    """The environment variables whose values `${env.…}` puts into the configuration."""
    return frozenset(found.group(1) for text in (files.toml, *files.jobs.values()) for found in _ENV.finditer(text))


def _problems(error: ValidationError, source: Source) -> Iterator[Diagnostic]:
    for entry in error.errors():
        parts = [part for part in entry["loc"] if part != "[key]"]
        path = ".".join(str(part) for part in parts)
        value = entry.get("input")
        if isinstance(value, str) and value.startswith("${env."):
            continue  # told already: the variable is not set
        message, hint = entry["msg"], ""
        if entry["type"] == "extra_forbidden":
            message, hint = "unknown key", suggestion(str(parts[-1]), _known_keys(parts[:-1]))
        elif entry["type"] == "missing":
            message = "required, and missing"
        elif entry["type"] == "string_pattern_mismatch":
            message = f"{value!r} does not have the form {entry['ctx']['pattern']}"
        yield Diagnostic(source.at(path), path, message[0].lower() + message[1:], hint)


def _known_keys(parts: Sequence[int | str]) -> Iterable[str]:
    """The keys of the table at a path; numbers, and names that the user chose, are passed over."""
    model: type[BaseModel] = _File
    for part in parts:
        known = model.model_fields.get(str(part))
        if known is not None:
            model = next(_models_in(known.annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _application(parsed: _File, jobs: Mapping[str, JobDefinition]) -> Application:
    major, minor = (int(part) for part in parsed.app.version.split("."))
    tuples = {"sources", "resources", "junit", "bundle_ignore"}

    def frozen(model: BaseModel) -> dict[str, Any]:
        return {key: tuple(value) if key in tuples else value for key, value in model.model_dump().items()}

    return Application(
        name=parsed.app.name,
        branch=parsed.app.branch,
        version=(major, minor),
        spark=parsed.app.spark,
        store=StoreSettings(**parsed.store.model_dump()),
        tests=tuple(TestStep(**frozen(step)) for step in parsed.test),
        artifacts=tuple(ArtifactSettings(**frozen(artifact)) for artifact in parsed.artifact),
        deploy=DeploySettings(**frozen(parsed.deploy)),
        environments={
            name: Environment(
                name=name,
                host=environment.host.rstrip("/"),
                token_env=environment.token_env,
                prefix=environment.prefix,
                values=environment.values,
                gates=tuple(
                    GateSettings(gate.kind, tuple(gate.jobs), gate.timeout_minutes, gate.against)
                    for gate in environment.gates
                ),
                after=environment.after,
                approval=environment.approval,
                trigger_pause_status=environment.trigger_pause_status,
                bundle_target=environment.bundle_target,
                bundle_user=environment.bundle_user,
            )
            for name, environment in parsed.environments.items()
        },
        jobs=jobs,
        allowed_mismatches=tuple(
            Allowance(entry.check, entry.reason, entry.artifact, tuple(entry.jobs))
            for entry in parsed.compatibility.allow
        ),
        signing=SigningSettings(parsed.signing.required, tuple(parsed.signing.public_keys)),
        parity=ParitySettings(
            tuple(parsed.parity.strict),
            tuple(
                ParityAllowance(entry.field, tuple(entry.jobs), entry.reason, entry.until)
                for entry in parsed.parity.allow
            ),
        ),
    )


_NEEDED = {"scala": ("sources",), "wheel": ("path",), "notebooks": ("path",), "command": ("command", "output")}
_KINDS = {"scala": ("jar",), "wheel": ("wheel",), "notebooks": ("notebooks",), "command": ("jar", "wheel")}


def _check(parsed: _File, app: Application, source: Source) -> Iterator[Diagnostic]:
    def at(path: str, message: str, hint: str = "") -> Diagnostic:
        return Diagnostic(source.at(path), path, message, hint)

    for section, names in (
        ("test", [step.name for step in parsed.test]),
        ("artifact", [artifact.name for artifact in parsed.artifact]),
    ):
        for number, name in enumerate(names):
            if name in names[:number]:
                yield at(f"{section}.{number}.name", f"the name {name} is taken by another {section}")
    scala = [artifact.name for artifact in parsed.artifact if artifact.builder == "scala"]
    for number, artifact in enumerate(parsed.artifact):
        path = f"artifact.{number}"
        if artifact.kind not in _KINDS[artifact.builder]:
            yield at(f"{path}.kind", f"the {artifact.builder} builder makes {' or '.join(_KINDS[artifact.builder])}")
        for needed in _NEEDED[artifact.builder]:
            if not getattr(artifact, needed):
                yield at(path, f"the {artifact.builder} builder needs `{needed}`")
    for number, step in enumerate(parsed.test):
        path = f"test.{number}"
        if (step.command is None) == (step.artifact is None):
            yield at(path, "needs either `command`, or `artifact` with `sources` and `main`")
        elif step.artifact is not None:
            if step.artifact not in scala:
                yield at(f"{path}.artifact", f"no artifact {step.artifact} is built by the scala builder")
            if not step.sources or not step.main:
                yield at(path, "Scala tests need `sources` and `main`")
    yield from check_environments(app, at)
