"""From a task's settings to what a driver is asked: parameters resolved, files found, libraries held fast."""

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.workspace.engine import references
from headway.workspace.engine.bodies import Asked, CannotRun, task_of
from headway.workspace.engine.libraries import library
from headway.workspace.errors import ApiError, not_implemented
from headway.workspace.runtime.tasks import ApiAccess, TaskRequest


def no_git(git: Mapping[str, Any], user: str, commit: str | None) -> tuple[str, str]:
    """The checkout of a git source, where there are none. Raise ApiError."""
    raise not_implemented("git sources are not served here")


@dataclass(frozen=True)
class Files:
    """How the engine reads the workspace: a path to its local file, a notebook to (name, language, source).

    Both may raise ApiError. `redactor` gives what takes the secrets that runs were shown out of a text. `access` gives
    what a task run (by its id) reaches the API with, as a user; `end_access` takes it back. `checkout` gives the
    folder of the tree that has the files of a git source, and the commit, for a user; it may raise ApiError.
    """

    local: Callable[[str], Path]
    notebook: Callable[[str], tuple[str, str, str]]
    redactor: Callable[..., Callable[[str], str]] = lambda *run_ids: str
    access: Callable[[str, int], ApiAccess | None] = lambda user, run_id: None
    end_access: Callable[[int], None] = lambda run_id: None
    checkout: Callable[[Mapping[str, Any], str, str | None], tuple[str, str]] = no_git


@dataclass(frozen=True)
class Situation:
    """Where a task runs: its run and itself. `known` is what its references mean, without the job's parameters;
    `task_values` are those that the tasks before it kept, by task key; `user` in whose name it runs; `env`
    its cluster's variables."""

    job_id: int
    run_id: int
    task_key: str
    task_run_id: int
    attempt: int
    iteration: int | None
    base_url: str
    cluster_id: str
    known: Mapping[str, str]
    task_values: Mapping[str, Mapping[str, Any]]
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


def request(
    settings: Mapping[str, Any],
    parameters: Mapping[str, Any],
    job_parameters: Mapping[str, str],
    situation: Situation,
    files: Files,
    folder: Path,
) -> TaskRequest:
    """What to ask a driver for this task. `parameters` are those that run-now gave, `job_parameters` the job's, with
    their references resolved. Raise CannotRun."""
    known = ChainMap({f"job.parameters.{key}": value for key, value in job_parameters.items()}, dict(situation.known))
    try:
        resolved = references.resolve(dict(settings), known)
        given = references.resolve(dict(parameters), known)
        task = task_of(Asked(resolved, given, job_parameters, files.local, files.notebook))
        held = tuple(
            library(entry, files.local, folder / "libraries" / situation.task_key, situation.env)
            for entry in resolved.get("libraries") or []
        )
    except ApiError as error:
        found = "RESOURCE_NOT_FOUND" if error.error_code == "RESOURCE_DOES_NOT_EXIST" else "INVALID_RUN_CONFIGURATION"
        raise CannotRun(error.message, found) from None
    except ValueError as error:
        raise CannotRun(str(error)) from None
    return TaskRequest(
        run_id=driver_run(situation.task_run_id, situation.attempt),
        task=task,
        libraries=held,
        log=log_file(folder, situation.task_key, situation.attempt, situation.iteration),
        context={
            "job_id": str(situation.job_id),
            "run_id": str(situation.run_id),
            "task_run_id": str(situation.task_run_id),
            "task_key": situation.task_key,
            "cluster_id": situation.cluster_id,
            "workspace_url": situation.base_url,
            "user": situation.user,
        },
        task_values=dict(situation.task_values),
        api=files.access(situation.user, situation.task_run_id),
    )


def driver_run(task_run_id: int, attempt: int) -> str:
    """What an attempt of a task is called on its driver."""
    return f"{task_run_id}-{attempt}"


def log_file(folder: Path, task_key: str, attempt: int = 0, iteration: int | None = None) -> Path:
    """Where the output of an attempt of a task (of an iteration of it) is kept in its run's folder."""
    which = "" if iteration is None else f"[{iteration}]"
    return folder / "logs" / f"{task_key}{which}{f'.{attempt}' if attempt else ''}.log"


def record_file(log: Path) -> Path:
    """Where the cells of a notebook and what they showed are kept, beside its log."""
    return log.with_suffix(".cells.jsonl")
