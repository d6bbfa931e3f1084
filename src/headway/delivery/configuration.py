"""Read an application's configuration: from its folder, or as a release recorded it."""

from collections.abc import Mapping
from pathlib import Path

from headway.core.application import Application
from headway.core.configuration import FILE, Files, bundle_file, jobs_pattern, parse
from headway.core.diagnostics import Diagnostic, Location
from headway.core.errors import ConfigurationError
from headway.core.jobfields import KNOWN_FIELDS
from headway.core.jobfiles import KnownFields


def known_fields() -> KnownFields:
    """The field names that the official SDK knows."""
    return KNOWN_FIELDS


def read_files(root: Path) -> Files:
    """The configuration's texts below `root`. Raise ConfigurationError where there is no headway.toml."""
    path = root / FILE
    try:
        toml = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        hint = "`headway init` writes one"
        raise ConfigurationError((Diagnostic(Location(str(path)), "", "there is no such file", hint),)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Diagnostic(Location(str(path)), "", f"cannot be read: {error}"),)) from None
    jobs: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for file in _job_files(root, toml):
        name = file.relative_to(root).as_posix()
        try:
            jobs[name] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Diagnostic(Location(name), "", f"cannot be read: {error}"))
    if problems:
        raise ConfigurationError(tuple(problems))
    return Files(toml, jobs)


def _job_files(root: Path, toml: str) -> list[Path]:
    """The files that define jobs: those of `deploy.jobs`, or a bundle's main file and what it includes."""
    bundle = bundle_file(toml)
    if bundle is None:
        return sorted(root.glob(jobs_pattern(toml)))
    from headway.core.bundles.assembling import fits, includes

    main = root / bundle
    try:
        patterns = [pattern for pattern, _ in includes(main.read_text(encoding="utf-8"), bundle)]
    except (OSError, UnicodeDecodeError):
        return [main]  # which is told when it is read
    found = {main}
    for pattern in patterns:
        if pattern.startswith(("/", "..")):
            continue  # told when the bundle is read
        depth = "/".join("*" for _ in pattern.removeprefix("./").split("/"))
        found |= {
            file for file in root.glob(depth) if file.is_file() and fits(pattern, file.relative_to(root).as_posix())
        }
    return sorted(found)


def load_application(root: Path, variables: Mapping[str, str], *, without_jobs: bool = False) -> Application:
    """The application whose folder is `root`; it may be `without_jobs` where it is about to get them. Raise
    ConfigurationError with every problem at once."""
    return application_of(read_files(root), variables, without_jobs=without_jobs)


def application_of(files: Files, variables: Mapping[str, str], *, without_jobs: bool = False) -> Application:
    """The application that these texts describe. Raise ConfigurationError with every problem at once."""
    found = parse(files, variables, known_fields(), without_jobs=without_jobs)
    if isinstance(found, Application):
        return found
    raise ConfigurationError(found)
