"""The libraries that tasks and clusters name, as what a driver installs. Source: Databricks REST API, Libraries 2.0."""

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headway.workspace.engine.bodies import CannotRun
from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import Library, LocalLibrary, MavenLibrary, PackageLibrary

FAILED = "LIBRARY_INSTALLATION_ERROR"
KINDS = ("jar", "whl", "egg", "requirements", "pypi", "maven", "cran")


def kind_of(entry: Mapping[str, Any]) -> str:
    """The one kind of a library. Raise ValueError where it has none, several, or lacks what it needs."""
    found = [kind for kind in KINDS if kind in entry]
    if len(found) != 1:
        raise ValueError(f"a library has exactly one of {', '.join(KINDS)}, not {', '.join(entry) or 'nothing'}")
    kind, body = found[0], entry[found[0]]
    if kind == "cran":
        raise ValueError("library cran: R is not served by this workspace")
    if kind in ("pypi", "maven"):
        needed = "package" if kind == "pypi" else "coordinates"
        if not isinstance(body, dict) or not isinstance(body.get(needed), str) or not body[needed].strip():
            raise ValueError(f"library {kind} must have {needed}")
        repo = body.get("repo")
        if repo and not re.match(r"https?://", str(repo)):
            raise ValueError(f"library {kind}: repo must be an http or https address, not {repo}")
    elif not isinstance(body, str) or not body:
        raise ValueError(f"library {kind} must be a path")
    return kind


def library(
    entry: Mapping[str, Any], local: Callable[[str], Path], folder: Path, env: Mapping[str, str] | None = None
) -> Library:
    """What a driver installs for `entry`. A file becomes one of `folder`'s own, so that nothing done to the original
    reaches a run that has started; `env` has the keys for `s3://`. Raise CannotRun."""
    try:
        kind = kind_of(entry)
    except ValueError as error:
        raise CannotRun(f"Library installation failed: {error}", FAILED) from None
    body = entry[kind]
    if kind == "pypi":
        return PackageLibrary(str(body["package"]).strip(), body.get("repo") or None)
    if kind == "maven":
        exclusions = tuple(str(text) for text in body.get("exclusions") or ())
        return MavenLibrary(str(body["coordinates"]).strip(), body.get("repo") or None, exclusions)
    named = str(body)
    held = _held(named, local, folder, env or {})
    if kind == "requirements":
        _map_lines(held, local)
    elif not held.name.endswith(f".{kind}"):
        raise CannotRun(f"Library installation failed: {named} does not end in .{kind}", FAILED)
    return LocalLibrary(kind, held)  # type: ignore[arg-type]


def _held(named: str, local: Callable[[str], Path], folder: Path, env: Mapping[str, str]) -> Path:
    """A copy of the file. Two files of one name, from different places, stay apart."""
    own = folder / hashlib.sha256(named.encode()).hexdigest()[:8]
    held = own / named.rpartition("/")[2]
    if held.exists():
        return held
    own.mkdir(parents=True, exist_ok=True)
    if re.match(r"s3[an]?://", named):
        _from_s3(named, held, env)
        return held
    try:
        origin = local(named)
    except ApiError as error:
        raise CannotRun(f"Library installation failed: {error.message}", FAILED) from None
    if not origin.is_file():
        raise CannotRun(f"Library installation failed: java.io.FileNotFoundException: no file at {named}", FAILED)
    shutil.copyfile(origin, held)
    return held


def _from_s3(named: str, target: Path, env: Mapping[str, str]) -> None:
    """With the cluster's own keys where it has any, else as this machine may."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = named.partition("://")[2].partition("/")
    draft = target.with_suffix(".draft")
    try:
        session = boto3.Session(
            aws_access_key_id=env.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=env.get("AWS_SESSION_TOKEN"),
            region_name=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"),
        )
        endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
        session.client("s3", endpoint_url=endpoint).download_file(bucket, key, str(draft))
    except (BotoCoreError, ClientError) as error:
        draft.unlink(missing_ok=True)
        raise CannotRun(f"Library installation failed: {named} cannot be read: {error}", FAILED) from None
    draft.replace(target)


def _map_lines(file: Path, local: Callable[[str], Path]) -> None:
    """The workspace's paths in a requirements file, as the files they mean."""

    def mapped(match: re.Match[str]) -> str:
        try:
            return match.group(1) + str(local(match.group(2)))
        except ApiError as error:
            raise CannotRun(f"Library installation failed: {file.name}: {error.message}", FAILED) from None

    text = file.read_text(encoding="utf-8", errors="replace")
    path = r"(?m)^(\s*(?:-r\s+|-c\s+|--requirement[ =])?)((?:dbfs:|/dbfs|/Volumes|/Workspace)/\S+)"
    file.write_text(re.sub(path, mapped, text), encoding="utf-8")
